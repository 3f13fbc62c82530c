//! What the three kinds of objects have in common when they are written.

use deliverability::{Location, LocationId, Product, ProductId, Rule, RuleId, State};

/// A product, location or rule, as the store writes them all.
pub trait Object: Clone + PartialEq + Send + Sync + 'static {
    /// What names it.
    type Id: Copy + Eq + std::hash::Hash + std::fmt::Display + Send + Sync;

    /// What the kind is called in errors: `PRODUCT`.
    const KIND: Kind;

    /// What names this one.
    fn id(&self) -> Self::Id;
    /// How often it was written.
    fn version(&self) -> u32;
    /// The same at another version.
    #[must_use]
    fn with_version(self, version: u32) -> Self;
    /// Whether it is retired or deleted: nothing changes it any more.
    fn has_ended(&self) -> bool;
    /// The same, retired or deleted.
    #[must_use]
    fn ended(self) -> Self;
}

/// Which kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A product.
    Product,
    /// A location.
    Location,
    /// A rule.
    Rule,
}

macro_rules! impl_object {
    ($object:ident, $id:ident, $kind:ident, $has_ended:expr, $end:expr) => {
        impl Object for $object {
            type Id = $id;

            const KIND: Kind = Kind::$kind;

            fn id(&self) -> $id {
                self.id
            }

            fn version(&self) -> u32 {
                self.version
            }

            fn with_version(self, version: u32) -> Self {
                Self { version, ..self }
            }

            fn has_ended(&self) -> bool {
                let has_ended: fn(&$object) -> bool = $has_ended;
                has_ended(self)
            }

            fn ended(mut self) -> Self {
                let end: fn(&mut $object) = $end;
                end(&mut self);
                self
            }
        }
    };
}

impl_object!(Product, ProductId, Product, |p| p.state == State::Retired, |p| p.state = State::Retired);
impl_object!(Location, LocationId, Location, |l| l.state == State::Retired, |l| l.state = State::Retired);
impl_object!(Rule, RuleId, Rule, |r| r.deleted, |r| r.deleted = true);

// === impl Kind ===

impl Kind {
    /// As people say it.
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Self::Product => "product",
            Self::Location => "location",
            Self::Rule => "rule",
        }
    }
}
