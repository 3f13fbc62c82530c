//! What is asked.

use crate::{LocationId, ProductId, Quantity, Timestamp};

/// Can this much of this product be delivered there, then?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// What.
    pub product: ProductId,
    /// Where.
    pub location: LocationId,
    /// How much.
    pub quantity: Quantity,
    /// When.
    pub at: Timestamp,
}
