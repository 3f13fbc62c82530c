//! A running system: `candeliver up` on free ports in a folder of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_candeliver");
pub const PAPERBACK: &str = "027f21eb-dff8-5a45-a968-83723d4b7023";
pub const MILK: &str = "f592f1f8-73fa-546c-85bb-a2f2d04e08d2";
pub const AMSTERDAM: &str = "552c3cc0-c918-5453-af41-5955783465e4";
pub const BERLIN: &str = "6ee51d26-c2f7-5d17-824c-a0d88f6ebdb0";

const ANY_PORT: &str = "127.0.0.1:0";

/// Far more than anything here takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command that goes on: what it says, line by line.
pub struct Running {
    process: Child,
    stdout: mpsc::Receiver<String>,
}

/// A folder that goes away with its test.
pub struct Folder(PathBuf);

/// A running `up`; killed when dropped, and its services end with it.
pub struct System {
    up: Child,
    stderr: mpsc::Receiver<String>,
    pub welcome: String,
}

/// What a command left behind.
#[derive(Debug)]
pub struct Done {
    pub exit: i32,
    pub stdout: String,
    pub stderr: String,
}

// === impl Folder ===

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("cli-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A path inside it.
    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    pub fn write(&self, name: &str, content: &str) -> String {
        std::fs::write(self.0.join(name), content).unwrap();
        self.path(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

// === impl System ===

impl System {
    /// Starts it with the sample catalogue and waits for its welcome.
    pub fn start(folder: &Folder) -> Self {
        Self::start_at(folder, ANY_PORT, ANY_PORT)
    }

    /// The same at given addresses.
    pub fn start_at(folder: &Folder, product: &str, delivery: &str) -> Self {
        let data = folder.path("data");
        let mut arguments = vec!["up", "--data", &data];
        arguments.extend(["--product-listen", product, "--product-admin-listen", ANY_PORT]);
        arguments.extend(["--delivery-listen", delivery, "--delivery-admin-listen", ANY_PORT]);
        let mut up =
            command(PROGRAM, &arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = lines(up.stdout.take().unwrap());
        let stderr = lines(up.stderr.take().unwrap());
        let mut welcome = String::new();
        while !welcome.contains("Ctrl-C ends both.") {
            match stdout.recv_timeout(PATIENCE) {
                Ok(line) => welcome = format!("{welcome}{line}\n"),
                Err(_) => {
                    panic!("up said no more than {welcome:?} and {:?}", stderr.try_iter().collect::<Vec<_>>())
                }
            }
        }
        Self { up, stderr, welcome }
    }

    /// Runs a command against this system.
    pub fn run(&self, arguments: &[&str]) -> Done {
        let mut command = command(PROGRAM, arguments);
        command
            .env("CANDELIVER_PRODUCT", self.url("Product"))
            .env("CANDELIVER_DELIVERY", self.url("Delivery"))
            .env("CANDELIVER_PRODUCT_ADMIN", self.metrics_of("Product"))
            .env("CANDELIVER_DELIVERY_ADMIN", self.metrics_of("Delivery"));
        done(&mut command)
    }

    /// Starts a command that goes on.
    pub fn start_command(&self, arguments: &[&str]) -> Running {
        let mut command = command(PROGRAM, arguments);
        command.env("CANDELIVER_PRODUCT", self.url("Product")).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let stdout = lines(process.stdout.take().unwrap());
        Running { process, stdout }
    }

    /// The commands that the welcome says to try, as a person would copy them.
    pub fn suggested(&self) -> Vec<&str> {
        self.welcome.lines().filter(|line| line.trim_start().starts_with(PROGRAM)).map(str::trim).collect()
    }

    pub fn url(&self, service: &str) -> &str {
        self.words(service)[1]
    }

    pub fn process_of(&self, service: &str) -> &str {
        self.words(service)[3]
    }

    /// Where a service's metrics are.
    pub fn metrics_of(&self, service: &str) -> &str {
        let words = self.words("metrics");
        let index =
            words.iter().position(|word| word.trim_end_matches(',') == format!("({service})")).unwrap();
        words[index - 1]
    }

    /// Sends a signal to `up` itself.
    pub fn signal(&self, name: &str) {
        signal(name, &self.up.id().to_string());
    }

    /// Waits for the end of `up`, and gives what it wrote to standard error.
    pub fn end(&mut self) -> (ExitStatus, String) {
        let mut errors = String::new();
        // Standard error closes when the process has ended.
        loop {
            match self.stderr.recv_timeout(PATIENCE) {
                Ok(line) => errors = format!("{errors}{line}\n"),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("up does not end, and said {errors:?}"),
            }
        }
        (self.up.wait().unwrap(), errors)
    }

    fn words(&self, service: &str) -> Vec<&str> {
        let line = self.welcome.lines().find(|line| line.trim_start().starts_with(service)).unwrap();
        line.split_whitespace().collect()
    }
}

impl Drop for System {
    fn drop(&mut self) {
        let _ = self.up.kill();
        let _ = self.up.wait();
    }
}

// === impl Running ===

impl Running {
    /// Waits for a line that holds `text`, past others.
    pub fn line_with(&self, text: &str) -> String {
        loop {
            let line = self.stdout.recv_timeout(PATIENCE).unwrap();
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Interrupts it, as Ctrl-C does, and gives its exit code.
    pub fn interrupt(mut self) -> i32 {
        signal("INT", &self.process.id().to_string());
        // Its end closes the pipe.
        while self.stdout.recv_timeout(PATIENCE).is_ok() {}
        self.process.wait().unwrap().code().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs a command that needs no system.
pub fn run(arguments: &[&str]) -> Done {
    done(&mut command(PROGRAM, arguments))
}

/// Runs a line as a person would paste it.
pub fn paste(line: &str) -> Done {
    done(&mut command("sh", &["-c", line]))
}

/// Sends a signal to a process.
pub fn signal(name: &str, process: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), process]).status().unwrap().success());
}

/// Asks until the answer is yes.
pub fn wait_until(what: &str, mut yes: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !yes() {
        assert!(Instant::now() < deadline, "{what} did not come");
    }
}

fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CANDELIVER_")) {
        command.env_remove(name);
    }
    command
}

fn done(command: &mut Command) -> Done {
    let output = command.output().unwrap();
    Done {
        exit: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Lines as they come, so that waiting for one can be bounded.
fn lines(pipe: impl std::io::Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
