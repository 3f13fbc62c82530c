//! What reflection says that there is.

/// The names that a reflection service of version `$version` lists, or how it refuses to.
macro_rules! listed_by {
    ($version:ident, $client:expr) => {{
        use tonic_reflection::pb::$version;
        use $version::server_reflection_client::ServerReflectionClient;
        use $version::server_reflection_request::MessageRequest;
        use $version::server_reflection_response::MessageResponse;
        let origin = $crate::harness::Client::origin();
        let mut reflection = ServerReflectionClient::with_origin($client.service(), origin);
        let request = $version::ServerReflectionRequest {
            message_request: Some(MessageRequest::ListServices(String::new())),
            ..Default::default()
        };
        let asked = futures_util::stream::iter([request]);
        match $crate::harness::soon(reflection.server_reflection_info(asked)).await {
            Err(status) => Err(status),
            Ok(mut answers) => {
                let answer = $crate::harness::soon(answers.get_mut().message()).await.unwrap().unwrap();
                let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
                    panic!("a list was asked for");
                };
                Ok::<Vec<String>, tonic::Status>(
                    list.service.into_iter().map(|service| service.name).collect(),
                )
            }
        }
    }};
}
pub(crate) use listed_by;
