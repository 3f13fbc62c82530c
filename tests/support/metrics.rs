//! What a process tells on its metrics page.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The sum of a metric's values, over the lines whose labels hold one of some texts.
pub async fn sum(page: SocketAddr, metric: &str, labels: &[&str]) -> u64 {
    let text = read(page).await;
    let prefix = format!("{metric}{{");
    let lines = text.lines().filter(|line| line.starts_with(&prefix));
    let values = lines.filter(|line| labels.iter().any(|label| line.contains(label))).map(|line| {
        line.rsplit_once(' ').and_then(|(_, value)| value.parse().ok()).unwrap_or_else(|| panic!("{line}"))
    });
    values.reduce(|sum: u64, value| sum + value).unwrap_or_else(|| panic!("no {metric} {labels:?} in {text}"))
}

/// The value of a metric without labels; none where there is no such line.
pub async fn value(page: SocketAddr, metric: &str) -> Option<u64> {
    let text = read(page).await;
    let value = text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '))?;
    Some(value.parse().unwrap_or_else(|_| panic!("{metric} {value}")))
}

/// The whole answer, its head included.
pub async fn read(page: SocketAddr) -> String {
    let mut connection = TcpStream::connect(page).await.expect("the admin port takes connections");
    let question = format!("GET /metrics HTTP/1.1\r\nhost: {page}\r\nconnection: close\r\n\r\n");
    connection.write_all(question.as_bytes()).await.expect("it listens");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.expect("it answers and closes");
    answer
}
