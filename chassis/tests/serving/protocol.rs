//! Requests that are not what gRPC wants: each gets a code and a reason that say whose fault it is.

use http::{Method, StatusCode};
use tonic::Code;

use crate::harness::{Wire, refusal};

const SAY: &str = "/test.Script/Say";

async fn refusal_of(path: &str, headers: &[(&str, &str)], body: &'static [u8]) -> (Code, String) {
    let wire = Wire::new();
    let answer = wire.client().await.send(path, headers, body).await.unwrap();
    assert_eq!(answer.http_status, StatusCode::OK);
    refusal(&answer.status())
}

#[tokio::test]
async fn wrong_protobuf_bytes_are_a_malformed_request() {
    let refused = refusal_of(SAY, &[], b"\0\0\0\0\x02\x0a\xff").await;
    assert_eq!(refused, (Code::InvalidArgument, "MALFORMED_REQUEST".to_owned()));
}

#[tokio::test]
async fn a_truncated_frame_is_a_malformed_request() {
    let refused = refusal_of(SAY, &[], b"\0\0\0\0\x09\x0a\x05").await;
    assert_eq!(refused, (Code::InvalidArgument, "MALFORMED_REQUEST".to_owned()));
}

#[tokio::test]
async fn a_call_without_a_message_is_a_malformed_request() {
    let refused = refusal_of(SAY, &[], b"").await;
    assert_eq!(refused, (Code::InvalidArgument, "MALFORMED_REQUEST".to_owned()));
}

#[tokio::test]
async fn unknown_flags_before_a_message_are_a_malformed_request() {
    for flags in [b"\x01\0\0\0\0", b"\x07\0\0\0\0"] {
        let refused = refusal_of(SAY, &[], flags).await;
        assert_eq!(refused, (Code::InvalidArgument, "MALFORMED_REQUEST".to_owned()));
    }
}

#[tokio::test]
async fn a_message_over_the_services_limit_is_too_large() {
    let refused = refusal_of(SAY, &[], b"\0\x10\0\0\0").await;
    assert_eq!(refused, (Code::OutOfRange, "MESSAGE_TOO_LARGE".to_owned()));
}

#[tokio::test]
async fn a_compression_that_is_not_spoken_is_named_as_such() {
    let refused = refusal_of(SAY, &[("grpc-encoding", "gzip")], b"\0\0\0\0\0").await;
    assert_eq!(refused, (Code::Unimplemented, "UNSUPPORTED_COMPRESSION".to_owned()));
}

#[tokio::test]
async fn unknown_methods_and_services_are_unimplemented() {
    let unknown = |reason: &str| (Code::Unimplemented, reason.to_owned());
    assert_eq!(refusal_of("/test.Script/Sing", &[], b"").await, unknown("UNKNOWN_METHOD"));
    for path in ["/test.Other/Say", "/test.Script", "/", "//", "/test.ScriptX/Say", "/test.Scrip/tSay"] {
        assert_eq!(refusal_of(path, &[], b"").await, unknown("UNKNOWN_SERVICE"), "{path}");
    }
}

#[tokio::test]
async fn an_inner_errors_text_is_withheld() {
    let wire = Wire::new();
    let status = wire.client().await.say("leak").await.unwrap_err();
    assert_eq!(refusal(&status), (Code::Internal, "INTERNAL".to_owned()));
    assert!(!status.message().contains("password"), "{}", status.message());
}

#[tokio::test]
async fn what_is_not_grpc_gets_an_http_answer() {
    let wire = Wire::new();
    let client = wire.client().await;
    for content_type in ["application/json", "application/grpc-web", "application/grpcx", ""] {
        let answer = client.send(SAY, &[("content-type", content_type)], b"{}").await.unwrap();
        assert_eq!(answer.http_status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type}");
    }
    for content_type in ["application/grpc", "application/grpc+proto", "application/grpc;x=y"] {
        let answer = client.send(SAY, &[("content-type", content_type)], b"\0\0\0\0\0").await.unwrap();
        assert_eq!(answer.http_status, StatusCode::OK, "{content_type}");
        assert_eq!(answer.status().code(), Code::Ok, "{content_type}");
    }
    assert_eq!(client.http_status(Method::GET, SAY).await, StatusCode::METHOD_NOT_ALLOWED);
}
