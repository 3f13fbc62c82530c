//! Two ways in which Product falls silent, and the ways back.

use std::net::SocketAddr;

use nix::sys::signal::Signal;

use super::databases::Throwaway;
use super::process::Service;
use super::services;

/// A Product that is silent.
pub enum Outage {
    /// The process is gone: connections are refused, at once.
    Killed(SocketAddr),
    /// The process hangs: connections are taken, and nothing ever comes back.
    Stopped(Service),
}

// === impl Outage ===

impl Outage {
    /// SIGKILL.
    pub fn kill(product: Service) -> Self {
        Self::Killed(product.kill())
    }

    /// SIGSTOP.
    pub fn stop(product: Service) -> Self {
        product.signal(Signal::SIGSTOP);
        Self::Stopped(product)
    }

    /// Product is back, on the same address and the same database.
    pub async fn end(self, database: &Throwaway) -> Service {
        match self {
            Self::Killed(address) => services::product_back_at(address, database).await,
            Self::Stopped(product) => {
                product.signal(Signal::SIGCONT);
                product
            }
        }
    }
}
