//! Serving over pipes in memory, on the test's own runtime: with paused time a minute takes no time.

use std::io;

use chassis::connections::{ConnectionLimits, serve_secured};
use chassis::health::Health;
use chassis::reflection;
use chassis::services::{CallLimits, Services};
use chassis::settings::ServerSettings;
use chassis::shutdown::{Shutdown, Trigger};
use chassis::tls::ServerTls;
use futures_util::stream;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{Client, Script, ScriptServer};

const PIPE_BYTES: usize = 64 * 1024;

/// A server that is reached through `connect`.
pub struct Wire {
    pub script: Script,
    pub health: Health,
    pub calls: CallLimits,
    /// Ends when the server does.
    pub serving: JoinHandle<()>,
    trigger: Trigger,
    incoming: mpsc::UnboundedSender<io::Result<DuplexStream>>,
}

impl Wire {
    pub fn new() -> Self {
        Self::with(&ServerSettings::default())
    }

    pub fn with(settings: &ServerSettings) -> Self {
        Self::made(settings, None)
    }

    pub fn secured(settings: &ServerSettings, tls: ServerTls) -> Self {
        Self::made(settings, Some(tls))
    }

    fn made(settings: &ServerSettings, tls: Option<ServerTls>) -> Self {
        let (trigger, shutdown) = Shutdown::new();
        let (incoming, accepted) = mpsc::unbounded_channel();
        let script = Script::new(shutdown.clone());
        let health = Health::new(&["test.Script"]);
        let calls = CallLimits::new(settings);
        let services = services(&script, &health, &shutdown).with_limits(calls.clone());
        let accepted = stream::unfold(accepted, |mut accepted| async {
            accepted.recv().await.map(|connection| (connection, accepted))
        });
        let limits = ConnectionLimits::new(settings);
        let serving = tokio::spawn(serve_secured(accepted, services, limits, tls, shutdown));
        Self { script, health, calls, serving, trigger, incoming }
    }

    /// A bare connection.
    pub fn connect(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        let _ = self.incoming.send(Ok(theirs));
        ours
    }

    pub fn fail_an_accept(&self, error: io::ErrorKind) {
        let _ = self.incoming.send(Err(error.into()));
    }

    pub async fn client(&self) -> Client {
        Client::over(self.connect()).await
    }

    /// Starts the drain.
    pub fn end(&self) {
        self.health.drain();
        self.trigger.start();
    }
}

/// The scripted service, health and reflection.
pub fn services(script: &Script, health: &Health, shutdown: &Shutdown) -> Services {
    let (v1, v1alpha) = reflection::services(&[]).unwrap();
    Services::new()
        .add(ScriptServer(script.clone()))
        .add_unlimited(health.service(shutdown.clone()))
        .add_unlimited(v1)
        .add_unlimited(v1alpha)
}
