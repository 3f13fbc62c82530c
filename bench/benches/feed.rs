//! What the feed costs over the wire: a WatchChanges from the beginning until its first checkpoint, by a Product as it ships.
//!
//! `cargo build --release -p product && cargo bench -p bench --bench feed`.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench's names are its documentation")]

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::stream;
use proto::product::v1 as wire;
use proto::product::v1::catalogue_service_client::CatalogueServiceClient;
use proto::product::v1::product_service_client::ProductServiceClient;
use tonic::transport::{Channel, Endpoint};
use uuid::Uuid;

/// One chunk of an import, ten pages of a watch.
const ROWS: usize = 10_000;
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// A Product, ended with its database when dropped.
struct Product {
    child: Child,
    folder: PathBuf,
    channel: Channel,
}

// === impl Product ===

impl Product {
    /// Starts it with so many products.
    async fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("candeliver-bench-{}", Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/product"))
            .arg(format!("--listen=127.0.0.1:{port}"))
            .arg(format!("--database-url=sqlite://{}/product.db", folder.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("cargo build --release -p product comes first");
        let channel = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap().connect_lazy();
        let product = Self { child, folder, channel };
        tokio::time::timeout(START_TIMEOUT, product.fill()).await.expect("it serves in time");
        product
    }

    async fn fill(&self) {
        let rows = (0..ROWS).map(|number| {
            let product = wire::Product {
                product_id: Uuid::new_v4().to_string(),
                name: format!("product number {number}"),
                classes: vec!["fragile".to_owned()],
                weight_g: Some(300),
                ..Default::default()
            };
            wire::ImportRow { row: Some(wire::import_row::Row::Product(product)) }
        });
        let chunk = wire::ImportCatalogueRequest { rows: rows.collect(), validate_only: false };
        // It takes a moment until it listens.
        let mut answers = loop {
            let chunks = stream::iter([chunk.clone()]);
            match CatalogueServiceClient::new(self.channel.clone()).import_catalogue(chunks).await {
                Ok(answers) => break answers.into_inner(),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        assert_eq!(answers.message().await.unwrap().unwrap().created as usize, ROWS);
        // What was imported is in the index when it is asked for with the import's token; the feed is the tables.
        assert_eq!(self.watch().await, ROWS);
    }

    /// Changes until the first checkpoint.
    async fn watch(&self) -> usize {
        let mut client = ProductServiceClient::new(self.channel.clone());
        let mut answers =
            client.watch_changes(wire::WatchChangesRequest::default()).await.unwrap().into_inner();
        let mut changes = 0;
        loop {
            let answer = answers.message().await.unwrap().unwrap();
            changes += answer.changes.len();
            if answer.checkpoint.is_some() {
                return changes;
            }
        }
    }
}

impl Drop for Product {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn feed(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let product = runtime.block_on(Product::start());
    let mut group = criterion.benchmark_group("feed");
    group.sample_size(20).throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("watch 10,000 products from the beginning, SQLite", |bencher| {
        bencher.iter(|| assert_eq!(runtime.block_on(product.watch()), ROWS));
    });
    group.finish();
}

criterion_group!(benches, feed);
criterion_main!(benches);
