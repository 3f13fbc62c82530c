//! A scripted service, a client that hides nothing, and two ways to serve: over pipes with paused time, and as a process.

mod client;
mod page;
pub mod pki;
mod process;
mod reflected;
mod script;
pub mod secured;
mod wire;

use std::time::Duration;

use tonic::Status;

pub use client::Client;
pub use page::{ask, ask_for, connect, page};
pub use process::Process;
pub(crate) use reflected::listed_by;
pub use script::{Script, ScriptServer};
pub use wire::Wire;

/// Longest wait for anything that should happen at once.
pub const SOON: Duration = Duration::from_secs(10);

/// The code and the reason of a refusal.
pub fn refusal(status: &Status) -> (tonic::Code, String) {
    (status.code(), chassis::status::reason(status).unwrap_or_default())
}

/// What `future` gives, which must be soon.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("it should have happened by now")
}
