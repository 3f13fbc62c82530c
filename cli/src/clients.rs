//! Reaching a service: its address, a channel, and one deadline around each call, connecting included.

mod admin;
mod call_error;
mod secure;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

use crate::exit::{Exit, Failure};
pub use admin::{AdminFlags, read_page};
pub use call_error::CallError;
pub use secure::TlsFlags;

/// How often the other side must show that it lives while a stream lasts. Its answer may take the timeout.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(2);
/// More than an hour is a slip of the pen.
const MAX_TIMEOUT_SECONDS: f64 = 3_600.0;

/// Where Product is.
#[derive(Args, Clone, Debug)]
pub struct ProductFlags {
    /// Where Product is.
    #[arg(long = "product", env = "CANDELIVER_PRODUCT", value_name = "URL", default_value = Service::Product.default_url(),
          global = true, help_heading = "Connection")]
    pub product_url: Url,
}

/// Where Delivery is.
#[derive(Args, Clone, Debug)]
pub struct DeliveryFlags {
    /// Where Delivery is.
    #[arg(long = "delivery", env = "CANDELIVER_DELIVERY", value_name = "URL",
          default_value = Service::Delivery.default_url(), global = true, help_heading = "Connection")]
    pub delivery_url: Url,
}

/// How long to wait, and whom to believe.
#[derive(Args, Clone, Debug)]
pub struct ConnectionFlags {
    /// How long to wait for an answer, connecting included; the service is told, so that it does not work in vain. On a
    /// stream: how long the service may show no sign of life.
    #[arg(long = "timeout-seconds", env = "CANDELIVER_TIMEOUT_SECONDS", value_name = "SECONDS", default_value = "5",
          value_parser = seconds, global = true, help_heading = "Connection")]
    pub timeout: Duration,

    #[command(flatten)]
    tls: TlsFlags,
}

/// How to answer.
#[derive(Args, Clone, Copy, Debug)]
pub struct OutputFlags {
    /// Answer in JSON, one object a line, with the names of the .proto files.
    #[arg(long, global = true)]
    pub json: bool,
}

/// One of the two services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Owns the catalogue.
    Product,
    /// Owns the deliveries.
    Delivery,
}

/// A service's address: `http://HOST:PORT`, or `https://HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url(String);

/// A service at an address.
#[derive(Clone, Debug)]
pub struct Peer {
    service: Service,
    url: Url,
    timeout: Duration,
    channel: Channel,
}

// === impl ConnectionFlags ===

impl ConnectionFlags {
    /// To a service on this machine that speaks plain text.
    pub fn within(timeout: Duration) -> Self {
        Self { timeout, tls: TlsFlags::default() }
    }
}

// === impl Service ===

impl Service {
    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Product => "Product",
            Self::Delivery => "Delivery",
        }
    }

    /// Where it is unless told otherwise.
    pub fn default_url(self) -> &'static str {
        match self {
            Self::Product => "http://127.0.0.1:50051",
            Self::Delivery => "http://127.0.0.1:50052",
        }
    }

    /// The flag that says where it is.
    pub fn flag(self) -> &'static str {
        match self {
            Self::Product => "--product",
            Self::Delivery => "--delivery",
        }
    }

    /// Where its metrics are unless told otherwise: where `up` puts them.
    pub fn default_admin_url(self) -> &'static str {
        match self {
            Self::Product => "http://127.0.0.1:50061",
            Self::Delivery => "http://127.0.0.1:50062",
        }
    }

    /// The flag that says where its metrics are.
    pub fn admin_flag(self) -> &'static str {
        match self {
            Self::Product => "--product-admin",
            Self::Delivery => "--delivery-admin",
        }
    }

    fn variable(self) -> &'static str {
        match self {
            Self::Product => "CANDELIVER_PRODUCT",
            Self::Delivery => "CANDELIVER_DELIVERY",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// === impl Url ===

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        if !["http", "https"].contains(&scheme) {
            return Err(wanted());
        }
        let url = format!("{scheme}://{}", rest.trim_end_matches('/'));
        let endpoint = Endpoint::from_shared(url.clone()).map_err(|_| wanted())?;
        let uri = endpoint.uri();
        let is_whole =
            uri.host().is_some_and(|host| !host.is_empty()) && uri.port().is_some() && uri.path() == "/";
        if is_whole { Ok(Self(url)) } else { Err(wanted()) }
    }
}

impl Url {
    /// `HOST:PORT`.
    pub fn authority(&self) -> &str {
        self.0.split_once("://").map_or(&self.0, |(_, authority)| authority)
    }

    /// Whether it is reached over TLS.
    pub fn is_secured(&self) -> bool {
        self.0.starts_with("https://")
    }
}

fn wanted() -> String {
    format!("wanted an address such as {}, or https://HOST:PORT", Service::Product.default_url())
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Peer ===

impl Peer {
    /// A service that is connected to when it is first called; to be made inside a runtime.
    ///
    /// # Errors
    /// The address can't be used, or a file of certificates.
    pub fn new(service: Service, url: &Url, connection: &ConnectionFlags) -> Result<Self, Failure> {
        let timeout = connection.timeout;
        let endpoint = Endpoint::from_shared(url.0.clone())
            .map_err(|_| Failure::new(Exit::Usage, format!("{url} can't be used: {}", wanted())))?
            .http2_keep_alive_interval(KEEP_ALIVE_EVERY)
            .keep_alive_timeout(timeout);
        let channel =
            if url.is_secured() { connection.tls.channel(&endpoint)? } else { endpoint.connect_lazy() };
        Ok(Self { service, url: url.clone(), timeout, channel })
    }

    /// Product.
    ///
    /// # Errors
    /// The address can't be used.
    pub fn product(flags: &ProductFlags, connection: &ConnectionFlags) -> Result<Self, Failure> {
        Self::new(Service::Product, &flags.product_url, connection)
    }

    /// Delivery.
    ///
    /// # Errors
    /// The address can't be used.
    pub fn delivery(flags: &DeliveryFlags, connection: &ConnectionFlags) -> Result<Self, Failure> {
        Self::new(Service::Delivery, &flags.delivery_url, connection)
    }

    /// The address.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Makes one call. The timeout is sent, and kept here as well, since it must also end a wait for a connection.
    ///
    /// # Errors
    /// No answer, or an error as an answer.
    pub async fn call<M, T>(
        &self,
        message: M,
        rpc: impl AsyncFnOnce(Channel, Request<M>) -> Result<Response<T>, Status>,
    ) -> Result<T, CallError> {
        let mut request = Request::new(message);
        request.set_timeout(self.timeout);
        self.within_timeout(rpc(self.channel.clone(), request)).await
    }

    /// Opens a stream, which may last: the timeout bounds its opening, keep-alives its silence.
    ///
    /// # Errors
    /// No answer, or an error as an answer.
    pub async fn open<M, T>(
        &self,
        message: M,
        rpc: impl AsyncFnOnce(Channel, Request<M>) -> Result<Response<T>, Status>,
    ) -> Result<T, CallError> {
        self.within_timeout(rpc(self.channel.clone(), Request::new(message))).await
    }

    /// What ended a stream of this peer.
    pub fn stream_error(&self, status: Status) -> CallError {
        CallError::new(self, Some(status))
    }

    async fn within_timeout<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, CallError> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(CallError::new(self, Some(status))),
            Err(_) => Err(CallError::new(self, None)),
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "wanted a number of seconds, such as 5 or 0.5")?;
    if seconds > 0.0 && seconds <= MAX_TIMEOUT_SECONDS {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(format!("wanted more than 0 and at most {MAX_TIMEOUT_SECONDS} seconds"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, String> {
        text.parse::<Url>().map(|url| url.to_string())
    }

    #[test]
    fn an_address_may_leave_out_what_is_always_the_same() {
        assert_eq!(parsed("127.0.0.1:50051").as_deref(), Ok("http://127.0.0.1:50051"));
        assert_eq!(parsed("http://product:80/").as_deref(), Ok("http://product:80"));
        assert_eq!(parsed("http://[::1]:50051").as_deref(), Ok("http://[::1]:50051"));
        assert_eq!(parsed("https://product:443/").as_deref(), Ok("https://product:443"));
    }

    #[test]
    fn what_is_no_address_is_told_what_one_looks_like() {
        for text in
            ["", "http://", "product", "http://product", "http://a:1/path", "ftp://a:1", "a b:1", "https://a"]
        {
            let error = parsed(text).unwrap_err();
            assert!(error.contains("http://"), "{text}: {error}");
        }
    }

    #[test]
    fn a_timeout_is_a_number_of_seconds() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for text in ["0", "-1", "soon", "3601", "inf", "NaN"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
