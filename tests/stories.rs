//! The stories: promises kept across real processes and sockets, one promise a file.

mod support;

mod a_delivery_needs_a_deliverable_product;
