//! Reading a service's metrics page: plain HTTP/1.1, one question, one answer.

use std::fmt::Display;
use std::time::Duration;

use clap::Args;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{Service, Url};
use crate::openmetrics::Page;

/// Where it is on every service.
const PATH: &str = "/metrics";

/// A page has a few kilobytes, and a few more for each endpoint of Product: what is longer is not one.
const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Where the services' metrics are.
#[derive(Args, Clone, Debug)]
pub struct AdminFlags {
    /// Where Product's metrics are: its --admin-listen.
    #[arg(long, env = "CANDELIVER_PRODUCT_ADMIN", value_name = "URL", value_parser = admin_url,
          default_value = Service::Product.default_admin_url(), help_heading = "Connection")]
    pub product_admin: Url,

    /// Where Delivery's metrics are: its --admin-listen.
    #[arg(long, env = "CANDELIVER_DELIVERY_ADMIN", value_name = "URL", value_parser = admin_url,
          default_value = Service::Delivery.default_admin_url(), help_heading = "Connection")]
    pub delivery_admin: Url,
}

/// The page at an address, or a sentence that says why there is none.
pub async fn read_page(url: &Url, timeout: Duration) -> Result<Page, String> {
    match tokio::time::timeout(timeout, get(url)).await {
        Ok(read) => Page::parse(&read?),
        Err(_) => Err(format!("no answer within {timeout:?}")),
    }
}

async fn get(url: &Url) -> Result<String, String> {
    let stream = TcpStream::connect(url.authority()).await.map_err(told)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(told)?;
    // It ends when the answer, or the wait for it, has ended: both drop what it serves.
    tokio::spawn(connection);
    let request =
        Request::get(PATH).header(header::HOST, url.authority()).body(String::new()).map_err(told)?;
    let response = sender.send_request(request).await.map_err(told)?;
    if response.status() != StatusCode::OK {
        return Err(format!("it answers {} to {PATH}", response.status()));
    }
    let body = Limited::new(response.into_body(), MAX_PAGE_BYTES).collect().await.map_err(told)?;
    String::from_utf8(body.to_bytes().into()).map_err(told)
}

fn told(error: impl Display) -> String {
    error.to_string()
}

/// The page's own address is taken as well: it is what `up` prints.
fn admin_url(text: &str) -> Result<Url, String> {
    let url: Url = text.strip_suffix(PATH).unwrap_or(text).parse()?;
    if url.is_secured() {
        Err("metrics are served without TLS: wanted http://HOST:PORT".to_owned())
    } else {
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;

    use super::*;

    /// Far more than anything here takes.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn url(address: SocketAddr) -> Url {
        admin_url(&address.to_string()).unwrap()
    }

    /// What is read from someone who answers this to the first who asks.
    async fn read_from(answer: String) -> Result<Page, String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = url(listener.local_addr().unwrap());
        tokio::spawn(async move {
            let mut stream = BufReader::new(listener.accept().await.unwrap().0);
            let mut asked = String::new();
            while !asked.ends_with("\r\n\r\n") {
                stream.read_line(&mut asked).await.unwrap();
            }
            assert!(asked.starts_with("GET /metrics HTTP/1.1\r\nhost: 127.0.0.1:"), "{asked}");
            // An error means that the client has read enough.
            let _ = stream.write_all(answer.as_bytes()).await;
        });
        read_page(&url, PATIENCE).await
    }

    fn ok(body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    }

    #[test]
    fn the_page_itself_names_its_service_too() {
        for text in ["http://a:1/metrics", "http://a:1/", "a:1"] {
            assert_eq!(admin_url(text).unwrap().to_string(), "http://a:1");
        }
        assert!(admin_url("http://a:1/other").is_err());
        assert!(admin_url("https://a:1").is_err());
    }

    #[tokio::test]
    async fn a_page_is_read() {
        let page = read_from(ok("up 1\n# EOF\n")).await.unwrap();
        assert_eq!(page.value("up", &[]), Some(1.0));
    }

    #[tokio::test]
    async fn what_is_no_page_is_told_so() {
        let refused =
            read_from("HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\n\r\n".to_owned()).await;
        assert_eq!(refused.unwrap_err(), "it answers 426 Upgrade Required to /metrics");
        let long = read_from(ok(&"up 1\n".repeat(1_000_000))).await;
        assert!(long.unwrap_err().contains("limit"));
        for other in ["SSH-2.0-OpenSSH_9.6\r\n".to_owned(), ok("<html>"), String::new()] {
            assert!(!read_from(other).await.unwrap_err().is_empty());
        }
    }

    #[tokio::test]
    async fn nobody_and_someone_who_never_speaks_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = url(listener.local_addr().unwrap());
        let silent = read_page(&url, Duration::from_millis(50)).await;
        assert_eq!(silent.unwrap_err(), "no answer within 50ms");
        drop(listener);
        assert!(read_page(&url, PATIENCE).await.unwrap_err().contains("refused"));
    }
}
