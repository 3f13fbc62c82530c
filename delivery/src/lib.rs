//! The Delivery service: stores deliveries, each of which refers to a product and a location that live in the Product
//! service, and asks Product whether it can be made before it stores it.
//!
//! | to know | read |
//! |---|---|
//! | what it can be told | `config.rs` |
//! | how it serves, and when it is ready | `server.rs`, `readiness.rs` |
//! | what a delivery is and what may become of it | `domain.rs`, `domain/` |
//! | what is done when Product is silent | `create.rs`, `dispatch.rs` |
//! | how Product is asked | `products.rs`, `products/` |
//! | who asks again later | `verifier.rs` |
//! | how deliveries are kept | `store.rs`, `store/`, `migrations/` |
//! | how calls are answered | `grpc.rs`, `grpc/` |

mod config;
mod create;
mod dispatch;
pub mod domain;
mod grpc;
pub mod products;
mod readiness;
mod server;
pub mod store;
mod time;
mod verifier;

use std::net::TcpListener;
use std::time::Duration;

use anyhow::Context;
use chassis::database::{self, Database};
use chassis::settings::secret_from;
use chassis::shutdown::Shutdown;
use chassis::telemetry;

pub use config::{Args, Command};
pub use create::DeferLimits;
pub use server::{Rules, SERVICE_NAMES, serve};
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
        None => {
            let listener = TcpListener::bind(args.listen)
                .with_context(|| format!("can't listen on {} (--listen, CANDELIVER_LISTEN)", args.listen))?;
            serve(listener, &args.server, store.clone(), args.products(), args.rules(), shutdown)?;
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
    Ok(Store::new(database))
}
