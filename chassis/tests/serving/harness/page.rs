//! Asking the admin port in HTTP/1.1.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::soon;

/// A bare connection.
pub async fn connect(address: SocketAddr) -> TcpStream {
    soon(TcpStream::connect(address)).await.unwrap()
}

/// The whole answer to a request without a body; an error if the connection was closed without one.
pub async fn ask(address: SocketAddr, method: &str, path: &str) -> std::io::Result<String> {
    ask_for(address, method, path, "*/*").await
}

/// The same of one who reads certain formats only.
pub async fn ask_for(address: SocketAddr, method: &str, path: &str, accept: &str) -> std::io::Result<String> {
    let mut connection = connect(address).await;
    let head = format!("{method} {path} HTTP/1.1\r\nhost: test\r\naccept: {accept}\r\n\r\n");
    connection.write_all(head.as_bytes()).await?;
    let mut answer = String::new();
    soon(connection.read_to_string(&mut answer)).await?;
    Ok(answer)
}

/// The metrics page with its head.
pub async fn page(address: SocketAddr) -> String {
    ask(address, "GET", "/metrics").await.unwrap()
}
