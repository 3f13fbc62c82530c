//! An error as a program reads it: everything that the error table promises, compared as a whole.

use std::collections::HashMap;

use tonic::{Code, Response, Status};
use tonic_types::StatusExt;

/// What an error says, the sentence for people left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    code: Code,
    reason: String,
    metadata: HashMap<String, String>,
    /// By BadRequest, sorted.
    bad_fields: Vec<String>,
    /// By ResourceInfo: its type and its name.
    resource: Option<(String, String)>,
    /// Whether RetryInfo says when to come again.
    says_when_to_retry: bool,
}

/// What a call that must fail was refused with.
pub fn refused<T: std::fmt::Debug>(outcome: Result<Response<T>, Status>) -> Refusal {
    Refusal::of(&outcome.expect_err("the call is refused"))
}

// === impl Refusal ===

impl Refusal {
    /// An error with nothing more to it.
    pub fn new(code: Code, reason: &str) -> Self {
        Self {
            code,
            reason: reason.to_owned(),
            metadata: HashMap::new(),
            bad_fields: Vec::new(),
            resource: None,
            says_when_to_retry: false,
        }
    }

    /// What a status says.
    pub fn of(status: &Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info().unwrap_or_else(|| panic!("every error has an ErrorInfo: {status:?}"));
        assert_eq!(info.domain, "candeliver");
        let violations = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
        let mut bad_fields: Vec<_> = violations.into_iter().map(|violation| violation.field).collect();
        bad_fields.sort_unstable();
        let retry_delay = details.retry_info().and_then(|retry| retry.retry_delay);
        Self {
            code: status.code(),
            reason: info.reason.clone(),
            metadata: info.metadata.clone(),
            bad_fields,
            resource: details
                .resource_info()
                .map(|about| (about.resource_type.clone(), about.resource_name.clone())),
            says_when_to_retry: retry_delay.is_some_and(|delay| !delay.is_zero()),
        }
    }

    /// And names these fields as bad.
    pub fn bad_fields(mut self, fields: &[&str]) -> Self {
        self.bad_fields = fields.iter().map(ToString::to_string).collect();
        self.bad_fields.sort_unstable();
        self
    }

    /// And has this in its metadata.
    pub fn metadata(mut self, key: &str, value: &str) -> Self {
        self.metadata.insert(key.to_owned(), value.to_owned());
        self
    }

    /// And names this object.
    pub fn resource(mut self, kind: &str, name: &str) -> Self {
        self.resource = Some((kind.to_owned(), name.to_owned()));
        self
    }

    /// And says when to come again.
    pub fn retry(mut self) -> Self {
        self.says_when_to_retry = true;
        self
    }
}
