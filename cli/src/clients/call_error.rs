//! A call that brought no answer, or an error as its answer, told so that a person knows what to do.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::time::Duration;

use chassis::status::{reason, violations};
use chassis::tls::client::NoTls;
use tonic::{Code, ConnectError, Status, TimeoutExpired};
use tonic_types::StatusExt;

use super::{Peer, Service, Url};
use crate::exit::{Exit, Failure};

/// Why a call brought nothing.
#[derive(Debug)]
pub struct CallError {
    service: Service,
    url: Url,
    timeout: Duration,
    /// None: the timeout came first.
    status: Option<Box<Status>>,
}

/// What is known of a call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The timeout came first.
    TooLate,
    /// There was no connection, so nothing was sent.
    Unreachable,
    /// There was one, and it could not be secured, so nothing was sent.
    Insecure,
    /// The connection broke.
    Lost,
    /// The service said so.
    Answered,
}

// === impl CallError ===

impl CallError {
    pub(super) fn new(peer: &Peer, status: Option<Status>) -> Self {
        let (service, url) = (peer.service, peer.url.clone());
        Self { service, url, timeout: peer.timeout, status: status.map(Box::new) }
    }

    /// The reason that the service named, if it named one.
    pub fn reason(&self) -> Option<String> {
        reason(self.status.as_deref()?)
    }

    /// Whether nothing is wrong: the connection is old, and the next call is made on another.
    pub fn is_connections_age(&self) -> bool {
        self.reason().as_deref() == Some("CONNECTION_AGE")
    }

    /// Whether the service may have done what it was asked to: nothing says that it has not.
    pub fn may_be_done(&self) -> bool {
        match (self.kind(), self.code()) {
            (Kind::Unreachable | Kind::Insecure, _) => false,
            (Kind::TooLate | Kind::Lost, _) | (_, Code::DeadlineExceeded) => true,
            // Other reasons leave it open, and so do proxies, which name none.
            (Kind::Answered, Code::Unavailable) => self.reason().as_deref() != Some("PRODUCT_UNAVAILABLE"),
            // Something broke in the middle of it.
            (Kind::Answered, code) => {
                matches!(code, Code::Unknown | Code::Internal | Code::Cancelled | Code::DataLoss)
            }
        }
    }

    /// Whether asking again later may bring an answer.
    pub fn may_pass(&self) -> bool {
        self.exit() == Exit::Silent || self.code() == Code::ResourceExhausted
    }

    fn exit(&self) -> Exit {
        match (self.kind(), self.code()) {
            (Kind::Answered, Code::Unavailable | Code::DeadlineExceeded) => Exit::Silent,
            (Kind::Answered, _) => Exit::Refused,
            (Kind::TooLate | Kind::Unreachable | Kind::Insecure | Kind::Lost, _) => Exit::Silent,
        }
    }

    /// The code that the service answered, or that stands for its silence.
    pub fn code(&self) -> Code {
        self.status.as_deref().map_or(Code::DeadlineExceeded, Status::code)
    }

    /// What the peer itself answered has no source; what tonic made of a fault has one.
    fn kind(&self) -> Kind {
        let Some(status) = &self.status else { return Kind::TooLate };
        if causes(status).next().is_none() {
            Kind::Answered
        } else if causes(status).any(<dyn Error>::is::<NoTls>) {
            Kind::Insecure
        } else if causes(status).any(<dyn Error>::is::<ConnectError>) {
            Kind::Unreachable
        } else if causes(status).any(<dyn Error>::is::<TimeoutExpired>) {
            // tonic keeps the timeout that it sends as well.
            Kind::TooLate
        } else {
            Kind::Lost
        }
    }

    fn cause(&self) -> String {
        let last = self.status.as_deref().and_then(|status| causes(status).last());
        last.map(ToString::to_string).unwrap_or_default()
    }

    fn describe_answer(&self, status: &Status) -> String {
        let Self { service, url, .. } = self;
        let bad_fields = violations(status);
        let mut text = match reason(status) {
            Some(reason) if bad_fields.is_empty() => {
                format!("{service} refused: {} ({reason})", status.message())
            }
            Some(reason) => format!("{service} refused the request ({reason}):"),
            None => format!("{url} answered {}: {}", screaming(status.code()), status.message()),
        };
        if status.code() == Code::Unimplemented {
            let _ = write!(text, ": is {url} the address of a {service}? {} names it", service.flag());
        }
        for bad in bad_fields {
            let _ = write!(text, "\n  {} {}", bad.field, bad.description);
        }
        let metadata = status.get_details_error_info().map(|info| info.metadata).unwrap_or_default();
        let mut metadata: Vec<_> = metadata.into_iter().collect();
        metadata.sort();
        for (name, value) in metadata {
            let _ = write!(text, "\n  {name}: {value}");
        }
        if let Some(delay) = status.get_details_retry_info().and_then(|info| info.retry_delay) {
            let _ = write!(text, "\n  trying again may help in {:.1} s", delay.as_secs_f64());
        }
        text
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, url, timeout, .. } = self;
        match (self.kind(), &self.status) {
            (Kind::TooLate, _) | (_, None) => write!(
                f,
                "{service} at {url} did not answer within {timeout:?}: is it stopped or overloaded? `candeliver status` \
                 tells; --timeout-seconds waits longer"
            ),
            (Kind::Unreachable, _) => write!(
                f,
                "can't reach {service} at {url} ({}): is it running? `candeliver up` starts it; {} or {} names another \
                 address",
                self.cause(),
                service.flag(),
                service.variable()
            ),
            (Kind::Insecure, _) => write!(
                f,
                "someone answers at {url}, but not as {service} over TLS ({}): does --ca-file hold its authority, and does \
                 its certificate name the host?",
                self.cause()
            ),
            (Kind::Lost, _) => {
                write!(f, "the connection to {service} at {url} broke before the answer ({})", self.cause())
            }
            (Kind::Answered, Some(status)) => f.write_str(&self.describe_answer(status)),
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::new(error.exit(), error.to_string())
    }
}

/// What lies below a status, outermost first.
fn causes(status: &Status) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(status.source(), |cause| (*cause).source())
}

/// NOT_FOUND for NotFound: the codes as the gRPC documents write them.
fn screaming(code: Code) -> String {
    let mut text = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_uppercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::ConnectionFlags;
    use chassis::status::{Failure as Refusal, Violation};

    fn error(status: Option<Status>) -> CallError {
        let connection = ConnectionFlags::within(Duration::from_secs(5));
        let url = Service::Product.default_url().parse().unwrap();
        CallError::new(&Peer::new(Service::Product, &url, &connection).unwrap(), status)
    }

    async fn told(status: Option<Status>) -> (Exit, String, bool) {
        let error = error(status);
        let may_be_done = error.may_be_done();
        match Failure::from(error) {
            Failure::Told { exit, message } => (exit, message, may_be_done),
            Failure::ReaderGone => unreachable!("a call does not write"),
        }
    }

    #[tokio::test]
    async fn a_refusal_names_its_reason_and_every_bad_field() {
        let bad = vec![
            Violation::new("product_id", "must be a UUID"),
            Violation::new("quantity", "must be 1 or more"),
        ];
        let (exit, message, may_be_done) = told(Some(Refusal::invalid_fields(bad).into_status())).await;
        assert_eq!(exit, Exit::Refused);
        assert_eq!(
            message,
            "Product refused the request (INVALID_FIELD):\n  product_id must be a UUID\n  quantity must be 1 or more"
        );
        assert!(!may_be_done);
    }

    #[tokio::test]
    async fn a_connections_age_may_pass_and_is_told_from_a_product_that_goes_away() {
        let ended = |reason| error(Some(Refusal::new(Code::Unavailable, reason, "elsewhere").into_status()));
        let of_age = ended("CONNECTION_AGE");
        assert!(of_age.is_connections_age() && of_age.may_pass());
        assert!(!ended("DRAINING").is_connections_age());
        assert!(!error(None).is_connections_age());
    }

    #[tokio::test]
    async fn silence_says_when_to_ask_again_and_whether_it_may_have_been_done() {
        let silent = |reason| {
            Refusal::new(Code::Unavailable, reason, "away").retry_after(Duration::from_millis(1_500))
        };
        let (exit, message, may_be_done) = told(Some(silent("PRODUCT_UNAVAILABLE").into_status())).await;
        assert_eq!((exit, may_be_done), (Exit::Silent, false));
        assert_eq!(message, "Product refused: away (PRODUCT_UNAVAILABLE)\n  trying again may help in 1.5 s");
        assert!(told(Some(silent("STORE_UNAVAILABLE").into_status())).await.2);
        assert!(told(None).await.2);
    }

    #[tokio::test]
    async fn a_server_that_is_not_ours_is_suspected() {
        let (exit, message, _) = told(Some(Status::unimplemented("no such method"))).await;
        assert_eq!(exit, Exit::Refused);
        assert!(
            message.contains("no such method: is http://127.0.0.1:50051 the address of a Product?"),
            "{message}"
        );
    }
}
