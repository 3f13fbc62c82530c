//! What is to be delivered where: the content of a delivery, which never changes, and by which two requests are the same.

use deliverability::{LocationId, ProductId, Quantity};
use sha2::{Digest, Sha256};

use super::ExternalReference;

/// The form of the encoding below. Another encoding gets another number, and then rows tell which one they were made by.
const FORM: u8 = 1;
/// Keeps these hashes apart from any other use of SHA-256.
const DOMAIN: &[u8] = b"candeliver.delivery.order";
/// The form, then SHA-256.
const FINGERPRINT_BYTES: usize = 1 + 32;

/// What a caller wants delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// A product in the Product service.
    pub product: ProductId,
    /// A location in the Product service.
    pub location: LocationId,
    /// How many units.
    pub quantity: Quantity,
    /// The caller's own name for it.
    pub external_reference: Option<ExternalReference>,
}

/// Tells whether two orders are the same, long after one of them was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; FINGERPRINT_BYTES]);

// === impl Order ===

impl Order {
    /// The form, then SHA-256 over the domain, the form, both ids, the quantity, and the reference behind its length.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let reference = self.external_reference.as_ref().map_or("", ExternalReference::as_str);
        let hash = Sha256::new()
            .chain_update(DOMAIN)
            .chain_update([FORM])
            .chain_update(self.product.as_uuid().as_bytes())
            .chain_update(self.location.as_uuid().as_bytes())
            .chain_update(self.quantity.get().to_be_bytes())
            .chain_update((reference.len() as u64).to_be_bytes())
            .chain_update(reference)
            .finalize();
        let mut bytes = [FORM; FINGERPRINT_BYTES];
        bytes[1..].copy_from_slice(&hash);
        Fingerprint(bytes)
    }
}

// === impl Fingerprint ===

impl Fingerprint {
    /// For the database.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        Order {
            product: ProductId::parse("2eb73728-2fea-475e-b536-5e1458294a90").unwrap(),
            location: LocationId::parse("0190b0a0-0000-7000-8000-000000000001").unwrap(),
            quantity: Quantity::new(3).unwrap(),
            external_reference: Some(ExternalReference::parse("order-1").unwrap()),
        }
    }

    #[test]
    fn orders_differ_when_any_field_does() {
        let other_product = ProductId::parse("2eb73728-2fea-475e-b536-5e1458294a91").unwrap();
        let other_location = LocationId::parse("0190b0a0-0000-7000-8000-000000000002").unwrap();
        let others = [
            Order { product: other_product, ..order() },
            Order { location: other_location, ..order() },
            Order { quantity: Quantity::default(), ..order() },
            Order { external_reference: None, ..order() },
        ];
        for other in others {
            assert_ne!(other.fingerprint(), order().fingerprint(), "{other:?}");
        }
    }

    #[test]
    fn a_fingerprint_stays_what_it_is_because_rows_hold_it() {
        let hex: String = order().fingerprint().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "01c0cc53226843605aa1503a31a0c94f502319c79a12cbb63a30c1da79a214aa07");
    }
}
