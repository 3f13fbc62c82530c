//! Calling another service so that its slowness and its outages cost as little as they can.
//!
//! Knows nothing of what is called: any tonic client fits that is wrapped as a `tower::Service` of `Attempt`s. Time is
//! tokio's and random numbers are passed in, so what happens can be simulated and replayed.
//!
//! | concept | file |
//! |---|---|
//! | the layers in their order | `stack.rs` |
//! | what the end of an attempt means | `outcome.rs` |
//! | how long a call and an attempt may take | `deadline.rs` |
//! | sending calls together | `batch.rs` |
//! | refusing calls to what does not answer | `breaker.rs` |
//! | how many calls may wait | `bulkhead.rs` |
//! | whether, when and where to try again | `retry.rs` |
//! | how many further attempts there may be | `budget.rs` |
//! | a second attempt beside a slow one | `hedge.rs` |
//! | which process is asked | `endpoints.rs` |
//! | how many calls an endpoint may have | `limit.rs` |
//! | what is shared by all calls of a kind | `caller.rs` |
//! | why there is no answer | `refusal.rs` |
//! | what can be seen of it | `metrics.rs` |

mod atomic;
pub mod batch;
pub mod breaker;
pub mod budget;
pub mod bulkhead;
mod caller;
pub mod deadline;
pub mod endpoints;
pub mod hedge;
pub mod limit;
mod metrics;
pub mod outcome;
mod random;
mod refusal;
pub mod retry;
mod stack;

pub use caller::{CallSettings, Caller, Totals};
pub use metrics::Metrics;
pub use random::Random;
pub use refusal::{CallError, Cause, Refusal};
pub use stack::{Attempt, Connect, Stack};
