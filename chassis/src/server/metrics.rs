//! What a serving process tells of itself, read when the page is asked for.

use std::fmt;

use crate::connections::ConnectionLimits;
use crate::metrics::{Collector, DescriptorEncoder, Registry, counter, gauge};
use crate::services::CallLimits;

/// The calls and connections of a process, and the most that there may be.
#[derive(Debug)]
pub(super) struct ServerMetrics {
    calls: CallLimits,
    connections: ConnectionLimits,
}

// === impl ServerMetrics ===

impl ServerMetrics {
    pub(super) fn register(registry: &mut Registry, calls: CallLimits, connections: ConnectionLimits) {
        let metrics = Self { calls, connections };
        registry.sub_registry_with_prefix("server").register_collector(Box::new(metrics));
    }
}

impl Collector for ServerMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (calls, connections) = (&self.calls, &self.connections);
        let page = &mut encoder;
        gauge(page, "calls_in_flight", "Calls in flight, health checks left out", calls.in_flight())?;
        gauge(page, "calls_in_flight_limit", "Most calls in flight of each service", calls.max_in_flight())?;
        counter(page, "calls_refused", "Calls refused because the most were in flight", calls.refused())?;
        gauge(page, "connections", "Open connections", connections.open())?;
        gauge(page, "connections_limit", "Most open connections", connections.max_open())
    }
}
