//! How the store behaves: one suite, run on SQLite and on PostgreSQL.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test, with its line")]

#[path = "support/cutting_proxy.rs"]
mod cutting_proxy;
#[path = "support/databases.rs"]
mod databases;

#[path = "store/archiving.rs"]
mod archiving;
#[path = "store/committing.rs"]
mod committing;
#[path = "store/creating.rs"]
mod creating;
#[path = "store/falling_silent.rs"]
mod falling_silent;
#[path = "store/listing.rs"]
mod listing;
#[path = "store/locking.rs"]
mod locking;
#[path = "store/losing.rs"]
mod losing;
#[path = "store/mixing.rs"]
mod mixing;
#[path = "store/samples.rs"]
mod samples;
#[path = "store/transitions.rs"]
mod transitions;
#[path = "store/verifying.rs"]
mod verifying;
