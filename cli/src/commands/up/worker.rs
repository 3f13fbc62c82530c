//! One service as a process of its own: started, watched, told to end.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, timeout};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::addresses::{Addresses, url_of};
use super::folder::Folder;
use crate::clients::{ConnectionFlags, Peer, Service, Url};
use crate::exit::{Exit, Failure};

/// How long a service may take to serve: migrations of a new database take milliseconds, a catalogue of a million rows
/// is read in seconds.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How often it is asked whether it serves: a newcomer should not wait for the asking.
const ASK_EVERY: Duration = Duration::from_millis(5);
/// How long one such question may take.
const ASK_TIMEOUT: Duration = Duration::from_secs(1);
/// How long calls that run may go on after Ctrl-C: on one's own machine nobody waits for longer.
const DRAIN_SECONDS: u64 = 5;
/// How long the process may take to end: its drain, its database's goodbye, and some more.
const END_TIMEOUT: Duration = Duration::from_secs(DRAIN_SECONDS + 5);
/// After how long a wait is explained: less looks as if nothing was waited for.
const EXPLAIN_AFTER: Duration = Duration::from_secs(1);
/// Lines of the log that are told when a service ends by itself.
const LAST_WORDS_LINES: usize = 8;
/// What is set for the services as a whole and would contradict the flags given here.
const CONTRADICTING_VARIABLES: [&str; 10] = [
    "CANDELIVER_DATABASE_URL",
    "CANDELIVER_DATABASE_URL_FILE",
    "CANDELIVER_NO_MIGRATE",
    // On one's own machine the two speak plain text.
    "CANDELIVER_TLS_CERT_FILE",
    "CANDELIVER_TLS_KEY_FILE",
    "CANDELIVER_TLS_CLIENT_CA_FILE",
    "CANDELIVER_ACCESS_FILE",
    "CANDELIVER_PRODUCT_CA_FILE",
    "CANDELIVER_PRODUCT_CERT_FILE",
    "CANDELIVER_PRODUCT_KEY_FILE",
];
/// Set by those who want logs otherwise than as people read them.
const LOG_FORMAT_VARIABLE: &str = "CANDELIVER_LOG_FORMAT";

/// A running service. Dropping it kills the process.
pub struct Worker {
    service: Service,
    address: SocketAddr,
    admin_address: SocketAddr,
    process: Child,
    id: u32,
    /// The service ends when this closes, as it does when this program is gone, whatever ended it.
    stdin: Option<ChildStdin>,
    log: PathBuf,
}

// === impl Worker ===

impl Worker {
    /// Starts Product.
    ///
    /// # Errors
    /// The process or its log can't be made.
    pub fn start_product(folder: &Folder, addresses: &Addresses) -> Result<Self, Failure> {
        let at = [addresses.product_listen, addresses.product_admin_listen];
        Self::start(Service::Product, "serve-product", folder, at, &[])
    }

    /// Starts Delivery, which need not wait for Product.
    ///
    /// # Errors
    /// The process or its log can't be made.
    pub fn start_delivery(folder: &Folder, addresses: &Addresses) -> Result<Self, Failure> {
        let at = [addresses.delivery_listen, addresses.delivery_admin_listen];
        let product_url = url_of(addresses.product_listen)?.to_string();
        Self::start(Service::Delivery, "serve-delivery", folder, at, &["--product-url", &product_url])
    }

    fn start(
        service: Service,
        command: &str,
        folder: &Folder,
        [address, admin_address]: [SocketAddr; 2],
        more: &[&str],
    ) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::new(Exit::No, format!("can't start {service}: {error}"));
        let log = folder.log_path(service);
        let log_file = File::create(&log).map_err(|error| Failure::file("write", log.display(), &error))?;
        let mut process = Command::new(std::env::current_exe().map_err(failed)?);
        process
            .arg(command)
            .args(["--listen", &address.to_string(), "--admin-listen", &admin_address.to_string()])
            .args(["--database-url", &folder.database_url(service)?])
            .args(["--drain-seconds", &DRAIN_SECONDS.to_string(), "--exit-with-stdin"])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(log_file.try_clone().map_err(failed)?)
            .stderr(log_file)
            .kill_on_drop(true);
        for variable in CONTRADICTING_VARIABLES {
            process.env_remove(variable);
        }
        if std::env::var_os(LOG_FORMAT_VARIABLE).is_none() {
            process.args(["--log-format", "human"]);
        }
        let mut process = process.spawn().map_err(failed)?;
        let id = process.id().unwrap_or_default();
        let stdin = process.stdin.take();
        Ok(Self { service, address, admin_address, process, id, stdin, log })
    }

    /// Where a client on this machine reaches it.
    ///
    /// # Errors
    /// The address can't be one of a service.
    pub fn url(&self) -> Result<Url, Failure> {
        url_of(self.address)
    }

    /// Where its metrics are read.
    ///
    /// # Errors
    /// The address can't be one of a service.
    pub fn admin_url(&self) -> Result<Url, Failure> {
        url_of(self.admin_address)
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Its log.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Waits until it serves.
    ///
    /// # Errors
    /// It ended, or took too long.
    pub async fn serving(&mut self) -> Result<(), Failure> {
        let peer = Peer::new(self.service, &self.url()?, &ConnectionFlags::within(ASK_TIMEOUT))?;
        let started = Instant::now();
        let mut explained = false;
        while !is_serving(&peer).await {
            if let Ok(Some(status)) = self.process.try_wait() {
                return Err(self.last_words("could not start", status));
            }
            if started.elapsed() > START_TIMEOUT {
                let message = format!("{} did not serve within {START_TIMEOUT:?}", self.service);
                return Err(Failure::new(Exit::No, message).with_advice(&self.end_of_log()));
            }
            if started.elapsed() > EXPLAIN_AFTER && !explained {
                eprintln!("waiting for {} to load what it holds", self.service);
                explained = true;
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        Ok(())
    }

    /// Waits until it ends by itself, which it should not.
    pub async fn ended(&mut self) -> Failure {
        match self.process.wait().await {
            Ok(status) => self.last_words("ended by itself", status),
            Err(error) => Failure::new(Exit::No, format!("can't wait for {}: {error}", self.service)),
        }
    }

    /// Closes its standard input.
    pub fn tell_to_end(&mut self) {
        self.stdin = None;
    }

    /// Waits until it has ended, and kills it if that takes too long: a stopped process hears nothing.
    pub async fn wait_for_the_end(&mut self) {
        if timeout(EXPLAIN_AFTER, self.process.wait()).await.is_ok() {
            return;
        }
        eprintln!("waiting for {} to finish what it has begun; Ctrl-C again ends at once", self.service);
        if timeout(END_TIMEOUT, self.process.wait()).await.is_err() {
            eprintln!("candeliver: {} did not end within {END_TIMEOUT:?} and was killed", self.service);
            // Fails only if it has ended just now.
            let _ = self.process.kill().await;
        }
    }

    fn last_words(&self, what: &str, status: ExitStatus) -> Failure {
        let message = format!("{} {what} ({status})", self.service);
        Failure::new(Exit::No, message).with_advice(&self.end_of_log())
    }

    fn end_of_log(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let last = &lines[lines.len().saturating_sub(LAST_WORDS_LINES)..];
        format!("The end of {}:\n  {}", self.log.display(), last.join("\n  "))
    }
}

async fn is_serving(peer: &Peer) -> bool {
    let check = async |channel, request| HealthClient::new(channel).check(request).await;
    let answer = peer.call(HealthCheckRequest::default(), check).await;
    answer.is_ok_and(|answer| answer.status() == ServingStatus::Serving)
}
