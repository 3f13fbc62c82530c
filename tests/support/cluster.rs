//! A PostgreSQL server of a story's own: what happens to a whole server happens to all of its databases.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chassis::database::throwaway::SQLITE_ONLY;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::operator;
use super::port::Port;

/// What each of these servers is started with. They keep what they acknowledged when they are killed; a power cut is nothing
/// that stories can show. Segments of 1 MiB keep a server small.
const SETTINGS: &[&str] =
    &["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "shared_buffers=16MB"];
const INITDB: &[&str] = &["-A", "trust", "--no-sync", "-U", "app", "--wal-segsize=1"];
/// How long pg_ctl waits for a server to start or to end, in seconds.
const PG_CTL_SECONDS: &str = "20";

/// See the module. Ends when dropped, and its data with it.
pub struct Cluster {
    folder: PathBuf,
    settings: Vec<String>,
    /// Nobody else gets the port while the server is away.
    port: Port,
}

// === impl Cluster ===

impl Cluster {
    /// A server with more settings; `None` only where the tests were told to do without PostgreSQL.
    pub fn start(settings: &[&str]) -> Option<Self> {
        Self::start_in(&std::env::temp_dir(), settings)
    }

    /// The same with its data in a folder of its own below another.
    pub fn start_in(below: &Path, settings: &[&str]) -> Option<Self> {
        let cluster = Self::plan(below, settings)?;
        cluster.run("initdb", &[&["-D", &cluster.data()], INITDB].concat());
        cluster.start_again();
        Some(cluster)
    }

    /// A server that follows this one, ready to take over.
    pub fn standby(&self, settings: &[&str]) -> Self {
        let standby = Self::plan(&std::env::temp_dir(), settings).expect("there is PostgreSQL");
        let primary = format!("host=127.0.0.1 port={} user=app", self.port.address.port());
        standby.run(
            "pg_basebackup",
            &["-D", &standby.data(), "-d", &primary, "-R", "-X", "stream", "-c", "fast", "--no-sync"],
        );
        standby.start_again();
        standby
    }

    fn plan(below: &Path, settings: &[&str]) -> Option<Self> {
        if std::env::var(SQLITE_ONLY).is_ok_and(|value| value == "1") {
            return None;
        }
        let folder = below.join(format!("candeliver-cluster-{}", Uuid::new_v4().simple()));
        fs::create_dir(&folder).expect("a folder for a server");
        // Its owner makes what is in it, and that is not root.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("the folder is ours");
        let settings = SETTINGS.iter().chain(settings).map(ToString::to_string).collect();
        Some(Self { folder, settings, port: Port::reserve() })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address
    }

    /// The URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://app@{}/{database}", self.port.address)
    }

    /// Somebody who may do anything.
    pub async fn operator(&self) -> PgConnection {
        PgConnection::connect(&self.url("postgres")).await.expect("the server answers")
    }

    /// Runs statements one by one; each must succeed.
    pub async fn run_sql(&self, statements: &[&str]) {
        let statements: Vec<_> = statements.iter().map(ToString::to_string).collect();
        operator::run(&mut self.operator().await, &statements).await;
    }

    /// Ends it as a crash does: no goodbye, and what it was doing is to be recovered.
    pub fn stop_immediately(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "-t", PG_CTL_SECONDS, "stop"]);
    }

    /// Starts it on the port that it had.
    pub fn start_again(&self) {
        let mut options = format!("-p {}", self.port.address.port());
        for setting in &self.settings {
            options.push_str(&format!(" -c '{setting}'"));
        }
        let log = self.folder.join("log").display().to_string();
        self.run(
            "pg_ctl",
            &["-D", &self.data(), "-w", "-t", PG_CTL_SECONDS, "-l", &log, "-o", &options, "start"],
        );
    }

    /// Starts it unless it is there.
    pub fn start_if_ended(&self) {
        if self.postmaster().is_none() {
            self.start_again();
        }
    }

    /// Makes a standby the primary.
    pub fn promote(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-w", "-t", PG_CTL_SECONDS, "promote"]);
    }

    /// Stops all its processes as they are: it takes connections, and nothing ever comes back.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets them go on.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// The postmaster first, so that it starts no other.
    fn signal(&self, signal: Signal) {
        let Some(postmaster) = self.postmaster() else { return };
        let children = fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children"));
        let children = children.unwrap_or_default();
        for process in std::iter::once(postmaster).chain(children.split_whitespace().flat_map(str::parse)) {
            // One may have ended meanwhile.
            let _ = kill(Pid::from_raw(process), signal);
        }
    }

    /// Its process, if that lives: the file outlives a crash.
    fn postmaster(&self) -> Option<i32> {
        let file = fs::read_to_string(self.folder.join("data/postmaster.pid")).ok()?;
        let process: i32 = file.lines().next()?.trim().parse().ok()?;
        let name = fs::read_to_string(format!("/proc/{process}/comm")).ok()?;
        (name.trim() == "postgres").then_some(process)
    }

    fn data(&self) -> String {
        self.folder.join("data").display().to_string()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        assert!(self.try_run(program, arguments), "{program} {arguments:?}: {}", self.log());
    }

    /// Output goes to a file: a server would keep a pipe open.
    fn try_run(&self, program: &str, arguments: &[&str]) -> bool {
        let output = fs::File::create(self.folder.join("output")).expect("a file for what it says");
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/postgres"));
        command.arg("as-owner").arg(program).args(arguments);
        command.stdin(Stdio::null()).stdout(output.try_clone().expect("an open file")).stderr(output);
        command.status().expect("scripts/postgres runs").success()
    }

    fn log(&self) -> String {
        let read = |name| fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        format!("{}\n{}", read("output"), read("log"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.thaw();
        if std::thread::panicking() {
            eprintln!("--- log of the PostgreSQL at {}:\n{}", self.port.address, self.log());
        }
        if self.postmaster().is_some() {
            self.try_run(
                "pg_ctl",
                &["-D", &self.data(), "-m", "immediate", "-w", "-t", PG_CTL_SECONDS, "stop"],
            );
        }
        // What can't be removed now goes with the temporary folder.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
