//! tonic as its examples show it: its Server under `#[tokio::main]`, nothing set.

use anyhow::Context;
use bench_peers::{Hello, listen_to_nothing};
use proto::product::v1::product_service_server::ProductServiceServer;
use tonic::transport::Server;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    listen_to_nothing();
    let address = std::env::args().nth(1).context("usage: tonic-hello ADDRESS")?.parse()?;
    Server::builder().add_service(ProductServiceServer::new(Hello::new())).serve(address).await?;
    Ok(())
}
