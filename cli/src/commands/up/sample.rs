//! The sample catalogue, compiled in: a made-up shop in Amsterdam.

use std::io::Cursor;

use proto::product::v1::product_service_client::ProductServiceClient;
use proto::product::v1::{GetProductRequest, WatchChangesRequest};
use tonic::Code;

use crate::clients::Peer;
use crate::commands::import::{Report, import};
use crate::exit::{Exit, Failure};
use crate::progress::Progress;

/// The rows.
pub const CATALOGUE: &str = include_str!("../../../sample/catalogue.jsonl");
/// A product of it that goes almost everywhere.
pub const PAPERBACK: &str = "027f21eb-dff8-5a45-a968-83723d4b7023";
/// A product of it that goes almost nowhere.
pub const MILK: &str = "f592f1f8-73fa-546c-85bb-a2f2d04e08d2";
/// A location of it.
pub const AMSTERDAM: &str = "552c3cc0-c918-5453-af41-5955783465e4";
/// Another.
pub const BERLIN: &str = "6ee51d26-c2f7-5d17-824c-a0d88f6ebdb0";

/// Loads it into a catalogue that never held anything, and says how many rows it has.
pub async fn load_if_empty(product: &Peer) -> Result<Option<u64>, Failure> {
    let follow = async |channel, request| ProductServiceClient::new(channel).watch_changes(request).await;
    let mut feed = product.open(WatchChangesRequest::default(), follow).await?;
    let first = feed.message().await.map_err(|status| product.stream_error(status))?;
    // Also what was retired since is in the feed.
    if first.is_none_or(|message| !message.changes.is_empty()) {
        return Ok(None);
    }
    let report = Report::new("the sample catalogue".to_owned(), Progress::hidden(), false);
    let summary = import(product, Cursor::new(CATALOGUE), false, report).await?;
    if summary.bad > 0 {
        return Err(Failure::new(Exit::No, "Product refused rows of the sample catalogue"));
    }
    Ok(Some(summary.rows()))
}

/// Whether the catalogue holds the sample, loaded now or at an earlier start.
pub async fn is_there(product: &Peer) -> Result<bool, Failure> {
    let get = async |channel, request| ProductServiceClient::new(channel).get_product(request).await;
    match product.call(GetProductRequest { product_id: PAPERBACK.to_owned() }, get).await {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Code::NotFound => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_holds_what_the_welcome_speaks_of() {
        for id in [PAPERBACK, MILK] {
            assert!(CATALOGUE.contains(&format!("{{\"product\":{{\"product_id\":\"{id}\"")), "{id}");
        }
        for id in [AMSTERDAM, BERLIN] {
            assert!(CATALOGUE.contains(&format!("{{\"location\":{{\"location_id\":\"{id}\"")), "{id}");
        }
    }
}
