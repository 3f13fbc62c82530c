//! Statuses that tonic or a slip of ours made without details: each gets a reason, and none tells what is inside.

use http::HeaderMap;
use tonic::{Code, Status};

use crate::status::{Failure, code_name};

/// How tonic's and prost's messages begin when a request's bytes are wrong. They say INTERNAL, as gRPC's status code
/// list does; but nothing is wrong in here, so callers must not retry and breakers must not trip.
const MALFORMED: [&str; 5] = [
    "failed to decode Protobuf message",
    "protocol error: ",
    "Unexpected EOF decoding stream",
    "Missing request message",
    "Error decompressing",
];
const TOO_LARGE: [&str; 2] = ["Error, decoded message length too large", "Error decompressing: size limit"];

/// How hyper's error begins when the caller reset its stream, or its connection ended, before its message was complete.
const GIVEN_UP: [&str; 1] = ["error reading a body from connection"];

/// Adds what is missing to the status in `headers`, if there is one, and says its code.
pub(super) fn complete(headers: &mut HeaderMap) -> Code {
    // All is well in nearly every call, and then the status stands alone or first: no need to look it up.
    let is_ok = |code: &http::HeaderValue| code.as_bytes() == b"0";
    if headers.iter().next().is_some_and(|(name, code)| *name == Status::GRPC_STATUS && is_ok(code)) {
        return Code::Ok;
    }
    let Some(code) = headers.get(Status::GRPC_STATUS) else { return Code::Ok };
    let code = Code::from_bytes(code.as_bytes());
    // With details it is a handler's own, and says what it is meant to say.
    if code == Code::Ok || headers.contains_key(Status::GRPC_STATUS_DETAILS) {
        return code;
    }
    let Some(status) = Status::from_header_map(headers) else { return code };
    let failure = failure(status.code(), status.message());
    let code = failure.code();
    // An error would mean a message that can't be a header; the status stays as it is then.
    let _ = failure.into_status().add_header(headers);
    code
}

fn failure(code: Code, message: &str) -> Failure {
    let begins_with = |beginnings: &[&str]| beginnings.iter().any(|beginning| message.starts_with(beginning));
    match code {
        Code::OutOfRange | Code::ResourceExhausted if begins_with(&TOO_LARGE) => {
            Failure::new(code, "MESSAGE_TOO_LARGE", message)
        }
        Code::Internal if begins_with(&MALFORMED) => {
            Failure::new(Code::InvalidArgument, "MALFORMED_REQUEST", message)
        }
        Code::Unimplemented if message.is_empty() => {
            Failure::new(code, "UNKNOWN_METHOD", "this service has no such method")
        }
        Code::Unimplemented if message.starts_with("Content is compressed") => {
            Failure::new(code, "UNSUPPORTED_COMPRESSION", message)
        }
        // Nothing went wrong in here, and nobody hears of it: were it logged, a client that gives up one call after the other
        // would fill the log.
        Code::Unknown if begins_with(&GIVEN_UP) => {
            Failure::new(Code::Cancelled, "CANCELLED", "the caller gave up before its message was complete")
        }
        Code::Internal | Code::Unknown => {
            // Text that nobody chose for callers may hold anything.
            tracing::error!(
                ?code,
                message,
                "an answer without details; its text is withheld from the caller"
            );
            Failure::new(code, code_name(code), "the server failed to handle this call")
        }
        _ => Failure::new(code, code_name(code), message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::reason;

    fn completed(status: Status) -> Status {
        let mut headers = status.into_http::<()>().into_parts().0.headers;
        complete(&mut headers);
        Status::from_header_map(&headers).unwrap()
    }

    #[test]
    fn wrong_bytes_are_the_callers_fault() {
        let status = completed(Status::internal("failed to decode Protobuf message: invalid tag value: 0"));
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(reason(&status).as_deref(), Some("MALFORMED_REQUEST"));
    }

    #[test]
    fn a_caller_that_gave_up_is_no_error_of_ours() {
        let status =
            completed(Status::unknown("error reading a body from connection: stream error received"));
        assert_eq!((status.code(), reason(&status).as_deref()), (Code::Cancelled, Some("CANCELLED")));
    }

    #[test]
    fn an_inner_error_is_told_to_nobody() {
        for code in [Code::Internal, Code::Unknown] {
            let status = completed(Status::new(code, "password authentication failed for user app"));
            assert_eq!(status.code(), code);
            assert_eq!(status.message(), "the server failed to handle this call");
        }
    }

    #[test]
    fn a_status_with_details_stays_as_it_is() {
        let status = completed(Failure::new(Code::Internal, "OURS", "as we said").into_status());
        assert_eq!(reason(&status).as_deref(), Some("OURS"));
        assert_eq!(status.message(), "as we said");
    }

    #[test]
    fn metadata_beside_a_status_survives() {
        let mut status = Status::unimplemented("Content is compressed with `gzip` which isn't supported");
        status.metadata_mut().insert("grpc-accept-encoding", "identity".parse().unwrap());
        let status = completed(status);
        assert_eq!(reason(&status).as_deref(), Some("UNSUPPORTED_COMPRESSION"));
        assert_eq!(status.metadata().get("grpc-accept-encoding").unwrap(), "identity");
    }
}
