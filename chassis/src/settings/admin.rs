//! The setting of the admin port.

use std::io;
use std::net::{SocketAddr, TcpListener};

use clap::Args;

/// Where a process can be looked at.
#[derive(Args, Clone, Debug, Default)]
pub struct AdminSettings {
    /// Where metrics are served, at /metrics, and gRPC health (grpc.health.v1); nowhere unless given. A port of its own, so
    /// that scrapers and probes get their answer when callers don't, and so that opening the service to a network does not
    /// open this as well. Plain HTTP without TLS or a password, for scrapers and kubelets: never open it to the internet.
    #[arg(long, env = "CANDELIVER_ADMIN_LISTEN", value_name = "ADDRESS")]
    pub admin_listen: Option<SocketAddr>,
}

// === impl AdminSettings ===

impl AdminSettings {
    /// The bound port, if there is to be one.
    ///
    /// # Errors
    /// The address can't be used; the error names it and the flag.
    pub fn bind(&self) -> io::Result<Option<TcpListener>> {
        let Some(address) = self.admin_listen else { return Ok(None) };
        let listener = TcpListener::bind(address).map_err(|error| {
            let flags = "--admin-listen, CANDELIVER_ADMIN_LISTEN";
            io::Error::new(error.kind(), format!("can't listen on {address} ({flags}): {error}"))
        });
        listener.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_taken_is_told_with_its_flag() {
        assert!(AdminSettings::default().bind().unwrap().is_none());
        let any = AdminSettings { admin_listen: Some(([127, 0, 0, 1], 0).into()) };
        let taken = any.bind().unwrap().unwrap().local_addr().unwrap();
        let listener = TcpListener::bind(taken).unwrap();
        let error = AdminSettings { admin_listen: Some(taken) }.bind().unwrap_err();
        assert!(
            error.to_string().starts_with(&format!("can't listen on {taken} (--admin-listen, ")),
            "{error}"
        );
        drop(listener);
    }
}
