//! tonic at its best: its generated service on hyper's HTTP/2 connection, an accept loop, one current-thread runtime, and
//! mimalloc. Without limits, deadlines, health, drain: the ceiling.

use anyhow::Context;
use bench_peers::{Hello, listen_to_nothing};
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use proto::product::v1::product_service_server::ProductServiceServer;
use tokio::net::TcpListener;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    listen_to_nothing();
    let address = std::env::args().nth(1).context("usage: tonic-best ADDRESS")?;
    let listener = TcpListener::bind(address).await?;
    let service = ProductServiceServer::new(Hello::new());
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let service = TowerToHyperService::new(service.clone());
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        // gRPC has no use for the date.
        let connection = http2.auto_date_header(false).serve_connection(TokioIo::new(socket), service);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                eprintln!("{error}");
            }
        });
    }
}
