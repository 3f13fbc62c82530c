//! What an error looks like on the wire: a code, a sentence, and google.rpc details that a program can read.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

/// The domain of every ErrorInfo this system sends.
pub const DOMAIN: &str = "candeliver";

/// Bytes of bad fields that an error names, in its details and again in its message. Both travel as headers, of which many
/// clients take 8 KiB; the rest is counted.
const MAX_VIOLATIONS_BYTES: usize = 1_536;

/// One bad field and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, such as `items[3].product_id`.
    pub field: String,
    /// What was wrong and what is wanted.
    pub description: String,
}

/// An error on its way to the caller.
#[derive(Clone, Debug)]
pub struct Failure {
    code: Code,
    reason: &'static str,
    message: String,
    metadata: HashMap<String, String>,
    retry_after: Option<Duration>,
    violations: Vec<Violation>,
    resource: Option<(&'static str, String)>,
}

// === impl Violation ===

impl Violation {
    /// Says that `field` is bad.
    pub fn new(field: impl Into<String>, description: impl ToString) -> Self {
        Self { field: field.into(), description: description.to_string() }
    }
}

// === impl Failure ===

impl Failure {
    /// An error with its machine-readable reason, in UPPER_SNAKE_CASE, and a sentence for people.
    pub fn new(code: Code, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            metadata: HashMap::new(),
            retry_after: None,
            violations: Vec::new(),
            resource: None,
        }
    }

    /// INVALID_ARGUMENT INVALID_FIELD, which names every bad field.
    #[must_use]
    pub fn invalid_fields(mut violations: Vec<Violation>) -> Self {
        let all = violations.len();
        let mut room = MAX_VIOLATIONS_BYTES;
        let fits = |violation: &&Violation| {
            room = room.saturating_sub(violation.field.len() + violation.description.len());
            room > 0
        };
        let named = violations.iter().take_while(fits).count();
        violations.truncate(named);
        let mut list: Vec<_> = violations.iter().map(|v| format!("{} {}", v.field, v.description)).collect();
        if named < all {
            list.push(format!("and {} more", all - named));
        }
        Self::new(Code::InvalidArgument, "INVALID_FIELD", list.join("; ")).violations(violations)
    }

    /// DEADLINE_EXCEEDED: the caller's time is over and what became of the call is not known to it.
    #[must_use]
    pub fn deadline_exceeded() -> Self {
        Self::new(
            Code::DeadlineExceeded,
            "DEADLINE_EXCEEDED",
            "the deadline passed before the answer was ready; the outcome is not known",
        )
    }

    /// RESOURCE_EXHAUSTED OVERLOADED: refused before anything was done.
    #[must_use]
    pub fn overloaded(message: impl Into<String>, retry_after: Duration) -> Self {
        Self::new(Code::ResourceExhausted, "OVERLOADED", message).retry_after(retry_after)
    }

    /// Its code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// Adds one entry to the ErrorInfo's metadata.
    #[must_use]
    pub fn metadata(mut self, key: &str, value: impl Into<String>) -> Self {
        self.metadata.insert(key.to_owned(), value.into());
        self
    }

    /// Says when trying again may help.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// Names bad fields.
    #[must_use]
    pub fn violations(mut self, violations: Vec<Violation>) -> Self {
        self.violations = violations;
        self
    }

    /// Names the object that the error is about.
    #[must_use]
    pub fn resource(mut self, kind: &'static str, name: impl Into<String>) -> Self {
        self.resource = Some((kind, name.into()));
        self
    }

    /// The error as tonic sends it.
    #[must_use]
    pub fn into_status(self) -> Status {
        let mut details = ErrorDetails::new();
        details.set_error_info(self.reason, DOMAIN, self.metadata);
        if let Some(delay) = self.retry_after {
            details.set_retry_info(Some(delay));
        }
        if !self.violations.is_empty() {
            let fields = self.violations.into_iter().map(|v| FieldViolation::new(v.field, v.description));
            details.set_bad_request(fields.collect::<Vec<_>>());
        }
        if let Some((kind, name)) = self.resource {
            details.set_resource_info(kind, name, "", "");
        }
        Status::with_error_details(self.code, self.message, details)
    }
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        failure.into_status()
    }
}

/// Collects the bad fields of one message, so that all of them are named at once.
#[derive(Debug, Default)]
pub struct Violations {
    /// Where the message lies in the request, such as `items[3].`.
    prefix: String,
    found: Vec<Violation>,
}

// === impl Violations ===

impl Violations {
    /// For a message that lies deeper in the request: `prefix` is put before each field.
    pub fn under(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), found: Vec::new() }
    }

    /// Notes that `field` is bad.
    pub fn add(&mut self, field: impl Into<String>, description: impl ToString) {
        let field = format!("{}{}", self.prefix, field.into());
        self.found.push(Violation { field, description: description.to_string() });
    }

    /// Takes over what was found in a message inside this one.
    pub fn extend(&mut self, inner: Self) {
        self.found.extend(inner.found);
    }

    /// The value, or `None` with the field noted as bad.
    pub fn check<T, E: ToString>(&mut self, field: impl Into<String>, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|invalid| self.add(field, invalid)).ok()
    }

    /// Like `check`, for a field that may be absent: a bad value and an absent one are both `None`.
    pub fn check_optional<T, E: ToString>(
        &mut self,
        field: impl Into<String>,
        parsed: Option<Result<T, E>>,
    ) -> Option<T> {
        parsed.and_then(|parsed| self.check(field, parsed))
    }

    /// Whether no bad field was noted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The bad fields.
    #[must_use]
    pub fn into_vec(self) -> Vec<Violation> {
        self.found
    }

    /// `value`, unless a bad field was noted or the value could not be made.
    ///
    /// # Errors
    /// All the bad fields.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Vec<Violation>> {
        match value {
            Some(value) if self.found.is_empty() => Ok(value),
            _ => Err(self.found),
        }
    }
}

/// The code as the gRPC documents write it.
#[must_use]
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// The reason that the ErrorInfo of a status names, if it has one.
#[must_use]
pub fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}

/// The bad fields that a status names.
#[must_use]
pub fn violations(status: &Status) -> Vec<Violation> {
    let named = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
    named.into_iter().map(|v| Violation { field: v.field, description: v.description }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_its_reason_and_every_bad_field() {
        let bad = vec![
            Violation::new("name", "must not be empty"),
            Violation::new("quantity", "must be 1 or more"),
        ];
        let status = Failure::invalid_fields(bad.clone()).into_status();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(reason(&status).as_deref(), Some("INVALID_FIELD"));
        assert_eq!(violations(&status), bad);
        assert_eq!(status.message(), "name must not be empty; quantity must be 1 or more");
    }

    #[test]
    fn a_thousand_bad_fields_fit_into_the_headers_of_an_error() {
        let bad =
            (0..1_000).map(|n| Violation::new(format!("items[{n}].product_id"), "must be a UUID")).collect();
        let status = Failure::invalid_fields(bad).into_status();
        // The details travel in base64.
        assert!(status.details().len() * 4 / 3 + status.message().len() < 8 * 1024);
        assert!(violations(&status).len() > 20);
        assert!(status.message().ends_with(" more"), "{}", status.message());
    }

    #[test]
    fn a_value_with_a_bad_neighbour_is_not_given_out() {
        let mut bad = Violations::default();
        let good = bad.check("a", Ok::<_, String>(1));
        bad.check("b", Err::<(), _>("is wrong"));
        assert_eq!(bad.finish(good), Err(vec![Violation::new("b", "is wrong")]));
    }
}
