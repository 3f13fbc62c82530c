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
//! | what it tells on its metrics page | `metrics.rs`, `metrics/` |
//! | how they leave, long after they are over | `archive.rs`, `archive/` |
//! | how deliveries are kept | `store.rs`, `store/`, `migrations/` |
//! | how calls are answered | `grpc.rs`, `grpc/` |

pub mod archive;
mod config;
mod create;
mod dispatch;
pub mod domain;
mod grpc;
mod metrics;
pub mod products;
mod readiness;
mod server;
pub mod store;
mod time;
mod verifier;

use std::net::TcpListener;

use anyhow::Context;
use chassis::database::{self, StoreError};
use chassis::server::Listeners;
use chassis::shutdown::Shutdown;
use chassis::{telemetry, trace};

pub use config::{ArchiveSettings, Args, Command};
pub use create::DeferLimits;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub use grpc::fuzzing;
use products::Product;
pub use server::{Rules, SERVICE_NAMES, serve};
use store::Store;

/// Does what the arguments say, to the end.
///
/// # Errors
/// Something at start did not work out; the error says what and what to do.
pub fn run(args: &Args) -> anyhow::Result<()> {
    telemetry::init(&args.log);
    let shutdown = Shutdown::on_signals(args.server.exit_with_stdin)?;
    let runtime = database::start_runtime()?;
    if let Some(Command::Backup { to }) = &args.command {
        // The database is taken as it is: nothing is migrated that is about to be copied.
        runtime.block_on(args.database.back_up(to))?;
        println!("the database is copied to {}", to.display());
        return Ok(());
    }
    let exporting = trace::start(&args.trace, "delivery", runtime.handle())?;
    let Some(store) = runtime.block_on(shutdown.or(open(args))) else {
        // Whatever it waits for, its threads are not waited for.
        runtime.shutdown_background();
        anyhow::bail!("told to end before the database was ready");
    };
    let store = store?;
    match &args.command {
        Some(Command::Migrate) => println!("the tables are up to date"),
        // Done above, without a store.
        Some(Command::Backup { .. }) => {}
        Some(Command::Archive(settings)) => {
            let older_than = time::before(time::now(), settings.older_than());
            let archived =
                runtime.block_on(archive::archive(&store, older_than, &settings.to, &shutdown, report))?;
            println!("archived {archived} deliveries into {}", settings.to.display());
        }
        None => {
            let product = Product::new(&args.product)?;
            let tls = args.tls.load(&[proto::delivery::FILE_DESCRIPTOR_SET])?;
            let calls = TcpListener::bind(args.listen)
                .with_context(|| format!("can't listen on {} (--listen, CANDELIVER_LISTEN)", args.listen))?;
            if let Some(resolver) = args.product.product_url.resolver() {
                runtime.block_on(product.follow(&args.product, resolver));
            }
            let listeners = Listeners { calls, tls, admin: args.admin.bind()? };
            serve(listeners, &args.server, store.clone(), product, args.rules(), shutdown)?;
        }
    }
    exporting.end();
    database::end(runtime, store.database());
    Ok(())
}

/// How far an archive has come, for who waits for it.
fn report(archived: u64) {
    eprintln!("archived {archived} deliveries so far");
}

async fn open(args: &Args) -> Result<Store, StoreError> {
    let told_to_migrate = args.command == Some(Command::Migrate);
    args.database.open(&store::migrations(), told_to_migrate).await.map(Store::new)
}
