//! What a delivery is and what may become of it: values that can't be wrong, and no I/O.

mod admission;
mod delivery;
mod external_reference;
mod order;
mod revision_token;
mod state;

pub use admission::{Admission, Evidence, Source};
pub use delivery::{Delivery, DeliveryId, Refusal, Step};
pub use external_reference::{ExternalReference, MAX_REFERENCE_BYTES};
pub use order::{Fingerprint, Order};
pub use revision_token::{MAX_TOKEN_BYTES, RevisionToken};
pub use state::{State, Transition, UnknownWord};
