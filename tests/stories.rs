//! The stories: promises kept across real processes and sockets.
