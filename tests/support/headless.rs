//! A name that stands for whoever is ready, as a headless Service's does: looked up by a process as it looks up any other, in a
//! hosts file that it is given in the place of the system's.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;

use tokio::sync::watch;
use uuid::Uuid;

use super::binaries;
use super::small_disk::is_unprivileged;

/// The file keeps its size, so that who reads it while it is written finds one state or the other.
const FILE_BYTES: usize = 1024;
/// In a mount namespace of the process's own, which anybody may make who may make one for users.
const UNSHARE: [&str; 4] = ["--map-root-user", "--mount", "sh", "-c"];
const WITH_HOSTS: &str = r#"mount --bind "$0" /etc/hosts && exec "$@""#;

/// See the module. Its file goes when dropped.
pub struct Headless {
    name: &'static str,
    hosts: PathBuf,
}

// === impl Headless ===

impl Headless {
    /// Stands for the endpoints as they are told; `None` only where the tests were told to do without mounts.
    pub fn name(name: &'static str, mut endpoints: watch::Receiver<Vec<SocketAddr>>) -> Option<Self> {
        if is_unprivileged() {
            return None;
        }
        let hosts = std::env::temp_dir().join(format!("candeliver-hosts-{}", Uuid::new_v4().simple()));
        let file = File::create(&hosts).expect("a hosts file");
        write(&file, name, &endpoints.borrow_and_update());
        tokio::spawn(async move {
            while endpoints.changed().await.is_ok() {
                write(&file, name, &endpoints.borrow_and_update());
            }
        });
        Some(Self { name, hosts })
    }

    /// The URL of those that listen on a port.
    pub fn url(&self, port: u16) -> String {
        format!("http://{}:{port}", self.name)
    }

    /// Runs a program of ours that looks the name up.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("unshare");
        command.args(UNSHARE).arg(WITH_HOSTS).arg(&self.hosts).arg(binaries::path(program));
        command
    }
}

impl Drop for Headless {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.hosts);
    }
}

/// In place: a mount is of this file, not of another under its name.
fn write(file: &File, name: &str, endpoints: &[SocketAddr]) {
    let lines = endpoints.iter().map(|endpoint| format!("{} {name}\n", endpoint.ip()));
    let mut text: String = std::iter::once("127.0.0.1 localhost\n".to_owned()).chain(lines).collect();
    assert!(text.len() <= FILE_BYTES, "{text}");
    text.extend(std::iter::repeat_n('\n', FILE_BYTES - text.len()));
    file.write_all_at(text.as_bytes(), 0).expect("the file can be written");
}
