//! Reading the settings at start: a bad one ends the process and names the variable that it may have come from.

use clap::error::{ContextKind, ContextValue};
use clap::{Command, Parser};

/// The settings from flags and variables. A bad one is told on standard error and ends the process; so do --help and
/// --version.
#[must_use]
pub fn parse<P: Parser>() -> P {
    P::try_parse().unwrap_or_else(|error| {
        if let Some(variable) = variable_of(&error, P::command()) {
            // clap names the flag alone, which is no help to who set a variable in a manifest.
            let _ = error.print();
            eprintln!("\nThe variable of this setting is {variable}.");
            std::process::exit(error.exit_code());
        }
        error.exit()
    })
}

/// The variable of the setting that `error` is about.
fn variable_of(error: &clap::Error, mut command: Command) -> Option<String> {
    let Some(ContextValue::String(wanted)) = error.get(ContextKind::InvalidArg) else { return None };
    // Only a built command knows how its arguments are written in messages.
    command.build();
    find_variable(wanted, &command)
}

fn find_variable(wanted: &str, command: &Command) -> Option<String> {
    let own = command.get_arguments().find(|argument| argument.to_string() == wanted);
    match own.and_then(|argument| argument.get_env()) {
        Some(variable) => Some(variable.to_string_lossy().into_owned()),
        None => command.get_subcommands().find_map(|command| find_variable(wanted, command)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{AdminSettings, LogSettings, ServerSettings};
    use crate::tls::TlsSettings;
    use clap::CommandFactory;

    #[derive(Parser, Debug)]
    struct Flags {
        #[command(flatten)]
        server: ServerSettings,
        #[command(flatten)]
        tls: TlsSettings,
        #[command(flatten)]
        admin: AdminSettings,
        #[command(flatten)]
        log: LogSettings,
    }

    fn variable_named_for(arguments: &[&str]) -> Option<String> {
        let error = Flags::try_parse_from([&["service"], arguments].concat()).unwrap_err();
        variable_of(&error, Flags::command())
    }

    #[test]
    fn a_bad_setting_names_its_variable() {
        assert_eq!(variable_named_for(&["--threads", "0"]).as_deref(), Some("CANDELIVER_THREADS"));
        assert_eq!(
            variable_named_for(&["--drain-seconds", "soon"]).as_deref(),
            Some("CANDELIVER_DRAIN_SECONDS")
        );
        assert_eq!(
            variable_named_for(&["--admin-listen", "9090"]).as_deref(),
            Some("CANDELIVER_ADMIN_LISTEN")
        );
        assert_eq!(variable_named_for(&["--log-format", "xml"]).as_deref(), Some("CANDELIVER_LOG_FORMAT"));
        assert_eq!(variable_named_for(&["--log", "loud=very"]).as_deref(), Some("CANDELIVER_LOG"));
    }

    #[test]
    fn a_bad_number_is_told_what_is_wanted() {
        for value in ["0", "1025", "many", "-1", "1.5", ""] {
            let error = Flags::try_parse_from(["service", &format!("--threads={value}")]).unwrap_err();
            assert!(error.to_string().contains("a whole number from 1 to 1024"), "{error}");
        }
    }

    #[test]
    fn every_setting_has_a_variable_named_like_its_flag_and_a_help_text() {
        Flags::command().debug_assert();
        for argument in Flags::command().get_arguments() {
            let flag = argument.get_long().unwrap();
            let wanted = format!("CANDELIVER_{}", flag.replace('-', "_").to_uppercase());
            assert_eq!(argument.get_env().map(|name| name.to_string_lossy().into_owned()), Some(wanted));
            assert!(argument.get_help().is_some(), "{flag} explains itself");
        }
    }

    #[test]
    fn the_defaults_of_the_flags_are_those_of_the_code() {
        let flags = Flags::try_parse_from(["service"]).unwrap();
        assert_eq!(format!("{:?}", flags.server), format!("{:?}", ServerSettings::default()));
        assert_eq!(format!("{:?}", flags.tls), format!("{:?}", TlsSettings::default()));
        assert_eq!(format!("{:?}", flags.admin), format!("{:?}", AdminSettings::default()));
        assert_eq!(format!("{:?}", flags.log), format!("{:?}", LogSettings::default()));
    }
}
