//! Where the services of one `up` listen: all chosen, and known to be free, before anything is started.

use std::net::{IpAddr, SocketAddr, TcpListener};

use clap::Args;

use crate::clients::Url;
use crate::exit::{Exit, Failure};

/// The addresses as given, then as chosen.
#[derive(Args, Clone, Debug)]
pub struct Addresses {
    /// Where Product serves. Port 0: any that is free.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:50051")]
    pub product_listen: SocketAddr,

    /// Where Delivery serves. Port 0: any that is free.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:50052")]
    pub delivery_listen: SocketAddr,

    /// Where Product's metrics are served, in plain HTTP. Port 0: any that is free.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:50061")]
    pub product_admin_listen: SocketAddr,

    /// Where Delivery's metrics are served, in plain HTTP. Port 0: any that is free.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:50062")]
    pub delivery_admin_listen: SocketAddr,
}

// === impl Addresses ===

impl Addresses {
    /// The addresses, each port chosen if it is 0, once it is known that nobody serves there. The services bind them again:
    /// between the two somebody else could, and the service would say so.
    ///
    /// # Errors
    /// An address can't be used; the failure names its flag.
    pub fn choose(mut self) -> Result<Self, Failure> {
        let flags = [
            (&mut self.product_listen, "--product-listen"),
            (&mut self.delivery_listen, "--delivery-listen"),
            (&mut self.product_admin_listen, "--product-admin-listen"),
            (&mut self.delivery_admin_listen, "--delivery-admin-listen"),
        ];
        // Kept until all are chosen, so that no port is chosen twice.
        let mut listeners = Vec::new();
        for (address, flag) in flags {
            let listener = listen(*address, flag)?;
            *address = listener.local_addr().unwrap_or(*address);
            listeners.push(listener);
        }
        Ok(self)
    }
}

fn listen(address: SocketAddr, flag: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).map_err(|error| {
        let advice =
            format!("is candeliver up already? {flag} chooses another address, with port 0 any that is free");
        Failure::new(Exit::Usage, format!("can't listen on {address}: {error}\n{advice}"))
    })
}

/// Where a client on this machine reaches it: a service that listens on every address is reached on this machine's own.
///
/// # Errors
/// The address can't be one of a service.
pub fn url_of(address: SocketAddr) -> Result<Url, Failure> {
    let ip: IpAddr = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    let url = format!("http://{}", SocketAddr::new(ip, address.port()));
    url.parse().map_err(|error: String| Failure::new(Exit::Usage, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_on_every_address_is_reached_on_loopback() {
        let url = |address: &str| url_of(address.parse().unwrap()).unwrap().to_string();
        let urls = ["127.0.0.1:1", "0.0.0.0:2", "[::]:3", "192.0.2.7:4"].map(url);
        assert_eq!(
            urls,
            ["http://127.0.0.1:1", "http://127.0.0.1:2", "http://[::1]:3", "http://192.0.2.7:4"]
        );
    }

    #[test]
    fn free_ports_are_four_different_ones_and_a_taken_one_is_named_with_its_flag() {
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let wanted = Addresses {
            product_listen: any,
            delivery_listen: any,
            product_admin_listen: any,
            delivery_admin_listen: any,
        };
        let chosen = wanted.clone().choose().unwrap();
        let ports = [
            chosen.product_listen,
            chosen.delivery_listen,
            chosen.product_admin_listen,
            chosen.delivery_admin_listen,
        ];
        let ports = std::collections::BTreeSet::from(ports.map(|address| address.port()));
        assert!(ports.len() == 4 && !ports.contains(&0), "{ports:?}");

        let taken = TcpListener::bind(any).unwrap();
        let delivery_admin_listen = taken.local_addr().unwrap();
        match (Addresses { delivery_admin_listen, ..wanted }).choose() {
            Err(Failure::Told { exit: Exit::Usage, message }) => {
                assert!(message.contains("--delivery-admin-listen chooses another"), "{message}");
            }
            other => panic!("{other:?}"),
        }
    }
}
