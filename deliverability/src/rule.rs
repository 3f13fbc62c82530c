//! What may go where: one statement about some products and some places.

use crate::{Invalid, Limits, LocationId, Note, ProductId, RuleId, Tag, Validity};

/// A rule as the catalogue has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Chosen by its creator.
    pub id: RuleId,
    /// What it says.
    pub effect: Effect,
    /// Of which products.
    pub product: ProductSelector,
    /// Of which places.
    pub place: PlaceSelector,
    /// On an ALLOW only.
    pub limits: Limits,
    /// When it is in force.
    pub validity: Validity,
    /// Why it exists.
    pub note: Note,
    /// Counts its changes, from 1.
    pub version: u32,
    /// A tombstone: it decides nothing any more.
    pub deleted: bool,
}

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Yes, within its limits.
    Allow,
    /// No, unless a more specific rule allows.
    Deny,
    /// No, whatever any other rule says.
    Embargo,
}

/// Which products a rule speaks of, from the least to the most specific.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ProductSelector {
    /// Every product.
    Any,
    /// Every product of a class.
    Class(Tag),
    /// One product.
    Product(ProductId),
}

/// Which places a rule speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PlaceSelector {
    /// Every place.
    Any,
    /// Every location tagged with a zone, and everything below it.
    Zone(Tag),
    /// A location and everything below it.
    Location(LocationId),
}

// === impl Rule ===

impl Rule {
    /// Refuses what no single field shows: limits on anything but an ALLOW.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.effect != Effect::Allow && !self.limits.is_empty() {
            return Err(Invalid::new("may be given on an ALLOW only"));
        }
        Ok(())
    }
}

// === impl Effect ===

impl Effect {
    /// As the contract and the databases spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "ALLOW",
            Self::Deny => "DENY",
            Self::Embargo => "EMBARGO",
        }
    }

    /// Reads what [`Effect::as_str`] writes.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        [Self::Allow, Self::Deny, Self::Embargo]
            .into_iter()
            .find(|effect| effect.as_str() == text)
            .ok_or_else(|| Invalid::new("must be ALLOW, DENY or EMBARGO"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effect_is_read_as_it_is_written() {
        for effect in [Effect::Allow, Effect::Deny, Effect::Embargo] {
            assert_eq!(Effect::parse(effect.as_str()), Ok(effect));
        }
        assert!(Effect::parse("MAYBE").is_err());
    }

    #[test]
    fn only_an_allow_has_limits() {
        let limits = Limits::new(None, None, Some(5)).unwrap();
        for (effect, good) in [(Effect::Allow, true), (Effect::Deny, false), (Effect::Embargo, false)] {
            let rule = Rule {
                id: RuleId::parse("2eb73728-2fea-475e-b536-5e1458294a90").unwrap(),
                effect,
                product: ProductSelector::Any,
                place: PlaceSelector::Any,
                limits,
                validity: Validity::default(),
                note: Note::default(),
                version: 1,
                deleted: false,
            };
            assert_eq!(rule.check().is_ok(), good, "{effect:?}");
            assert!(Rule { limits: Limits::default(), ..rule }.check().is_ok());
        }
    }
}
