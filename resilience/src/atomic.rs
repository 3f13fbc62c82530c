//! The atomics and the lock that the parts use which threads share at every call. Their model test brings loom's under the
//! same name, so that the very same files are tried under every order of events.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
pub(crate) use std::sync::{Mutex, MutexGuard};
