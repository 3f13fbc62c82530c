//! Where Product is: a list of URLs, each of an address or of a name that stands for some.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;

use tonic::transport::Uri;

/// Most URLs in a list: more processes than that go behind a name.
const MAX_TARGETS: usize = 64;

/// Finds out which addresses there are now.
pub type Resolver =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> + Send + Sync>;

/// Where Product is: `http://HOST:PORT`, or several, with commas between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductTargets(Vec<Target>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    host: String,
    port: u16,
}

// === impl ProductTargets ===

impl ProductTargets {
    /// Their addresses, if each is one and none is a name.
    pub(super) fn addresses(&self) -> Option<Vec<SocketAddr>> {
        self.0.iter().map(Target::address).collect()
    }

    /// Looks the names up, as the system does; `None`: there are only addresses.
    #[must_use]
    pub fn resolver(&self) -> Option<Resolver> {
        if self.addresses().is_some() {
            return None;
        }
        let targets = Arc::new(self.0.clone());
        Some(Arc::new(move || {
            let targets = Arc::clone(&targets);
            Box::pin(async move {
                let (mut found, mut lost) = (Vec::new(), None);
                for target in targets.iter() {
                    match target.address() {
                        Some(address) => found.push(address),
                        None => match tokio::net::lookup_host((target.host.as_str(), target.port)).await {
                            Ok(addresses) => found.extend(addresses),
                            // One name that is not known takes nothing from the others.
                            Err(error) => lost = Some(error),
                        },
                    }
                }
                match lost {
                    Some(error) if found.is_empty() => Err(error),
                    _ => Ok(found),
                }
            })
        }))
    }
}

impl FromStr for ProductTargets {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let targets = text.split(',').map(|url| url.trim().parse()).collect::<Result<Vec<_>, _>>()?;
        if targets.len() > MAX_TARGETS {
            return Err(format!("names {} URLs; {MAX_TARGETS} are the most", targets.len()));
        }
        Ok(Self(targets))
    }
}

// === impl Target ===

impl Target {
    fn address(&self) -> Option<SocketAddr> {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']');
        bare.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, self.port))
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || "must look like http://HOST:PORT".to_owned();
        let uri = Uri::from_str(text).map_err(|_| wanted())?;
        let plain =
            uri.scheme_str() == Some("http") && matches!(uri.path(), "" | "/") && uri.query().is_none();
        match (uri.host(), uri.port_u16()) {
            (Some(host), Some(port)) if plain => Ok(Self { host: host.to_owned(), port }),
            _ => Err(wanted()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_host_and_a_port_and_nothing_else() {
        for good in ["http://127.0.0.1:50051", "http://product.default.svc:50051/", "http://[::1]:50051"] {
            assert!(good.parse::<ProductTargets>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "127.0.0.1:50051",
            "http://product",
            "https://product:1",
            "http://product:1/x",
            "http://a:1?b",
            "http://a:1,",
        ] {
            assert!(bad.parse::<ProductTargets>().is_err(), "{bad}");
        }
        assert!(vec!["http://a:1"; MAX_TARGETS + 1].join(",").parse::<ProductTargets>().is_err());
    }

    #[tokio::test]
    async fn a_name_that_is_not_known_takes_nothing_from_an_address_beside_it() {
        let mixed: ProductTargets = "http://127.0.0.1:1,http://no-such-host.invalid:2".parse().unwrap();
        let resolve = mixed.resolver().unwrap();
        assert_eq!(resolve().await.unwrap(), ["127.0.0.1:1".parse().unwrap()]);
        let unknown: ProductTargets = "http://no-such-host.invalid:2".parse().unwrap();
        assert!(unknown.resolver().unwrap()().await.is_err());
    }

    #[test]
    fn addresses_need_no_look_up_and_names_do() {
        let list: ProductTargets = "http://127.0.0.1:1, http://[::1]:2".parse().unwrap();
        let addresses = list.addresses().unwrap();
        assert_eq!(addresses, ["127.0.0.1:1".parse().unwrap(), "[::1]:2".parse().unwrap()]);
        assert_eq!(
            "http://127.0.0.1:1,http://product:2".parse::<ProductTargets>().unwrap().addresses(),
            None
        );
    }
}
