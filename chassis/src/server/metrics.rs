//! What a serving process tells of itself, read when the page is asked for.

use std::fmt;

use prometheus_client::encoding::{EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use tonic::Code;

use crate::access::Refused;
use crate::connections::ConnectionLimits;
use crate::metrics::{Collector, DescriptorEncoder, Registry, counter, gauge};
use crate::services::{CallLimits, Total};
use crate::status::code_name;
use crate::tls::{self, ServerTls};

/// The calls and connections of a process, and the most that there may be.
#[derive(Debug)]
pub(super) struct ServerMetrics {
    calls: CallLimits,
    connections: ConnectionLimits,
    tls: Option<ServerTls>,
}

// === impl ServerMetrics ===

impl ServerMetrics {
    pub(super) fn register(
        registry: &mut Registry,
        calls: CallLimits,
        connections: ConnectionLimits,
        tls: Option<ServerTls>,
    ) {
        let metrics = Self { calls, connections, tls };
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
        gauge(page, "connections_limit", "Most open connections", connections.max_open())?;
        if let Some(tls) = &self.tls {
            secured(page, tls)?;
        }
        let totals = calls.totals();
        in_flight_by_method(page, &totals)?;
        calls_by_code(page, &totals)?;
        durations(page, &totals)
    }
}

fn secured(page: &mut DescriptorEncoder<'_>, tls: &ServerTls) -> fmt::Result {
    tls::of_files(page, Some(tls.not_after()), tls.failed_reloads())?;
    let handshakes = "Connections that were closed because their TLS handshake failed or took too long";
    counter(page, "tls_handshakes_failed", handshakes, tls.failed_handshakes())?;
    let Some(Refused { in_flight, per_second }) = tls.refused_calls() else { return Ok(()) };
    let help = "Calls refused because their caller had reached a limit of the access file, by which";
    let mut refused = page.encode_descriptor("calls_limited", help, None, MetricType::Counter)?;
    for (limit, count) in [("calls_in_flight", in_flight), ("calls_per_second", per_second)] {
        ConstCounter::new(count).encode(refused.encode_family(&[("limit", limit)])?)?;
    }
    Ok(())
}

fn in_flight_by_method(page: &mut DescriptorEncoder<'_>, totals: &[Total]) -> fmt::Result {
    let help = "Calls in flight, streams and health checks included";
    let mut calls = page.encode_descriptor("method_calls_in_flight", help, None, MetricType::Gauge)?;
    for total in totals {
        let labels = [("service", total.service), ("method", &total.method)];
        ConstGauge::new(total.in_flight).encode(calls.encode_family(&labels)?)?;
    }
    Ok(())
}

fn calls_by_code(page: &mut DescriptorEncoder<'_>, totals: &[Total]) -> fmt::Result {
    let help = "Calls that ended, by the code of their answer; CANCELLED: given up by their caller, or cut with their \
                connection, by its age or the end of a drain";
    let mut calls = page.encode_descriptor("calls", help, None, MetricType::Counter)?;
    for total in totals {
        for (code, count) in (0..).zip(total.codes).filter(|(_, count)| *count > 0) {
            let code = code_name(Code::from_i32(code));
            let labels = [("service", total.service), ("method", &total.method), ("code", code)];
            ConstCounter::new(count).encode(calls.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

fn durations(page: &mut DescriptorEncoder<'_>, totals: &[Total]) -> fmt::Result {
    let help = "How long calls took in this process, from their head to the end of their answer";
    let mut durations = page.encode_descriptor("call_duration_seconds", help, None, MetricType::Histogram)?;
    for total in totals.iter().filter(|total| total.calls() > 0) {
        let labels = [("service", total.service), ("method", &total.method)];
        let mut histogram = durations.encode_family(&labels)?;
        histogram.encode_histogram::<NoLabelSet>(total.seconds, total.calls(), &total.buckets, None)?;
    }
    Ok(())
}
