//! Service processes: started, broken, stopped, and never left behind.

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use chassis::tls::client::ClientTls;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use uuid::Uuid;

use super::{PATIENCE, binaries, eventually};

/// A running service. Killed when dropped.
pub struct Service {
    child: Child,
    log: PathBuf,
    /// Where it serves.
    pub address: SocketAddr,
    /// How the story speaks to it, if it speaks TLS.
    pub tls: Option<ClientTls>,
}

impl Service {
    /// Starts a program on a port of its own choice, or on `listen`, and waits until it serves.
    pub async fn start(name: &str, listen: Option<SocketAddr>, arguments: &[&str]) -> Self {
        Self::start_program(&binaries::path(name), listen, arguments).await
    }

    /// The same for a program that lies elsewhere.
    pub async fn start_program(program: &Path, listen: Option<SocketAddr>, arguments: &[&str]) -> Self {
        Self::start_command(Command::new(program), listen, arguments).await
    }

    /// The same for a command that becomes the program.
    pub async fn start_command(mut command: Command, listen: Option<SocketAddr>, arguments: &[&str]) -> Self {
        let log = std::env::temp_dir().join(format!("candeliver-story-{}.log", Uuid::new_v4()));
        let file = File::create(&log).expect("a log file");
        let listen = listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        let child = command
            .args(["--listen", &listen.to_string(), "--log-format", "json"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} starts: {error}"));
        let mut service = Self { child, log, address: listen, tls: None };
        service.address = eventually("the service serves", async || service.serving_address()).await;
        service
    }

    /// `http://` and the address, or `https://localhost` and the port.
    pub fn url(&self) -> String {
        match self.tls {
            None => format!("http://{}", self.address),
            Some(_) => format!("https://localhost:{}", self.address.port()),
        }
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        let mut text = String::new();
        File::open(&self.log)
            .and_then(|mut file| file.read_to_string(&mut text))
            .expect("the log is readable");
        text
    }

    /// Sends a signal. After SIGSTOP the process stands still: on a busy machine that takes a moment.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the process is there");
        if signal == Signal::SIGSTOP {
            let sent = Instant::now();
            while !self.is_stopped() {
                assert!(sent.elapsed() < PATIENCE, "it goes on");
                std::thread::yield_now();
            }
        }
    }

    /// Whether each of its threads is.
    fn is_stopped(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid())).expect("the process is there");
        threads.flatten().all(|thread| {
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            // Behind its name, which is in parentheses.
            stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('T'))
        })
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(mut self) -> SocketAddr {
        self.child.kill().expect("the process is there");
        self.child.wait().expect("the process ends");
        self.address
    }

    /// Waits for the end while clients of the story's own go on.
    pub async fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        eventually("the process ends", async || {
            match child.try_wait().expect("the process can be waited for") {
                Some(status) => Ok(status),
                None => Err("it runs"),
            }
        })
        .await
    }

    /// What the system calls it.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.process_id()).expect("a process id"))
    }

    /// How many calls its drain has cut.
    pub fn calls_cut(&self) -> u64 {
        let drained = line(&self.log(), "drained").expect("the drain is told of");
        drained["calls_cut"].as_u64().expect("a number")
    }

    fn serving_address(&mut self) -> Result<SocketAddr, String> {
        let log = self.log();
        if let Some(status) = self.child.try_wait().expect("the process can be waited for") {
            panic!("ended at start with {status}:\n{log}");
        }
        line(&log, "serving").and_then(|line| line["address"].as_str()?.parse().ok()).ok_or(log)
    }
}

/// The first line of a log that says something.
fn line(log: &str, message: &str) -> Option<Value> {
    let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.find(|line| line["message"] == message)
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of {}:\n{}", self.address, self.log());
        }
        let _ = std::fs::remove_file(&self.log);
    }
}
