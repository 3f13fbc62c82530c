//! The Product service: owns products, locations and the rules between them, and says what can be delivered where.
//!
//! | to know | read |
//! |---|---|
//! | what it can be told | `config.rs` |
//! | how it serves | `server.rs` |
//! | how calls are answered | `grpc.rs`, `grpc/` |
//! | what CanDeliver is answered from | `index.rs`, and who keeps it current: `follower.rs` |
//! | how the catalogue is kept, changed and followed | `store.rs`, `store/`, `migrations/` |
//! | what it tells on its metrics page | `metrics.rs` |
//! | what a revision is | `revision.rs` |
//! | how processes compare what they have read | `digest.rs` |
//!
//! The rules themselves are the `deliverability` crate's.

mod config;
mod digest;
mod follower;
mod grpc;
mod index;
mod metrics;
mod revision;
mod server;
mod store;

use std::net::TcpListener;

use anyhow::Context;
use chassis::database::{self, StoreError};
use chassis::server::Listeners;
use chassis::shutdown::Shutdown;
use chassis::{telemetry, trace};

pub use config::{Args, Command};
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub use grpc::fuzzing;
use server::serve;
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
    let exporting = trace::start(&args.trace, "product", runtime.handle())?;
    let Some(store) = runtime.block_on(shutdown.or(open(args))) else {
        // Whatever it waits for, its threads are not waited for.
        runtime.shutdown_background();
        anyhow::bail!("told to end before the database was ready");
    };
    let store = store?;
    match &args.command {
        Some(Command::Migrate) => println!("the tables are up to date"),
        Some(Command::NewEpoch) => {
            let head = runtime.block_on(store.new_epoch())?;
            println!("the catalogue is under epoch {} at revision {}", head.epoch, head.revision);
        }
        // Done above, without a store.
        Some(Command::Backup { .. }) => {}
        None => {
            let tls = args.tls.load(&[proto::product::FILE_DESCRIPTOR_SET])?;
            let calls = TcpListener::bind(args.listen)
                .with_context(|| format!("can't listen on {} (--listen, CANDELIVER_LISTEN)", args.listen))?;
            let listeners = Listeners { calls, tls, admin: args.admin.bind()? };
            serve(listeners, &args.server, store.clone(), args.max_index_age(), shutdown)?;
        }
    }
    exporting.end();
    database::end(runtime, store.database());
    Ok(())
}

async fn open(args: &Args) -> Result<Store, StoreError> {
    let told_to_migrate = args.command == Some(Command::Migrate);
    Store::open(args.database.open(&store::migrations(), told_to_migrate).await?).await
}
