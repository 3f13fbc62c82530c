//! Page tokens: where a listing goes on, opaque to clients, good only for the filters it was made with.

use std::hash::{BuildHasher, Hash};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Rows in a page when the request does not say.
pub const DEFAULT_PAGE_SIZE: u32 = 50;
/// Most rows in a page: about 300 kB of the largest objects, well under a message's limit.
pub const MAX_PAGE_SIZE: u32 = 1_000;
/// Longest key in a token: a time and an id are 24 bytes.
const MAX_KEY_BYTES: usize = 64;
const FILTER_BYTES: usize = 8;

/// How many rows a request asks for.
///
/// # Errors
/// A sentence for the field `page_size`.
pub fn size(requested: u32) -> Result<u32, String> {
    match requested {
        0 => Ok(DEFAULT_PAGE_SIZE),
        1..=MAX_PAGE_SIZE => Ok(requested),
        _ => Err(format!("must be 1 to {MAX_PAGE_SIZE}, and is {requested}")),
    }
}

/// The token for the page that begins after `key`, under `filters`.
pub fn token(filters: &impl Hash, key: &[u8]) -> String {
    let mut bytes = fingerprint(filters).to_vec();
    bytes.extend_from_slice(key);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The key that `token` was made from; `None` for the empty token of a first page.
///
/// # Errors
/// A sentence for the field `page_token`.
pub fn key<const N: usize>(token: &str, filters: &impl Hash) -> Result<Option<[u8; N]>, &'static str> {
    const { assert!(N <= MAX_KEY_BYTES) }
    if token.is_empty() {
        return Ok(None);
    }
    let malformed = "is not a token that this method gave out";
    if token.len() > 2 * (FILTER_BYTES + MAX_KEY_BYTES) {
        return Err(malformed);
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| malformed)?;
    let (made_for, key) = bytes.split_first_chunk::<FILTER_BYTES>().ok_or(malformed)?;
    let key = <[u8; N]>::try_from(key).map_err(|_| malformed)?;
    if *made_for != fingerprint(filters) {
        return Err("was given out for other filters");
    }
    Ok(Some(key))
}

/// The same in every process of one build; a token is not kept for longer than a listing.
fn fingerprint(filters: &impl Hash) -> [u8; FILTER_BYTES] {
    foldhash::quality::FixedState::with_seed(0x6361_6e64).hash_one(filters).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_gives_back_its_key() {
        let token = token(&("state", 3), &[7; 16]);
        assert_eq!(key::<16>(&token, &("state", 3)), Ok(Some([7; 16])));
        assert_eq!(key::<16>("", &("state", 3)), Ok(None));
    }

    #[test]
    fn a_token_is_refused_under_other_filters_and_so_is_nonsense() {
        let token = token(&("state", 3), &[7; 16]);
        assert_eq!(key::<16>(&token, &("state", 4)), Err("was given out for other filters"));
        for nonsense in ["x", "====", &"A".repeat(10_000), &token[1..]] {
            assert!(key::<16>(nonsense, &("state", 3)).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn every_page_token_that_fuzzing_kept_is_read_or_refused() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/page_token");
        let mut files = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read(entry.unwrap().path()).unwrap();
            let text = String::from_utf8_lossy(&text);
            if let Ok(Some(read)) = key::<16>(&text, &()) {
                assert_eq!(token(&(), &read), text);
            }
            files += 1;
        }
        assert!(files >= 4, "the corpus is there");
    }
}
