//! The program as its users run it: the built binary, real processes, real sockets.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test, with its line")]

mod alone;
mod status;
mod system;
mod up;
