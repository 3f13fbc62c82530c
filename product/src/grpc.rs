//! The two services on the wire. Messages are parsed into objects in `parse` and made from them in `render`, and go no
//! deeper; every error becomes a status in `statuses`.

mod catalogue_service;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod import;
mod mask;
mod parse;
mod product_service;
mod render;
mod statuses;
mod watch;

pub use catalogue_service::CatalogueHandlers;
pub use import::Imports;
pub use product_service::ProductHandlers;
pub use watch::Watches;
