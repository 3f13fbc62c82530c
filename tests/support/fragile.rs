//! A Product that gets into trouble and out of it.

use std::net::SocketAddr;
use std::time::Duration;

use nix::sys::signal::Signal;
use tonic::Code;

use super::catalogue::Shop;
use super::databases::Throwaway;
use super::faults::{Fault, Faults};
use super::gateway::{Failure, Gateway};
use super::port::Port;
use super::process::Service;
use super::{catalogue, services};

/// Each way: there and back it is longer than --product-slow-ms allows, and as a rule within an attempt's time.
const SLOW: Duration = Duration::from_millis(110);
/// When a Product that is not ready says to come again, and when one that has too much to do does.
const READY_AFTER: Duration = Duration::from_secs(1);
const FREE_AFTER: Duration = Duration::from_millis(100);
/// A question, with HTTP/2's own words, is some hundred bytes: it takes some seconds.
const TRICKLE_BYTES_PER_SECOND: u32 = 100;

/// What can happen to a Product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The process is gone (SIGKILL): connections are refused. It comes back as a new process.
    Killed,
    /// The process hangs (SIGSTOP): connections are taken, and nothing ever comes back.
    Stopped,
    /// It answers every call so.
    Failing(Failure),
    /// The network between has a fault.
    Network(Fault),
}

/// See the module.
pub struct Fragile {
    process: Option<Service>,
    database: Throwaway,
    port: Port,
    front: Front,
    trouble: Trouble,
}

/// What stands between callers and the process, if anything must for a trouble to come from there.
enum Front {
    Nothing,
    Faults(Faults),
    Gateway(Gateway),
}

// === impl Trouble ===

impl Trouble {
    /// Slow answers, but answers.
    pub const SLOW: Self = Self::Network(Fault::Delay(SLOW));
    /// As a Product answers that has not read its catalogue yet, or whose catalogue is too old.
    pub const NOT_READY: Self =
        Self::Failing(Failure { code: Code::Unavailable, retry_after: Some(READY_AFTER) });
    /// As a Product answers that works on as many calls as it may.
    pub const OVERLOADED: Self =
        Self::Failing(Failure { code: Code::ResourceExhausted, retry_after: Some(FREE_AFTER) });
    /// So few bytes a second that no answer comes in time.
    pub const TRICKLE: Self = Self::Network(Fault::Throttle(TRICKLE_BYTES_PER_SECOND));

    /// Answers every call with a bare code, as something that is not Product does, or a Product that is broken.
    pub const fn failing(code: Code) -> Self {
        Self::Failing(Failure { code, retry_after: None })
    }
}

// === impl Fragile ===

impl Fragile {
    /// A Product with a shop, well for now, that will have this trouble.
    pub async fn start(database: Throwaway, shop: &Shop, trouble: Trouble) -> Self {
        let port = Port::reserve();
        let process = services::product_with(&database.url(), Some(port.address), &[]).await;
        catalogue::stock(&process, shop).await;
        let front = match trouble {
            Trouble::Killed | Trouble::Stopped => Front::Nothing,
            Trouble::Failing(_) => Front::Gateway(Gateway::in_front_of(port.address).await),
            Trouble::Network(_) => Front::Faults(Faults::in_front_of(port.address)),
        };
        Self { process: Some(process), database, port, front, trouble }
    }

    /// Where it is asked.
    pub fn address(&self) -> SocketAddr {
        match &self.front {
            Front::Nothing => self.port.address,
            Front::Faults(faults) => faults.address,
            Front::Gateway(gateway) => gateway.address,
        }
    }

    /// Break.
    pub fn begin(&mut self) {
        match (self.trouble, &self.front) {
            (Trouble::Killed, _) => drop(self.process.take().map(Service::kill)),
            (Trouble::Stopped, _) => self.signal(Signal::SIGSTOP),
            (Trouble::Network(fault), Front::Faults(faults)) => faults.begin(fault),
            (Trouble::Failing(failure), Front::Gateway(gateway)) => gateway.fail(failure),
            (trouble, _) => panic!("{trouble:?} comes from elsewhere"),
        }
    }

    /// Restore.
    pub async fn end(&mut self) {
        match (self.trouble, &self.front) {
            (Trouble::Killed, _) => {
                self.process = Some(services::product_back_at(self.port.address, &self.database).await);
            }
            (Trouble::Stopped, _) => self.signal(Signal::SIGCONT),
            (_, Front::Faults(faults)) => faults.heal(),
            (_, Front::Gateway(gateway)) => gateway.heal(),
            (trouble, Front::Nothing) => panic!("{trouble:?} comes from elsewhere"),
        }
    }

    fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("the process is there").signal(signal);
    }
}
