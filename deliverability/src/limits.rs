//! How heavy, long or many an ALLOW allows.

use crate::measure::within;
use crate::{Invalid, MAX_QUANTITY, MAX_SIDE_MM};

/// Highest weight limit in grams: 4,000 t for all units together, still inside 32 bits.
pub const MAX_LIMIT_WEIGHT_G: u32 = 4_000_000_000;

/// What an ALLOW limits; absent: no limit. Only [`Limits::new`] makes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Limits {
    /// Weight × quantity, at most this many grams.
    pub max_weight_g: Option<u32>,
    /// Longest side of one unit, at most this many millimetres.
    pub max_side_mm: Option<u32>,
    /// At most this many units.
    pub max_quantity: Option<u32>,
}

impl Limits {
    /// Checks the ranges. The refusal names the unit; to learn of each bad field, check one at a time.
    pub fn new(
        max_weight_g: Option<u32>,
        max_side_mm: Option<u32>,
        max_quantity: Option<u32>,
    ) -> Result<Self, Invalid> {
        max_weight_g.map(|limit| within(limit, MAX_LIMIT_WEIGHT_G, "g")).transpose()?;
        max_side_mm.map(|limit| within(limit, MAX_SIDE_MM, "mm")).transpose()?;
        max_quantity.map(|limit| within(limit, MAX_QUANTITY, "units")).transpose()?;
        Ok(Self { max_weight_g, max_side_mm, max_quantity })
    }

    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_has_its_range() {
        assert!(Limits::new(Some(MAX_LIMIT_WEIGHT_G), Some(MAX_SIDE_MM), Some(MAX_QUANTITY)).is_ok());
        for bad in [
            Limits::new(Some(0), None, None),
            Limits::new(Some(MAX_LIMIT_WEIGHT_G + 1), None, None),
            Limits::new(None, Some(0), None),
            Limits::new(None, Some(MAX_SIDE_MM + 1), None),
            Limits::new(None, None, Some(0)),
            Limits::new(None, None, Some(MAX_QUANTITY + 1)),
        ] {
            assert!(bad.is_err(), "{bad:?}");
        }
    }

    #[test]
    fn no_limits_are_empty() {
        assert!(Limits::new(None, None, None).unwrap().is_empty());
        assert!(!Limits::new(None, None, Some(1)).unwrap().is_empty());
    }
}
