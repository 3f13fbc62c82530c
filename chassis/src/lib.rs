//! What each service process needs, whatever it serves.
//!
//! | module | what it is for |
//! |---|---|
//! | [`settings`] | flags, each with a variable; secrets from files |
//! | [`metrics`], [`admin`] | figures, and the page that shows them on a port of its own |
//! | [`telemetry`] | logs, for people or as JSON |
//! | [`trace`] | which request a piece of work belongs to, and spans for a collector |
//! | [`shutdown`] | the one signal that ends serving |
//! | [`health`] | health for each service, for the whole, and liveness |
//! | [`reflection`] | what a server offers, v1 and v1alpha |
//! | [`deadline`] | when an answer is of no more use |
//! | [`status`] | errors with google.rpc details |
//! | [`services`] | dispatch, and what stands around every call: load limit, deadline, panics, statuses |
//! | [`connections`] | serving connections over any stream of bytes |
//! | [`tls`] | TLS for both sides, its files read again when they change |
//! | [`identity`], [`access`] | who calls, and who may call what |
//! | [`server`] | a serving process: acceptor, a runtime for each core, drain |
//! | [`database`] | SQLite or PostgreSQL on a runtime of its own, one SQL for both |
//! | [`page`] | page tokens |
//! | [`clock`] | wall time |

pub mod access;
pub mod admin;
pub mod clock;
pub mod connections;
pub mod database;
pub mod deadline;
pub mod health;
pub mod identity;
mod load;
pub mod metrics;
pub mod page;
mod panics;
pub mod reflection;
pub mod server;
pub mod services;
pub mod settings;
pub mod shutdown;
pub mod status;
pub mod telemetry;
pub mod tls;
pub mod trace;
