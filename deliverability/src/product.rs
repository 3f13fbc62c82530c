//! Something that can be delivered.

use crate::{Name, ProductId, Size, State, Tags, Weight};

/// A product as the catalogue has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// Chosen by its creator.
    pub id: ProductId,
    /// For people.
    pub name: Name,
    /// What rules may select by.
    pub classes: Tags,
    /// Of one unit; absent: not known.
    pub weight: Option<Weight>,
    /// Of one unit; absent: not known.
    pub size: Option<Size>,
    /// Whether it may be used.
    pub state: State,
    /// Counts its changes, from 1.
    pub version: u32,
}
