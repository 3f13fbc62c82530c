//! The Product service as a program.

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Owns products, locations and rules, and answers whether a product can be delivered to a location.
///
/// Serves gRPC. Flags can also be given as the variables named beside them. Ends with 0 after a drain, 1 if it could not
/// start or serve, 2 for a bad flag or variable.
#[derive(Parser, Debug)]
#[command(name = "product", version)]
struct Cli {
    #[command(flatten)]
    args: product::Args,
}

fn main() -> ExitCode {
    let cli: Cli = chassis::settings::parse();
    match product::run(&cli.args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("product: {error:#}");
            ExitCode::FAILURE
        }
    }
}
