//! Serving as a process does: `server::run` on a thread of its own, over real sockets.

use std::io;
use std::net::{SocketAddr, TcpListener};

use chassis::health::Health;
use chassis::metrics;
use chassis::server::{self, Listeners};
use chassis::settings::ServerSettings;
use chassis::shutdown::{Shutdown, Trigger};
use chassis::tls::ServerTls;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::{Client, Script, soon, wire};

/// A server on a port of its own.
pub struct Process {
    pub script: Script,
    pub address: SocketAddr,
    pub admin: SocketAddr,
    trigger: Trigger,
    result: oneshot::Receiver<io::Result<()>>,
}

impl Process {
    pub fn start(settings: ServerSettings) -> Self {
        Self::secured(settings, None)
    }

    pub fn secured(settings: ServerSettings, tls: Option<ServerTls>) -> Self {
        let bind = || TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let (calls, admin) = (bind(), bind());
        let addresses = (calls.local_addr().unwrap(), admin.local_addr().unwrap());
        let listeners = Listeners { calls, tls, admin: Some(admin) };
        let (trigger, shutdown) = Shutdown::new();
        let script = Script::new(shutdown.clone());
        let health = Health::new(&["test.Script"]);
        let (done, result) = oneshot::channel();
        let make_services = {
            let (script, health, shutdown) = (script.clone(), health.clone(), shutdown.clone());
            move || wire::services(&script, &health, &shutdown)
        };
        std::thread::spawn(move || {
            let registry = metrics::registry();
            let ran = server::run(listeners, &settings, make_services, health, registry, shutdown);
            let _ = done.send(ran);
        });
        let (address, admin) = addresses;
        Self { script, address, admin, trigger, result }
    }

    /// A bare connection.
    pub async fn connect(&self) -> TcpStream {
        let connection = TcpStream::connect(self.address).await.unwrap();
        connection.set_nodelay(true).unwrap();
        connection
    }

    pub async fn client(&self) -> Client {
        Client::over(self.connect().await).await
    }

    /// Starts the drain.
    pub fn end(&self) {
        self.trigger.start();
    }

    /// What `run` returned, which must be soon.
    pub async fn returned(self) -> io::Result<()> {
        soon(self.result).await.expect("run did not panic")
    }
}
