//! A Product that answers the same to everything, on a thread of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chassis::connections::{ConnectionLimits, serve_connections};
use chassis::services::Services;
use chassis::shutdown::Shutdown;
use futures_util::stream;
use proto::product::v1 as wire;
use proto::product::v1::product_service_server::{ProductService, ProductServiceServer};
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};

/// How a usual answer and a slow one differ, and how many are slow.
const USUALLY: Duration = Duration::from_millis(1);
const SLOWLY: Duration = Duration::from_millis(100);
const ONE_IN: u64 = 100;

/// How it answers.
#[derive(Clone, Copy, Debug)]
pub enum Answers {
    AtOnce,
    SeldomSlowly,
}

#[derive(Clone)]
struct Product {
    answers: Answers,
    calls: Arc<AtomicU64>,
}

/// Serves until the process ends.
pub fn start(answers: Answers) -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            let incoming = stream::unfold(listener, |listener| async move {
                let accepted = listener.accept().await.and_then(|(stream, _)| {
                    stream.set_nodelay(true)?;
                    Ok(stream)
                });
                Some((accepted, listener))
            });
            let product = Product { answers, calls: Arc::default() };
            let services = Services::new().add(ProductServiceServer::new(product));
            let (_never, shutdown) = Shutdown::new();
            serve_connections(incoming, services, ConnectionLimits::default(), shutdown).await;
        });
    });
    told.recv().unwrap()
}

#[tonic::async_trait]
impl ProductService for Product {
    type WatchChangesStream = stream::Empty<Result<wire::WatchChangesResponse, Status>>;

    async fn can_deliver(
        &self,
        _: Request<wire::CanDeliverRequest>,
    ) -> Result<Response<wire::CanDeliverResponse>, Status> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        match self.answers {
            Answers::AtOnce => {}
            Answers::SeldomSlowly if number % ONE_IN == ONE_IN - 1 => tokio::time::sleep(SLOWLY).await,
            Answers::SeldomSlowly => tokio::time::sleep(USUALLY).await,
        }
        let decision = wire::Decision { verdict: wire::Verdict::Deliverable.into(), ..Default::default() };
        Ok(Response::new(wire::CanDeliverResponse { decision: Some(decision) }))
    }

    async fn batch_can_deliver(
        &self,
        _: Request<wire::BatchCanDeliverRequest>,
    ) -> Result<Response<wire::BatchCanDeliverResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn resolve_location(
        &self,
        _: Request<wire::ResolveLocationRequest>,
    ) -> Result<Response<wire::ResolveLocationResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn get_product(
        &self,
        _: Request<wire::GetProductRequest>,
    ) -> Result<Response<wire::GetProductResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn list_products(
        &self,
        _: Request<wire::ListProductsRequest>,
    ) -> Result<Response<wire::ListProductsResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn get_location(
        &self,
        _: Request<wire::GetLocationRequest>,
    ) -> Result<Response<wire::GetLocationResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn list_locations(
        &self,
        _: Request<wire::ListLocationsRequest>,
    ) -> Result<Response<wire::ListLocationsResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn watch_changes(
        &self,
        _: Request<wire::WatchChangesRequest>,
    ) -> Result<Response<Self::WatchChangesStream>, Status> {
        Err(Status::unimplemented("not measured"))
    }
}
