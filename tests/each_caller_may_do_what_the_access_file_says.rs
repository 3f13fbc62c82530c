//! The access files that docs/security.md shows mean what it says: every rpc that reflection lists is tried as everybody.

use std::process::Command;

use chassis::tls::client::ClientTls;
use prost::Message;
use prost_types::FileDescriptorProto;
use tokio_stream::StreamExt;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use crate::support::databases::Throwaway;
use crate::support::pki::Pki;
use crate::support::process::Service;
use crate::support::{PATIENCE, binaries, clients, secured};

const SECURITY: &str = include_str!("../docs/security.md");

const DELIVERY: &str = "spiffe://example.org/ns/shop/sa/delivery";
const MANAGER: &str = "spiffe://example.org/ns/shop/sa/catalogue-manager";
const CHECKOUT: &str = "spiffe://example.org/ns/shop/sa/checkout";
const HELP_DESK: &str = "spiffe://example.org/ns/shop/sa/help-desk";
const CALLERS: [&str; 4] = [DELIVERY, MANAGER, CHECKOUT, HELP_DESK];

/// The table of docs/security.md: who may call an rpc. `None`: everybody, without a certificate too.
fn allowed(service: &str, method: &str) -> Option<&'static [&'static str]> {
    match (service, method) {
        ("grpc.health.v1.Health", _) => None,
        ("candeliver.product.v1.ProductService", _) => Some(&[DELIVERY, MANAGER]),
        ("candeliver.product.v1.CatalogueService", _) => Some(&[MANAGER]),
        ("candeliver.delivery.v1.DeliveryService", "GetDelivery" | "ListDeliveries") => {
            Some(&[CHECKOUT, HELP_DESK])
        }
        ("candeliver.delivery.v1.DeliveryService", _) => Some(&[CHECKOUT]),
        (other, _) => panic!("{other} has no line in the table of docs/security.md"),
    }
}

#[tokio::test]
async fn product_answers_questions_of_services_and_takes_changes_of_managers() {
    let pki = Pki::new();
    let database = Throwaway::sqlite();
    let product = start("product", &pki, &database, &[]).await;
    let tried = try_everything(&pki, &product, MANAGER, &[DELIVERY, MANAGER]).await;
    assert!(tried > 20, "only {tried} rpcs were found");
}

#[tokio::test]
async fn delivery_takes_orders_of_the_checkout_and_shows_them_to_the_help_desk() {
    let pki = Pki::new();
    let database = Throwaway::sqlite();
    let shown = pki.issue("own", &[DELIVERY]);
    let mut more = secured::product_flags(&pki, &shown);
    more.extend(["--product-url", "https://localhost:1"].map(str::to_owned));
    let delivery = start("delivery", &pki, &database, &more).await;
    let tried = try_everything(&pki, &delivery, CHECKOUT, &[CHECKOUT, HELP_DESK]).await;
    assert!(tried > 7, "only {tried} rpcs were found");
}

#[tokio::test]
async fn reflection_that_is_switched_off_is_not_there_for_anybody() {
    let pki = Pki::new();
    let database = Throwaway::sqlite();
    let product = start("product", &pki, &database, &["--no-reflection".to_owned()]).await;
    let manager = channel(&product, as_caller(&pki, Some(MANAGER)));
    let status = list(&manager).await.unwrap_err();
    assert_eq!(clients::code_and_reason(&status), (Code::Unimplemented, "UNKNOWN_SERVICE".to_owned()));
}

#[tokio::test]
async fn the_command_line_is_a_caller_like_any_other() {
    let pki = Pki::new();
    let database = Throwaway::sqlite();
    let product = start("product", &pki, &database, &[]).await;
    let check = |authority: &Pki, shown: Option<&str>| {
        let nothing = "0192f3a4-0000-7000-8000-000000000001";
        let mut command = Command::new(binaries::path("candeliver"));
        command
            .args(["check", nothing, nothing, "--product", &product.url(), "--ca-file"])
            .arg(authority.ca());
        if let Some(name) = shown {
            let pair = pki.issue("operator", &[name]);
            command.arg("--cert-file").arg(pair.cert).arg("--key-file").arg(pair.key);
        }
        let done = command.output().expect("the program runs");
        (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let (exit, told) = check(&pki, Some(DELIVERY));
    assert_eq!(exit, Some(1), "no such product is an answer, and a no: {told}");
    let (exit, told) = check(&pki, None);
    assert!(exit == Some(4) && told.contains("UNAUTHENTICATED"), "{exit:?}: {told}");
    let (exit, told) = check(&pki, Some(CHECKOUT));
    assert!(
        exit == Some(4) && told.contains("PERMISSION_DENIED") && told.contains(CHECKOUT),
        "{exit:?}: {told}"
    );
    let (exit, told) = check(&Pki::new(), Some(DELIVERY));
    assert!(exit == Some(5) && told.contains("not as Product over TLS"), "{exit:?}: {told}");
}

/// A service with its access file of docs/security.md.
async fn start(name: &str, pki: &Pki, database: &Throwaway, more: &[String]) -> Service {
    let title = format!("# {name}-access.toml\n");
    let table = SECURITY.split_once(&title).expect("the document shows the file").1;
    let table = table.split_once("```").expect("the file ends").0;
    let access = pki.file(&format!("{name}-access.toml"), table);
    let mut flags = vec!["--database-url".to_owned(), database.url()];
    flags.extend(secured::server_flags(pki, &pki.issue(name, &[secured::HOST]), &access));
    flags.extend_from_slice(more);
    secured::start(name, &flags, as_caller(pki, None)).await
}

/// Calls every rpc as everybody. `lister` may ask reflection, as all of `reflecting` may and nobody else.
async fn try_everything(pki: &Pki, service: &Service, lister: &str, reflecting: &[&str]) -> usize {
    let mut channels = vec![(None, channel(service, as_caller(pki, None)))];
    channels.extend(CALLERS.map(|name| (Some(name), channel(service, as_caller(pki, Some(name))))));

    let lists = channel(service, as_caller(pki, Some(lister)));
    let services = list(&lists).await.expect("it may ask");
    let (reflections, services): (Vec<_>, Vec<_>) =
        services.into_iter().partition(|name| name.starts_with("grpc.reflection."));
    assert_eq!(reflections.len(), 2, "v1 and v1alpha");
    for (caller, channel) in &channels {
        let may = caller.is_some_and(|caller| reflecting.contains(&caller));
        expect("reflection", *caller, may, list(channel).await.map(drop));
    }

    let mut tried = 0;
    for service in services {
        for method in methods(&lists, &service).await {
            tried += 1;
            let path = format!("/{service}/{method}");
            for (caller, channel) in &channels {
                let may = allowed(&service, &method)
                    .is_none_or(|allowed| caller.is_some_and(|caller| allowed.contains(&caller)));
                expect(&path, *caller, may, call(channel, &path).await);
            }
        }
    }
    tried
}

/// Whoever may call gets what the service says to an empty message, whatever that is.
fn expect(path: &str, caller: Option<&str>, may: bool, answered: Result<(), Status>) {
    let refusal = |status: &Status| match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => Some(clients::code_and_reason(status)),
        _ => None,
    };
    let expected = match (may, caller) {
        (true, _) => None,
        (false, None) => Some((Code::Unauthenticated, "UNAUTHENTICATED".to_owned())),
        (false, Some(_)) => Some((Code::PermissionDenied, "PERMISSION_DENIED".to_owned())),
    };
    let refused = answered.as_ref().err().and_then(refusal);
    assert_eq!(refused, expected, "{path} by {caller:?} answered {answered:?}");
    let unreached = answered.as_ref().err().is_some_and(|status| std::error::Error::source(status).is_some());
    assert!(!unreached, "{path} by {caller:?} did not reach the service: {answered:?}");
}

fn as_caller(pki: &Pki, name: Option<&str>) -> ClientTls {
    let file = |name: &str| name.rsplit('/').next().expect("a last part").to_owned();
    secured::caller(pki, name.map(|name| pki.issue(&file(name), &[name])))
}

fn channel(service: &Service, caller: ClientTls) -> Channel {
    let endpoint = service.url().parse::<tonic::transport::Endpoint>().expect("a URL");
    secured::channel(&endpoint, &caller)
}

/// Calls an rpc of any kind with an empty message, and waits for the first message or the status.
async fn call(channel: &Channel, path: &str) -> Result<(), Status> {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.expect("a lazy channel is ready");
    let mut request = Request::new(());
    request.set_timeout(PATIENCE / 10);
    let path: PathAndQuery = path.parse().expect("a path");
    // An empty message is read as any other: fields that it does not know are left out.
    let answered = grpc.server_streaming(request, path, ProstCodec::<(), ()>::default()).await;
    answered?.into_inner().message().await.map(drop)
}

async fn list(channel: &Channel) -> Result<Vec<String>, Status> {
    match reflect(channel, MessageRequest::ListServices(String::new())).await?.message_response {
        Some(MessageResponse::ListServicesResponse(list)) => {
            Ok(list.service.into_iter().map(|service| service.name).collect())
        }
        other => panic!("a list was asked for: {other:?}"),
    }
}

async fn methods(channel: &Channel, service: &str) -> Vec<String> {
    let asked = reflect(channel, MessageRequest::FileContainingSymbol(service.to_owned())).await;
    let answer = asked.expect("it may ask").message_response;
    let Some(MessageResponse::FileDescriptorResponse(files)) = answer else {
        panic!("a file was asked for: {answer:?}")
    };
    let files = files.file_descriptor_proto.iter();
    let files = files.map(|file| FileDescriptorProto::decode(file.as_slice()).expect("a descriptor"));
    let services = files.flat_map(|file| {
        let package = file.package.unwrap_or_default();
        file.service.into_iter().map(move |service| (format!("{package}.{}", service.name()), service))
    });
    let named = services.filter(|(name, _)| name == service);
    named.flat_map(|(_, service)| service.method).filter_map(|method| method.name).collect()
}

async fn reflect(channel: &Channel, asked: MessageRequest) -> Result<ServerReflectionResponse, Status> {
    let request = ServerReflectionRequest { message_request: Some(asked), ..Default::default() };
    let mut client = ServerReflectionClient::new(channel.clone());
    let mut answers = client.server_reflection_info(tokio_stream::iter([request])).await?.into_inner();
    answers.next().await.expect("one answer for one question")
}
