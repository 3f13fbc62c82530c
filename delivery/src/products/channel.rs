//! The connection to Product: made when it is first used, kept, and noticed when it is dead.

use std::str::FromStr;
use std::time::Duration;

use tonic::transport::{Channel, Endpoint, Uri};

/// How long making a connection may take. A call gives up earlier; the attempt goes on for the next one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How often an unanswered ping is sent, and how long it is waited for: a peer that is gone without a word is noticed
/// within the sum.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(3);
/// Each call that is given up resets its stream. At the default of 1,024 such resets the connection, which everybody
/// shares, would be closed.
const MAX_RESET_STREAMS: usize = 16_384;

/// Where Product is: `http://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductUrl(Uri);

// === impl ProductUrl ===

impl ProductUrl {
    /// A channel on the runtime that this is called on.
    pub(super) fn connect_lazy(&self) -> Channel {
        Endpoint::from(self.0.clone())
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .http2_max_concurrent_reset_streams(MAX_RESET_STREAMS)
            .http2_max_local_error_reset_streams(MAX_RESET_STREAMS)
            .connect_lazy()
    }
}

impl FromStr for ProductUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri = Uri::from_str(text).map_err(|error| error.to_string())?;
        let has_port = uri.port_u16().is_some();
        let plain =
            uri.scheme_str() == Some("http") && matches!(uri.path(), "" | "/") && uri.query().is_none();
        if plain && has_port { Ok(Self(uri)) } else { Err("must look like http://HOST:PORT".to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_host_and_a_port_and_nothing_else() {
        for good in ["http://127.0.0.1:50051", "http://product.default.svc:50051/", "http://[::1]:50051"] {
            assert!(good.parse::<ProductUrl>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "127.0.0.1:50051",
            "http://product",
            "https://product:1",
            "http://product:1/x",
            "http://a:1?b",
        ] {
            assert!(bad.parse::<ProductUrl>().is_err(), "{bad}");
        }
    }
}
