//! The Delivery service as a program.

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Stores deliveries, and asks Product first whether they can be made.
///
/// Serves gRPC. Flags can also be given as the variables named beside them. Ends with 0 after a drain, 1 if it could not
/// start or serve, 2 for a bad flag or variable.
#[derive(Parser, Debug)]
#[command(name = "delivery", version)]
struct Cli {
    #[command(flatten)]
    args: delivery::Args,
}

fn main() -> ExitCode {
    let cli: Cli = chassis::settings::parse();
    match delivery::run(&cli.args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("delivery: {error:#}");
            ExitCode::FAILURE
        }
    }
}
