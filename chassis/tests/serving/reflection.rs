//! Reflection on the wire: clients of both versions find everything.

use futures_util::stream;
use tonic_reflection::pb::{v1, v1alpha};

use crate::harness::{Client, Wire, soon};

const EVERYTHING: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// The names that a reflection service of version `$version` lists.
macro_rules! listed_by {
    ($version:ident, $client:expr) => {{
        use $version::server_reflection_client::ServerReflectionClient;
        use $version::server_reflection_request::MessageRequest;
        use $version::server_reflection_response::MessageResponse;
        let mut reflection = ServerReflectionClient::with_origin($client.service(), Client::origin());
        let request = $version::ServerReflectionRequest {
            message_request: Some(MessageRequest::ListServices(String::new())),
            ..Default::default()
        };
        let answers = soon(reflection.server_reflection_info(stream::iter([request]))).await;
        let answer = soon(answers.unwrap().get_mut().message()).await.unwrap().unwrap();
        let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
            panic!("a list was asked for");
        };
        list.service.into_iter().map(|service| service.name).collect::<Vec<_>>()
    }};
}

#[tokio::test]
async fn both_versions_list_every_service() {
    let wire = Wire::new();
    let client = wire.client().await;
    assert_eq!(listed_by!(v1, client), EVERYTHING);
    assert_eq!(listed_by!(v1alpha, client), EVERYTHING);
}
