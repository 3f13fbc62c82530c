//! Where Product is: a list of URLs, each of an address or of a name that stands for some.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};

use chassis::tls::client::ServerHost;
use tonic::transport::Uri;

/// Most URLs in a list: more processes than that go behind a name.
const MAX_TARGETS: usize = 64;

/// Finds out which addresses there are now.
pub type Resolver =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> + Send + Sync>;

/// Where Product is: `http://HOST:PORT` or `https://HOST:PORT`, or several, with commas between them.
#[derive(Clone, Debug)]
pub struct ProductTargets {
    targets: Arc<[Target]>,
    /// Which of them stands for each address that was found by a name. Clones share it.
    found: Arc<RwLock<HashMap<SocketAddr, usize>>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    host: String,
    port: u16,
    /// `None`: connections to it are not secured.
    server: Option<Server>,
}

/// The other end of a secured connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Whom its certificate must name.
    pub host: ServerHost,
    /// How calls to it are addressed.
    pub origin: Uri,
}

/// Which server each address is to be.
#[derive(Clone, Debug)]
pub struct Servers {
    targets: ProductTargets,
    servers: Arc<[Server]>,
}

// === impl ProductTargets ===

impl ProductTargets {
    /// Their addresses, if each is one and none is a name.
    pub(super) fn addresses(&self) -> Option<Vec<SocketAddr>> {
        self.targets.iter().map(Target::address).collect()
    }

    /// The servers, if connections are to be secured.
    #[must_use]
    pub fn servers(&self) -> Option<Servers> {
        let servers = self.targets.iter().map(|target| target.server.clone()).collect::<Option<_>>()?;
        Some(Servers { targets: self.clone(), servers })
    }

    /// The URL through which an address was found.
    fn index_of(&self, address: SocketAddr) -> usize {
        let literal = self.targets.iter().position(|target| target.address() == Some(address));
        let found = || self.found.read().unwrap_or_else(PoisonError::into_inner).get(&address).copied();
        // One that is neither was found before the last look-up, and is on its way out.
        literal.or_else(found).unwrap_or_default()
    }

    /// Looks the names up, as the system does; `None`: there are only addresses.
    #[must_use]
    pub fn resolver(&self) -> Option<Resolver> {
        if self.addresses().is_some() {
            return None;
        }
        let targets = self.clone();
        Some(Arc::new(move || {
            let targets = targets.clone();
            Box::pin(async move { targets.look_up().await })
        }))
    }

    async fn look_up(&self) -> io::Result<Vec<SocketAddr>> {
        let (mut found, mut lost) = (Vec::new(), None);
        for (index, target) in self.targets.iter().enumerate() {
            match target.address() {
                Some(address) => found.push((address, index)),
                None => match tokio::net::lookup_host((target.host.as_str(), target.port)).await {
                    Ok(addresses) => found.extend(addresses.map(|address| (address, index))),
                    // One name that is not known takes nothing from the others.
                    Err(error) => lost = Some(error),
                },
            }
        }
        match lost {
            Some(error) if found.is_empty() => return Err(error),
            // Nothing found: the endpoints stay as they are, and so does what is known of them.
            _ if found.is_empty() => {}
            // An address that several names stand for is the first one's.
            _ => {
                let found = found.iter().rev().copied().collect();
                *self.found.write().unwrap_or_else(PoisonError::into_inner) = found;
            }
        }
        Ok(found.into_iter().map(|(address, _)| address).collect())
    }
}

impl FromStr for ProductTargets {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let targets =
            text.split(',').map(|url| url.trim().parse::<Target>()).collect::<Result<Vec<_>, _>>()?;
        if targets.len() > MAX_TARGETS {
            return Err(format!("names {} URLs; {MAX_TARGETS} are the most", targets.len()));
        }
        let secured = targets.iter().filter(|target| target.server.is_some()).count();
        if secured != 0 && secured != targets.len() {
            return Err("mixes http:// and https://: what is asked of one is asked of all".to_owned());
        }
        Ok(Self { targets: targets.into(), found: Arc::default() })
    }
}

// === impl Servers ===

impl Servers {
    /// The server that an address is to be: that of the URL through which it was found, since it is the URL that the operator
    /// trusts, not what a name server says.
    #[must_use]
    pub fn of(&self, address: SocketAddr) -> &Server {
        &self.servers[self.targets.index_of(address)]
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
        let wanted = || "must look like http://HOST:PORT or https://HOST:PORT".to_owned();
        let uri = Uri::from_str(text).map_err(|_| wanted())?;
        let is_bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        let (Some(host), Some(port), true) = (uri.host(), uri.port_u16(), is_bare) else {
            return Err(wanted());
        };
        let server = match uri.scheme_str() {
            Some("http") => None,
            Some("https") => {
                let host = ServerHost::parse(host).ok_or_else(wanted)?;
                Some(Server { host, origin: uri.clone() })
            }
            _ => return Err(wanted()),
        };
        Ok(Self { host: host.to_owned(), port, server })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_host_and_a_port_and_nothing_else() {
        for good in [
            "http://127.0.0.1:50051",
            "http://product.default.svc:50051/",
            "http://[::1]:50051",
            "https://product:1",
            "https://[::1]:1, https://product:1",
        ] {
            assert!(good.parse::<ProductTargets>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "127.0.0.1:50051",
            "http://product",
            "ftp://product:1",
            "https://product",
            "http://a:1,https://a:1",
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

    #[tokio::test]
    async fn an_address_that_was_found_by_a_name_must_be_the_server_of_that_name() {
        let list: ProductTargets = "https://127.0.0.9:1,https://localhost:2".parse().unwrap();
        let servers = list.servers().unwrap();
        let found = list.resolver().unwrap()().await.unwrap();
        let by_name: Vec<_> = found.into_iter().filter(|address| address.port() == 2).collect();
        assert!(!by_name.is_empty());
        for address in by_name {
            let Server { host, origin } = servers.of(address);
            assert_eq!(Some(host), ServerHost::parse("localhost").as_ref());
            assert_eq!(origin, "https://localhost:2/");
        }
        let literal = servers.of("127.0.0.9:1".parse().unwrap());
        assert_eq!(Some(&literal.host), ServerHost::parse("127.0.0.9").as_ref());
        assert!("http://localhost:2".parse::<ProductTargets>().unwrap().servers().is_none());
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
