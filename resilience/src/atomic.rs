//! The atomics that the lock-free parts use. Their model test brings loom's under the same name, so that the very same
//! files are tried under every order of events.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
