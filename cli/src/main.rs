//! `candeliver`: starts both services on this machine, and speaks to them over the wire.
//!
//! | to know | read |
//! |---|---|
//! | what a command does | `commands/`, a file for each |
//! | how a service is reached, and how its errors are told | `clients.rs`, `clients/` |
//! | how a metrics page is read | `clients/admin.rs`, `openmetrics.rs` |
//! | how answers look | `tables.rs`, `words.rs`; for programs `json.rs` |
//! | what the exit codes mean | `exit.rs` |

#![cfg_attr(
    not(feature = "up"),
    allow(dead_code, reason = "some of what the commands share only `up` needs")
)]

mod clients;
mod commands;
mod exit;
mod json;
mod openmetrics;
mod progress;
mod tables;
mod words;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Foreign keys between microservices: checks that a product can be delivered to a location before a delivery is stored.
///
#[cfg_attr(
    feature = "up",
    doc = "`candeliver up` starts both services on this machine with a sample catalogue; the other commands speak to them, \
           here or elsewhere."
)]
#[derive(Parser, Debug)]
#[command(name = "candeliver", version, after_help = exit::TABLE, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: commands::Command,
}

fn main() -> ExitCode {
    let cli: Cli = chassis::settings::parse();
    match cli.command.run() {
        Ok(exit) => exit.into(),
        Err(failure) => failure.tell().into(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_commands_are_well_formed_and_each_says_how_it_ends() {
        Cli::command().debug_assert();
        let mut command = Cli::command();
        command.build();
        for command in command.get_subcommands_mut().filter(|command| !command.is_hide_set()) {
            let help =
                command.render_long_help().to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(help.contains("nds with 0") || help.contains("nds it with 0"), "{help}");
        }
    }
}
