//! The service on the wire. Messages are parsed into objects in `parse` and made from them in `render`, and go no deeper;
//! every error becomes a status in `statuses`.

mod delivery_service;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod parse;
pub(crate) mod render;
mod statuses;

pub use delivery_service::DeliveryHandlers;
