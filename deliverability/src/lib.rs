//! Can this product be delivered to this location? The rules that decide it, without I/O and without a clock.
//!
//! | to know | read |
//! |---|---|
//! | what a catalogue is made of | `product.rs`, `location.rs`, `rule.rs` |
//! | their parts, checked once | `id.rs`, `text.rs`, `tags.rs`, `state.rs`, `measure.rs`, `limits.rs`, `time.rs`, `postal.rs` |
//! | what is asked and answered | `question.rs`, `decision.rs`, `explanation.rs`, `address.rs` |
//! | who wins when rules disagree | `catalogue/judge.rs` |
//! | how rules are found without looking at all | `catalogue/matching.rs`, then `places.rs`, `presence.rs`, `rules.rs`, `rule_list.rs` |
//! | how an address becomes a location | `catalogue/resolve.rs`, `catalogue/address_index.rs` |
//! | why a clone of a million objects is cheap | `cow/map.rs`, `cow/shard.rs`, `cow/vec.rs` |
//!
//! A [`Catalogue`] is built by [`Catalogue::apply`] from [`Change`]s, in any order, and asked by
//! [`Catalogue::decide`]. A clone is a snapshot: later changes of the original don't reach it.

mod address;
mod catalogue;
mod cow;
mod decision;
mod explanation;
mod id;
mod invalid;
mod limits;
mod location;
mod measure;
mod postal;
mod product;
mod question;
mod rule;
mod state;
mod tags;
mod text;
mod time;

pub use address::{Address, PathEntry};
pub use catalogue::{Catalogue, Change};
pub use decision::{Decision, LimitKind, MAX_DECIDING_RULES, Reason, RuleRef, Verdict, ViolatedLimit};
pub use explanation::{Explanation, MAX_EXPLANATIONS, RuleOutcome};
pub use id::{LocationId, ProductId, RuleId};
pub use invalid::Invalid;
pub use limits::{Limits, MAX_LIMIT_WEIGHT_G};
pub use location::{Location, LocationKind, MAX_TREE_DEPTH};
pub use measure::{MAX_QUANTITY, MAX_SIDE_MM, MAX_WEIGHT_G, Quantity, Side, Size, Weight};
pub use postal::{MAX_POSTCODE_BYTES, PostalMatcher, PostalRange, Postcode};
pub use product::Product;
pub use question::Question;
pub use rule::{Effect, PlaceSelector, ProductSelector, Rule};
pub use state::State;
pub use tags::{MAX_TAGS, Tags};
pub use text::{
    Code, MAX_CODE_BYTES, MAX_NAME_BYTES, MAX_NOTE_BYTES, MAX_TAG_BYTES, MIN_CODE_BYTES, Name, Note, Tag,
};
pub use time::{MAX_UNIX_MICROS, MIN_UNIX_MICROS, Timestamp, Validity};
