//! What Delivery tells on its metrics page, besides what its store and its client of Product tell of themselves.
//!
//! | to know | read |
//! |---|---|
//! | how creates were answered | `admissions.rs` |
//! | how many deliveries wait for Product, and since when | `pending.rs` |
//! | what the verifier does about them | `verified.rs` |

mod admissions;
mod pending;
mod verified;

pub use admissions::{AdmissionShard, Admissions};
pub use pending::Pending;
pub use verified::Verified;
