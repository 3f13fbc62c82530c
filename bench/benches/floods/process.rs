//! A service on an empty SQLite database, and what Linux tells of its memory.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use uuid::Uuid;

const START_TIMEOUT: Duration = Duration::from_secs(30);

pub struct Process {
    child: Child,
    folder: PathBuf,
    pub address: SocketAddr,
}

// === impl Process ===

impl Process {
    /// Starts a program with further flags.
    pub fn start(program: &str, flags: &[String]) -> Self {
        let folder = std::env::temp_dir().join(format!("candeliver-bench-{}", Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let programs = std::env::var_os("CANDELIVER_BENCH_PROGRAMS").map(PathBuf::from);
        let programs =
            programs.unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release").into());
        let child = Command::new(programs.join(program))
            .arg(format!("--listen={address}"))
            .arg(format!("--database-url=sqlite://{}/{program}.db", folder.display()))
            .args(flags)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("cargo build --release --bins comes first");
        Self { child, folder, address }
    }

    pub async fn until_it_serves(&self) {
        let channel = Endpoint::from_shared(format!("http://{}", self.address)).unwrap().connect_lazy();
        let serving = async {
            loop {
                let request = HealthCheckRequest::default();
                let checked = HealthClient::new(channel.clone()).check(request).await;
                if checked.is_ok_and(|checked| checked.into_inner().status == 1) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(START_TIMEOUT, serving).await.expect("it serves in time");
    }

    pub fn resident_mib(&self) -> f64 {
        self.mib("VmRSS")
    }

    pub fn peak_mib(&self) -> f64 {
        self.mib("VmHWM")
    }

    fn mib(&self, line: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let value = status.lines().find_map(|told| told.strip_prefix(line)?.strip_prefix(':')).unwrap();
        value.trim().strip_suffix(" kB").unwrap().parse::<f64>().unwrap() / 1_024.0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
