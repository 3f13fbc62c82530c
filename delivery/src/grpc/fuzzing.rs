//! Everything here that reads bytes from outside, for fuzz/ and for the test that replays its corpus.

use prost::Message;
use proto::delivery::v1 as wire;

use super::parse;
use crate::domain::RevisionToken;

/// A request: its first byte says of which rpc, the others are the message.
///
/// # Panics
/// What was refused came with nothing that says why, or what was read is not what was sent.
pub fn request(bytes: &[u8]) {
    let Some((rpc, message)) = bytes.split_first() else { return };
    match rpc % 3 {
        0 => with(message, |request: wire::CreateDeliveryRequest| match parse::wanted(&request) {
            Ok(wanted) => {
                let reference = wanted.order.external_reference.as_ref();
                assert_eq!(reference.map_or("", |kept| kept.as_str()), request.external_reference);
            }
            Err(status) => assert!(!chassis::status::violations(&status).is_empty()),
        }),
        1 => with(message, |request: wire::ListDeliveriesRequest| {
            if let Err(status) = parse::listing(&request) {
                assert!(!chassis::status::violations(&status).is_empty());
            }
        }),
        _ => with(message, |request: wire::DispatchDeliveryRequest| {
            let _ = parse::transition(&request.delivery_id, request.version);
        }),
    }
}

/// A revision token of Product's, of which nothing is known here but its looks.
///
/// # Panics
/// It is kept as something else.
pub fn revision_token(text: &str) {
    if let Ok(token) = RevisionToken::parse(text) {
        assert_eq!(token.as_str(), text);
    }
}

fn with<M: Message + Default>(bytes: &[u8], read: impl FnOnce(M)) {
    if let Ok(message) = M::decode(bytes) {
        read(message);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_request_that_fuzzing_kept_is_read_or_refused() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/delivery_request");
        let mut files = 0;
        for entry in folder.read_dir().unwrap() {
            request(&std::fs::read(entry.unwrap().path()).unwrap());
            files += 1;
        }
        assert!(files >= 4, "the corpus is there");
    }

    #[test]
    fn every_revision_token_that_fuzzing_kept_is_read_or_refused() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/revision_token");
        for entry in folder.read_dir().unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            revision_token(&String::from_utf8_lossy(&bytes));
        }
    }
}
