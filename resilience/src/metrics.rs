//! What the host may put on its metrics page. Everything is counted where it happens, in plain atomics; this reads them when
//! the page is asked for, so endpoints that are gone are gone from it.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::breaker::State;
use crate::caller::{Caller, Totals};
use crate::endpoints::{Endpoint, Endpoints};
use crate::outcome::Kind;
use crate::refusal::Refusal;
use crate::retry::Stop;

/// The metrics of some callers and of the endpoints that they share.
#[derive(Debug)]
pub struct Metrics {
    endpoints: Arc<Endpoints>,
    /// Each with the name of what it calls for.
    callers: Vec<(&'static str, Arc<Caller>)>,
}

// === impl Metrics ===

impl Metrics {
    /// Of callers that share these endpoints; the names tell the callers apart.
    #[must_use]
    pub fn new(endpoints: Arc<Endpoints>, callers: Vec<(&'static str, Arc<Caller>)>) -> Self {
        Self { endpoints, callers }
    }
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        endpoints(&self.endpoints, &mut encoder)?;
        callers(&self.callers, &mut encoder)
    }
}

fn endpoints(endpoints: &Endpoints, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let current = endpoints.current();
    let named: Vec<(String, &Endpoint)> =
        current.iter().map(|endpoint| (endpoint.address.to_string(), &**endpoint)).collect();

    let page = encoder.encode_descriptor("endpoints", "Endpoints that are known", None, MetricType::Gauge)?;
    ConstGauge::new(named.len()).encode(page)?;
    let mut page = Family::counter(encoder, "attempts", "Attempts, by how they ended")?;
    for (address, endpoint) in &named {
        for kind in Kind::ALL {
            page.add(&[("endpoint", address), ("outcome", kind.name())], endpoint.attempts(kind))?;
        }
    }
    let mut page = Family::gauge(encoder, "breaker_state", "1 for the state that the breaker is in")?;
    for (address, endpoint) in &named {
        let state = endpoint.breaker.state();
        for (name, which) in
            [("closed", State::Closed), ("open", State::Open), ("half_open", State::HalfOpen)]
        {
            page.add(&[("endpoint", address), ("state", name)], u64::from(state == which))?;
        }
    }
    let mut page = Family::counter(encoder, "breaker_openings", "Times that the breaker opened")?;
    for (address, endpoint) in &named {
        page.add(&[("endpoint", address)], endpoint.openings())?;
    }
    let mut page = Family::gauge(encoder, "endpoint_in_flight", "Attempts in flight")?;
    for (address, endpoint) in &named {
        page.add(&[("endpoint", address)], endpoint.load.in_flight())?;
    }
    let mut page =
        Family::gauge(encoder, "endpoint_latency_seconds", "Moving peak of the time an answer takes")?;
    for (address, endpoint) in &named {
        page.add_f64(&[("endpoint", address)], endpoint.load.latency().as_secs_f64())?;
    }
    let mut page =
        Family::gauge(encoder, "endpoint_limit", "Most attempts in flight, where that is adapted")?;
    for (address, endpoint) in &named {
        if let Some(limit) = &endpoint.limit {
            page.add(&[("endpoint", address)], limit.current())?;
        }
    }
    Ok(())
}

fn callers(callers: &[(&'static str, Arc<Caller>)], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let mut counter = |name, help, of: fn(Totals) -> u64| {
        let mut page = Family::counter(encoder, name, help)?;
        callers.iter().try_for_each(|(calls, caller)| page.add(&[("calls", calls)], of(caller.totals())))
    };
    counter("calls", "Calls, whatever came of them", |totals| totals.calls)?;
    counter("resends", "Requests sent again that cost nothing of the budget", |totals| totals.resends)?;
    counter("hedges", "Second attempts beside a first", |totals| totals.hedges)?;
    counter("hedges_won", "Second attempts that answered first", |totals| totals.hedges_won)?;
    counter("batches", "Attempts made for calls that went together", |totals| totals.batches)?;
    counter("batched_calls", "Calls that went together", |totals| totals.batched)?;

    let mut page = Family::counter(
        encoder,
        "retries",
        "Further attempts, taken from the budget, by how the last one ended",
    )?;
    for (calls, caller) in callers {
        for kind in Kind::ALL {
            page.add(&[("calls", calls), ("reason", kind.name())], caller.counts.retries(kind))?;
        }
    }
    let mut page = Family::counter(encoder, "refusals", "Calls that were refused here, by why")?;
    for (calls, caller) in callers {
        for refusal in Refusal::ALL {
            page.add(&[("calls", calls), ("reason", refusal.name())], caller.counts.refusals(refusal))?;
        }
    }
    let mut page = Family::counter(encoder, "unretried", "Failed calls that were not tried again, by why")?;
    for (calls, caller) in callers {
        for stop in Stop::ALL {
            page.add(&[("calls", calls), ("reason", stop.name())], caller.counts.stops(stop))?;
        }
    }
    let mut page = Family::gauge(encoder, "in_flight", "Calls in flight")?;
    for (calls, caller) in callers {
        page.add(&[("calls", calls)], caller.in_flight())?;
    }
    let mut page = Family::gauge(encoder, "bulkhead_capacity", "Most calls in flight")?;
    for (calls, caller) in callers {
        page.add(&[("calls", calls)], caller.bulkhead.capacity())?;
    }
    let mut page = Family::gauge(encoder, "retry_budget_tokens", "Retries that the budget allows now")?;
    for (calls, caller) in callers {
        page.add(&[("calls", calls)], caller.budget_tokens())?;
    }
    Ok(())
}

/// One metric with all its labels.
struct Family<'a> {
    encoder: prometheus_client::encoding::MetricEncoder<'a>,
    is_counter: bool,
}

// === impl Family ===

impl<'a> Family<'a> {
    fn counter(
        encoder: &'a mut DescriptorEncoder<'_>,
        name: &'a str,
        help: &str,
    ) -> Result<Self, fmt::Error> {
        let encoder = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        Ok(Self { encoder, is_counter: true })
    }

    fn gauge(encoder: &'a mut DescriptorEncoder<'_>, name: &'a str, help: &str) -> Result<Self, fmt::Error> {
        let encoder = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        Ok(Self { encoder, is_counter: false })
    }

    fn add<const N: usize>(&mut self, labels: &[(&'static str, &str); N], value: u64) -> fmt::Result {
        let encoder = self.encoder.encode_family(labels)?;
        if self.is_counter {
            ConstCounter::new(value).encode(encoder)
        } else {
            ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(encoder)
        }
    }

    fn add_f64<const N: usize>(&mut self, labels: &[(&'static str, &str); N], value: f64) -> fmt::Result {
        ConstGauge::new(value).encode(self.encoder.encode_family(labels)?)
    }
}
