//! Who calls: the name in the certificate that a client has shown.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;

use crate::tls;

/// How the ids of the SPIFFE standard begin, which names workloads: `spiffe://trust-domain/path`.
const SPIFFE: &str = "spiffe://";

/// The longest id that SPIFFE allows. A DNS name has 253 at most.
const MAX_BYTES: usize = 2_048;

thread_local! {
    /// Of the caller whose handler this thread polls; `None` between polls.
    static CURRENT: RefCell<Option<Identity>> = const { RefCell::new(None) };
}

/// A caller by name: a SPIFFE id, or a DNS name in lower case. A clone costs nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(Arc<str>);

/// The identity of whoever made the call whose handler asks; `None` where callers need not say who they are. As with
/// `Deadline::current`, work that the handler hands to other tasks or leaves to a stream is to be told it.
#[must_use]
pub fn current() -> Option<Identity> {
    CURRENT.with_borrow(Clone::clone)
}

/// Polls a handler whose caller this is. Panics are caught inside of `poll`.
pub(crate) fn during<R>(caller: &mut Option<Identity>, poll: impl FnOnce() -> R) -> R {
    if caller.is_none() {
        return poll();
    }
    CURRENT.set(caller.take());
    let result = poll();
    *caller = CURRENT.take();
    result
}

// === impl Identity ===

impl Identity {
    /// The identity that a text names.
    ///
    /// # Errors
    /// It is neither a SPIFFE id nor a DNS name; says what is wanted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wanted = || Err(format!("{text:?} is neither a SPIFFE id (spiffe://domain/path) nor a DNS name"));
        if text.len() > MAX_BYTES {
            return wanted();
        }
        if let Some(rest) = text.strip_prefix(SPIFFE) {
            let is_whole =
                rest.split_once('/').is_some_and(|(domain, path)| !domain.is_empty() && !path.is_empty());
            let is_plain = rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte));
            return if is_whole && is_plain { Ok(Self(text.into())) } else { wanted() };
        }
        let is_dns = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if is_dns && !text.is_empty() { Ok(Self(text.to_ascii_lowercase().into())) } else { wanted() }
    }

    /// Whom a certificate names: by its SPIFFE id, of which it must have one and no more; else by its first DNS name that is
    /// one name and no pattern. `None`: nobody.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let names = tls::names(certificate);
        let mut spiffe = names.uris.iter().filter(|uri| uri.starts_with(SPIFFE));
        match (spiffe.next(), spiffe.next()) {
            (Some(id), None) => Self::parse(id).ok(),
            (Some(_), Some(_)) => None,
            (None, _) => names.dns.iter().find_map(|name| Self::parse(name).ok()),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spiffe_id_and_a_dns_name_are_identities_and_nothing_else_is() {
        for good in ["spiffe://example.org/ns/shop/sa/delivery", "delivery.shop.svc", "delivery"] {
            assert_eq!(Identity::parse(good).unwrap().as_str(), good);
        }
        assert_eq!(Identity::parse("Delivery.Example.ORG").unwrap().as_str(), "delivery.example.org");
        let long = format!("spiffe://a/{}", "b".repeat(MAX_BYTES));
        for bad in [
            "",
            "*",
            "*.example.org",
            "spiffe://",
            "spiffe://a",
            "spiffe://a/",
            "spiffe:///a",
            "a b",
            "https://a",
            &long,
        ] {
            assert!(Identity::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_caller_is_known_while_its_handler_is_polled_and_kept_for_the_next_poll() {
        let mut caller = Identity::parse("delivery").ok();
        for _ in 0..2 {
            let seen = during(&mut caller, current);
            assert_eq!(seen.as_ref().map(Identity::as_str), Some("delivery"));
            assert_eq!(current(), None);
        }
        assert_eq!(during(&mut None, current), None);
    }
}
