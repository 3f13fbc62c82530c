//! How the service behaves: in this process, over a real socket, against a Product whose answers are scripted. On SQLite
//! and on PostgreSQL.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test, with its line")]

#[path = "support/databases.rs"]
mod databases;

#[path = "service/batching.rs"]
mod batching;
#[path = "service/creating.rs"]
mod creating;
#[path = "service/dispatching.rs"]
mod dispatching;
#[path = "service/enduring.rs"]
mod enduring;
#[allow(dead_code, reason = "the simulation uses more of it")]
#[path = "support/fake_product.rs"]
mod fake_product;
#[path = "service/house.rs"]
mod house;
#[path = "service/lifecycle.rs"]
mod lifecycle;
#[path = "service/verifying.rs"]
mod verifying;
