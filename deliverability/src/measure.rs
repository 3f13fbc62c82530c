//! How heavy, how long, how many: numbers with a unit and a range.

use crate::Invalid;

/// Heaviest unit in grams: 1,000 t, more than any vehicle carries.
pub const MAX_WEIGHT_G: u32 = 1_000_000_000;
/// Longest side in millimetres: 1 km, so that an error in the unit shows.
pub const MAX_SIDE_MM: u32 = 1_000_000;
/// Most units in one delivery; weight × quantity stays far inside 64 bits.
pub const MAX_QUANTITY: u32 = 1_000_000;

/// Weight of one unit in grams, 1 to 1,000,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u32);

/// One side in millimetres, 1 to 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Side(u32);

/// Three sides; their order does not matter to any rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    /// Length in millimetres.
    pub length: Side,
    /// Width in millimetres.
    pub width: Side,
    /// Height in millimetres.
    pub height: Side,
}

/// Units in one delivery, 1 to 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(u32);

impl Weight {
    /// Checks a weight in grams.
    pub fn new(grams: u32) -> Result<Self, Invalid> {
        within(grams, MAX_WEIGHT_G, "g").map(Self)
    }

    /// Grams.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Side {
    /// Checks a side in millimetres.
    pub fn new(millimetres: u32) -> Result<Self, Invalid> {
        within(millimetres, MAX_SIDE_MM, "mm").map(Self)
    }

    /// Millimetres.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Size {
    /// Three checked sides.
    pub fn new(length: Side, width: Side, height: Side) -> Self {
        Self { length, width, height }
    }

    /// The side that a limit is compared with.
    pub fn longest(self) -> Side {
        self.length.max(self.width).max(self.height)
    }
}

impl Quantity {
    /// Checks a number of units.
    pub fn new(units: u32) -> Result<Self, Invalid> {
        within(units, MAX_QUANTITY, "units").map(Self)
    }

    /// Units.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for Quantity {
    fn default() -> Self {
        Self(1)
    }
}

pub(crate) fn within(value: u32, most: u32, unit: &str) -> Result<u32, Invalid> {
    if (1..=most).contains(&value) {
        return Ok(value);
    }
    Err(Invalid::new(format!("must be 1 to {most} {unit}, and is {value}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_and_too_much_are_refused_with_the_range() {
        assert_eq!(Weight::new(0).unwrap_err().to_string(), "must be 1 to 1000000000 g, and is 0");
        assert!(Weight::new(MAX_WEIGHT_G).is_ok() && Weight::new(MAX_WEIGHT_G + 1).is_err());
        assert!(Side::new(MAX_SIDE_MM).is_ok() && Side::new(MAX_SIDE_MM + 1).is_err());
        assert!(Quantity::new(MAX_QUANTITY).is_ok() && Quantity::new(MAX_QUANTITY + 1).is_err());
    }

    #[test]
    fn the_longest_side_is_longest_wherever_it_stands() {
        let [a, b, c] = [200, 900, 100].map(|mm| Side::new(mm).unwrap());
        for size in [Size::new(a, b, c), Size::new(b, c, a), Size::new(c, a, b)] {
            assert_eq!(size.longest().get(), 900);
        }
    }

    #[test]
    fn one_unit_is_meant_when_nothing_is_said() {
        assert_eq!(Quantity::default().get(), 1);
    }
}
