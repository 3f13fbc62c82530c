//! The digest of Product's catalogue, by which several processes of it are compared.

use serde_json::{Value, json};

use crate::openmetrics::Page;

/// What one process has read, and up to which revision.
#[derive(Debug, PartialEq, Eq)]
pub struct Digest {
    digest: u64,
    revision: u64,
}

// === impl Digest ===

impl Digest {
    /// None: the page tells of no catalogue, as those of other services and of one that is being loaded.
    pub fn read(page: &Page) -> Option<Self> {
        let figure = |name: &str| Some(page.value(&format!("candeliver_catalogue_{name}"), &[])? as u64);
        Some(Self { digest: figure("digest")?, revision: figure("revision")? })
    }

    pub fn text(&self) -> String {
        format!("{} at revision {}: the same in every process that agrees", self.hex(), self.revision)
    }

    pub fn json(&self) -> Value {
        json!({ "digest": self.hex(), "revision": self.revision })
    }

    /// It has 48 bits.
    fn hex(&self) -> String {
        format!("{:012x}", self.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalogue_tells_its_digest_and_a_page_without_one_tells_none() {
        let page = "candeliver_catalogue_revision 7\ncandeliver_catalogue_digest 76355979038191\n# EOF\n";
        let digest = Digest::read(&Page::parse(page).unwrap()).unwrap();
        assert_eq!(digest.text(), "45720301cdef at revision 7: the same in every process that agrees");
        assert_eq!(digest.json(), json!({ "digest": "45720301cdef", "revision": 7 }));
        assert_eq!(Digest::read(&Page::parse("candeliver_catalogue_ready 0\n# EOF\n").unwrap()), None);
    }
}
