//! The digest of Product's catalogue, by which several processes of it are compared.

use serde_json::{Value, json};

use crate::openmetrics::Page;

/// What one process has read, and up to which revision.
#[derive(Debug, PartialEq, Eq)]
pub struct Digest {
    digest: String,
    revision: String,
}

// === impl Digest ===

impl Digest {
    /// None: the page tells of no catalogue, as those of other services and of one that is being loaded.
    pub fn read(page: &Page) -> Option<Self> {
        let label = |label| {
            let values = page.values_by(label, "candeliver_catalogue_digest_info", &[]);
            values.first().map(|(text, _)| (*text).to_owned())
        };
        Some(Self { digest: label("digest")?, revision: label("revision")? })
    }

    pub fn text(&self) -> String {
        format!("{} at revision {}: the same in every process that agrees", self.digest, self.revision)
    }

    pub fn json(&self) -> Value {
        json!({ "digest": self.digest, "revision": self.revision })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalogue_tells_its_digest_and_a_page_without_one_tells_none() {
        let page = "candeliver_catalogue_digest_info{digest=\"0a\",revision=\"7\"} 1\n# EOF\n";
        let digest = Digest::read(&Page::parse(page).unwrap()).unwrap();
        assert_eq!(digest.text(), "0a at revision 7: the same in every process that agrees");
        assert_eq!(digest.json(), json!({ "digest": "0a", "revision": "7" }));
        assert_eq!(Digest::read(&Page::parse("candeliver_catalogue_ready 0\n# EOF\n").unwrap()), None);
    }
}
