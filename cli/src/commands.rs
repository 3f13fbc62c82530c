//! The commands, a module for each.

mod check;
mod deliver;
mod deliveries;
mod export;
mod import;
mod place;
mod resolve;
mod rule;
mod status;
#[cfg(feature = "up")]
mod up;
mod watch;

use clap::Subcommand;

use crate::exit::{Exit, Failure};

/// What to do. Each command's help stands with its arguments.
#[derive(Subcommand, Debug)]
pub enum Command {
    #[cfg(feature = "up")]
    Up(up::Args),
    Check(check::Args),
    Resolve(resolve::Args),
    Rule(rule::Args),
    Deliver(deliver::Args),
    Deliveries(deliveries::Args),
    Import(import::Args),
    Export(export::Args),
    Watch(watch::Args),
    Status(status::Args),
    /// Be the Product service: what `up` starts.
    #[cfg(feature = "up")]
    #[command(hide = true)]
    ServeProduct(Box<product::Args>),
    /// Be the Delivery service: what `up` starts.
    #[cfg(feature = "up")]
    #[command(hide = true)]
    ServeDelivery(Box<delivery::Args>),
}

// === impl Command ===

impl Command {
    /// Does it, to the end.
    ///
    /// # Errors
    /// What was wrong, with the exit code that says so.
    pub fn run(self) -> Result<Exit, Failure> {
        match self {
            #[cfg(feature = "up")]
            Self::Up(args) => on_runtime(up::run(args)),
            Self::Import(args) => on_runtime(import::run(args)),
            Self::Export(args) => on_runtime(export::run(args)),
            Self::Check(args) => on_runtime(check::run(args)),
            Self::Resolve(args) => on_runtime(resolve::run(args)),
            Self::Rule(args) => on_runtime(rule::run(args)),
            Self::Deliver(args) => on_runtime(deliver::run(args)),
            Self::Deliveries(args) => on_runtime(deliveries::run(args)),
            Self::Watch(args) => on_runtime(watch::run(args)),
            Self::Status(args) => on_runtime(status::run(args)),
            #[cfg(feature = "up")]
            Self::ServeProduct(args) => served(product::run(&args)),
            #[cfg(feature = "up")]
            Self::ServeDelivery(args) => served(delivery::run(&args)),
        }
    }
}

/// The commands wait for sockets and do little else: one thread is enough.
fn on_runtime(command: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Exit::No, format!("can't start: {error}")))?;
    runtime.block_on(command)
}

/// `{error:#}` tells the whole chain of an anyhow error.
#[cfg(feature = "up")]
fn served(outcome: Result<(), impl std::fmt::Display>) -> Result<Exit, Failure> {
    match outcome {
        Ok(()) => Ok(Exit::Done),
        Err(error) => Err(Failure::new(Exit::No, format!("{error:#}"))),
    }
}
