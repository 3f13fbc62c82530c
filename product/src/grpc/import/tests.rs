//! Where imports are worked on, and when they end: over the generated client and server, without a wire between them.

use chassis::database::throwaway::Throwaway;
use chassis::database::{self, Database};
use chassis::health::Health;
use chassis::shutdown::Trigger;
use futures_util::{StreamExt, stream};
use proto::product::v1::catalogue_service_client::CatalogueServiceClient;
use proto::product::v1::catalogue_service_server::CatalogueServiceServer;
use uuid::Uuid;

use super::*;
use crate::follower;
use crate::grpc::CatalogueHandlers;
use crate::store::migrations;

type Client = CatalogueServiceClient<CatalogueServiceServer<CatalogueHandlers>>;

/// What would be a second of anything that happens at once.
const SOON: Duration = Duration::from_secs(10);

/// A Product without a port.
struct Product {
    store: Store,
    imports: Imports,
    client: Client,
    _trigger: Trigger,
    /// The last to go.
    _database: Throwaway,
}

/// The chunks of an import as its caller makes them, and who has asked for one.
struct Chunks {
    asked: mpsc::UnboundedReceiver<Option<String>>,
    asking: mpsc::UnboundedSender<Option<String>>,
}

// === impl Product ===

impl Product {
    /// On a database whose runtime is not the one that serves.
    async fn start() -> Self {
        let throwaway = Throwaway::sqlite();
        let runtime = database::start_runtime().unwrap();
        let url = throwaway.url();
        let opening = runtime.spawn(async move {
            let database = Database::connect(&url, 1).await.unwrap();
            database.migrate(&migrations()).await.unwrap();
            Store::open(database).await.unwrap()
        });
        let store = opening.await.unwrap();
        let index = Arc::new(Index::new(SOON));
        runtime.spawn(follower::follow(store.clone(), Arc::clone(&index), Health::new(&[])));
        // It ends with the test's process: a runtime can't be dropped inside of another.
        std::mem::forget(runtime);
        let (trigger, shutdown) = Shutdown::new();
        let imports = Imports::new(shutdown);
        let loaded = async {
            while index.read().is_err() {
                tokio::task::yield_now().await;
            }
        };
        soon(loaded).await;
        let handlers = CatalogueHandlers::new(store.clone(), index, imports.clone());
        let client = CatalogueServiceClient::new(CatalogueServiceServer::new(handlers));
        Self { store, imports, client, _trigger: trigger, _database: throwaway }
    }

    async fn import(
        &mut self,
        chunks: impl Stream<Item = wire::ImportCatalogueRequest> + Send + 'static,
    ) -> Streaming<wire::ImportCatalogueResponse> {
        soon(self.client.import_catalogue(chunks)).await.unwrap().into_inner()
    }

    fn under_way(&self) -> usize {
        MAX_IMPORTS - self.imports.permits.available_permits()
    }

    async fn until_none_is_under_way(&self) {
        drop(soon(self.imports.permits.acquire_many(u32::try_from(MAX_IMPORTS).unwrap())).await.unwrap());
    }
}

// === impl Chunks ===

impl Chunks {
    fn new() -> Self {
        let (asking, asked) = mpsc::unbounded_channel();
        Self { asked, asking }
    }

    /// So many chunks and then silence. Each time one is asked for the name of the thread is told.
    fn then_silence(
        &self,
        count: usize,
    ) -> impl Stream<Item = wire::ImportCatalogueRequest> + Send + 'static {
        let asking = self.asking.clone();
        let tell = move || drop(asking.send(std::thread::current().name().map(str::to_owned)));
        // Each a moment after the last: those that are there at once are taken at once.
        let chunks = stream::iter(0..count).then(|_| async {
            tokio::task::yield_now().await;
            chunk()
        });
        chunks.chain(stream::pending()).inspect(move |_| tell())
    }

    /// Waits until a chunk is taken, and says on which thread.
    async fn taken(&mut self) -> Option<String> {
        soon(self.asked.recv()).await.unwrap()
    }
}

fn chunk() -> wire::ImportCatalogueRequest {
    let product_id = Uuid::now_v7().to_string();
    let product = wire::Product { product_id, name: "milk".to_owned(), ..Default::default() };
    let row = wire::ImportRow { row: Some(wire::import_row::Row::Product(product)) };
    wire::ImportCatalogueRequest { rows: vec![row], validate_only: false }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("it should have happened by now")
}

#[tokio::test]
async fn chunks_are_read_on_the_store_s_runtime_so_that_no_thread_that_serves_is_held_up() {
    let mut product = Product::start().await;
    let mut chunks = Chunks::new();
    let mut answers = product.import(chunks.then_silence(2)).await;
    for _ in 0..2 {
        assert_eq!(soon(answers.message()).await.unwrap().unwrap().created, 1);
        assert_eq!(chunks.taken().await.as_deref(), Some("store"));
    }
}

#[tokio::test]
async fn an_import_whose_caller_is_gone_is_under_way_until_its_task_has_ended_and_reads_nothing_more() {
    let mut product = Product::start().await;
    let mut chunks = Chunks::new();
    // Nobody else writes, so that the first chunk is not stored yet when its caller's deadline passes.
    let database = product.store.database().clone();
    let writing = product.store.database().runtime().spawn(async move { database.write().await.unwrap() });
    let writing = writing.await.unwrap();
    let answers = product.import(chunks.then_silence(2)).await;
    chunks.taken().await;
    drop(answers);
    assert_eq!(product.under_way(), 1, "it holds its chunk");
    drop(writing);
    product.until_none_is_under_way().await;
    assert!(chunks.asked.try_recv().is_err(), "no second chunk was taken");
}

#[tokio::test]
async fn an_import_that_waits_for_a_chunk_ends_when_its_caller_is_gone() {
    let mut product = Product::start().await;
    let mut chunks = Chunks::new();
    let mut answers = product.import(chunks.then_silence(1)).await;
    soon(answers.message()).await.unwrap().unwrap();
    chunks.taken().await;
    assert_eq!(product.under_way(), 1);
    drop(answers);
    // Far sooner than it would be given up for its silence.
    product.until_none_is_under_way().await;
}
