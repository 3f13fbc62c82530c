//! Which database a service uses.

use std::path::PathBuf;

use clap::Args;

/// Flags for the database, the same for each service.
#[derive(Args, Clone, Debug)]
pub struct DatabaseSettings {
    /// The database: sqlite://FILE (made if missing) or postgres://USER:PASSWORD@HOST/NAME.
    #[arg(long, env = "CANDELIVER_DATABASE_URL", hide_env_values = true, value_name = "URL", global = true)]
    pub database_url: Option<String>,

    /// A file that holds the database URL: passwords belong in files, not in arguments that everyone can list.
    #[arg(long, env = "CANDELIVER_DATABASE_URL_FILE", value_name = "FILE", global = true)]
    pub database_url_file: Option<PathBuf>,

    /// Don't bring the tables up to date at start; refuse to start if they are not. Use it where a Job runs `migrate`
    /// before a rollout.
    #[arg(long, env = "CANDELIVER_NO_MIGRATE", global = true)]
    pub no_migrate: bool,

    /// Most connections to PostgreSQL. Times the number of processes it must stay under the server's max_connections,
    /// which is 100 unless set.
    #[arg(long, env = "CANDELIVER_DATABASE_CONNECTIONS", value_name = "N", default_value_t = 10, global = true,
          value_parser = clap::value_parser!(u32).range(2..=1_000))]
    pub database_connections: u32,
}
