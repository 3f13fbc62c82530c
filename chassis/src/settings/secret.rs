//! Secrets: given as a value, or better as a file that only this process may read.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a secret could not be had. Names flags, variables and paths, never the secret.
#[derive(Debug, Error)]
pub enum SecretError {
    /// The value and the file were given.
    #[error(
        "--{flag} and --{flag}-file exclude each other ({variable} and {variable}_FILE): set one of them"
    )]
    Both {
        /// The flag of the value.
        flag: String,
        /// The variable of the value.
        variable: String,
    },
    /// The file could not be read.
    #[error("--{flag}-file ({variable}_FILE) wants a readable text file, and {path} is not: {source}")]
    Unreadable {
        /// The flag of the value.
        flag: String,
        /// The variable of the value.
        variable: String,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The secret that `--flag` holds or the file of `--flag-file`, without the white space around it; none when neither was
/// given.
///
/// # Errors
/// Both were given, or the file could not be read.
pub fn secret_from(
    flag: &str,
    value: Option<&str>,
    file: Option<&Path>,
) -> Result<Option<String>, SecretError> {
    let variable = || format!("CANDELIVER_{}", flag.replace('-', "_").to_uppercase());
    match (value, file) {
        (Some(_), Some(_)) => Err(SecretError::Both { flag: flag.to_owned(), variable: variable() }),
        (Some(value), None) => Ok(Some(value.to_owned())),
        (None, None) => Ok(None),
        (None, Some(path)) => match std::fs::read_to_string(path) {
            Ok(content) => Ok(Some(content.trim().to_owned())),
            Err(source) => Err(SecretError::Unreadable {
                flag: flag.to_owned(),
                variable: variable(),
                path: path.to_owned(),
                source,
            }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_comes_from_its_file_without_the_line_end() {
        let path = std::env::temp_dir().join(format!("chassis-secret-{}", std::process::id()));
        std::fs::write(&path, "postgres://u:p@h/d\n").unwrap();
        let secret = secret_from("database-url", None, Some(&path)).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(secret.as_deref(), Some("postgres://u:p@h/d"));
    }

    #[test]
    fn a_value_and_a_file_together_are_an_error_that_names_both_and_tells_neither() {
        let error = secret_from("database-url", Some("hush"), Some(Path::new("/f"))).unwrap_err().to_string();
        assert!(error.contains("--database-url and --database-url-file"), "{error}");
        assert!(error.contains("CANDELIVER_DATABASE_URL and CANDELIVER_DATABASE_URL_FILE"), "{error}");
        assert!(!error.contains("hush"), "{error}");
    }

    #[test]
    fn an_unreadable_file_is_an_error_that_names_the_variable_and_the_path() {
        let error = secret_from("database-url", None, Some(Path::new("/no/such"))).unwrap_err().to_string();
        assert!(error.contains("CANDELIVER_DATABASE_URL_FILE"), "{error}");
        assert!(error.contains("/no/such"), "{error}");
    }
}
