//! The Product service: owns products, locations and the rules between them, and says what can be delivered where.
//!
//! | to know | read |
//! |---|---|
//! | what it can be told | `config.rs` |
//! | how it serves | `server.rs` |
//! | how calls are answered | `grpc.rs`, `grpc/` |
//! | what CanDeliver is answered from | `index.rs`, and who keeps it current: `follower.rs` |
//! | how the catalogue is kept, changed and followed | `store.rs`, `store/`, `migrations/` |
//! | what a revision is | `revision.rs` |
//!
//! The rules themselves are the `deliverability` crate's.

mod config;
mod follower;
mod grpc;
mod index;
mod revision;
mod server;
mod store;

use std::net::TcpListener;
use std::time::Duration;

use anyhow::Context;
use chassis::database::{self, Database};
use chassis::settings::secret_from;
use chassis::shutdown::Shutdown;
use chassis::telemetry;

pub use config::{Args, Command};
use server::serve;
use store::Store;

/// How long the database may take to say goodbye at the end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Does what the arguments say, to the end.
///
/// # Errors
/// Something at start did not work out; the error says what and what to do.
pub fn run(args: &Args) -> anyhow::Result<()> {
    telemetry::init(&args.log);
    let shutdown = Shutdown::on_signals(args.server.exit_with_stdin)?;
    let runtime = database::start_runtime()?;
    let store = runtime.block_on(open(args))?;
    match args.command {
        Some(Command::Migrate) => println!("the tables are up to date"),
        Some(Command::NewEpoch) => {
            let head = runtime.block_on(store.new_epoch())?;
            println!("the catalogue is under epoch {} at revision {}", head.epoch, head.revision);
        }
        None => {
            let listener = TcpListener::bind(args.listen)
                .with_context(|| format!("can't listen on {} (--listen, CANDELIVER_LISTEN)", args.listen))?;
            serve(listener, &args.server, store.clone(), args.max_index_age(), shutdown)?;
        }
    }
    // Clients have their answers: what a silent database holds back is not worth the wait.
    let _ = runtime.block_on(async { tokio::time::timeout(CLOSE_TIMEOUT, store.database().close()).await });
    runtime.shutdown_timeout(CLOSE_TIMEOUT);
    Ok(())
}

async fn open(args: &Args) -> anyhow::Result<Store> {
    let settings = &args.database;
    let url = secret_from(
        "database-url",
        settings.database_url.as_deref(),
        settings.database_url_file.as_deref(),
    )?
    .context(
        "--database-url (CANDELIVER_DATABASE_URL) must name the database: sqlite://FILE or postgres://…",
    )?;
    let database = Database::connect(&url, settings.database_connections)
        .await
        .context("--database-url (CANDELIVER_DATABASE_URL)")?;
    let migrations = store::migrations();
    if settings.no_migrate && args.command != Some(Command::Migrate) {
        database.check_schema(&migrations).await?;
    } else {
        database.migrate(&migrations).await?;
    }
    Ok(Store::open(database).await?)
}
