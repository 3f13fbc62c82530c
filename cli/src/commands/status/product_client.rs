//! Product as Delivery sees it: its endpoints, and what becomes of the calls to them.

use serde_json::{Map, Value, json};

use crate::openmetrics::Page;
use crate::tables::table;
use crate::words::grouped;

/// Ends of an attempt that are no failure of the endpoint: it answered, or nobody waited for it long enough, or its
/// connection had come of age.
const NO_FAILURES: [&str; 5] = ["ok", "answered", "cancelled", "hurried", "not_processed"];

/// What Delivery's metrics page tells of Product.
#[derive(Debug)]
pub struct ProductClient {
    endpoints: Vec<Endpoint>,
    kinds: Vec<Kind>,
}

/// One process of Product.
#[derive(Debug)]
struct Endpoint {
    address: String,
    breaker: String,
    openings: u64,
    in_flight: u64,
    latency_seconds: f64,
    /// How many attempts ended how.
    attempts: Vec<(String, u64)>,
}

/// The calls of one kind, such as live.
#[derive(Debug)]
struct Kind {
    calls: String,
    made: u64,
    in_flight: u64,
    capacity: u64,
    budget_tokens: u64,
    /// How many further attempts there were, and why.
    retries: Vec<(String, u64)>,
    /// How many calls were not made, and why.
    refusals: Vec<(String, u64)>,
}

/// A page, its names told without what they all begin with.
struct Told<'a>(&'a Page);

// === impl ProductClient ===

impl ProductClient {
    /// None: the page tells nothing of Product, as pages of other services do.
    pub fn read(page: &Page) -> Option<Self> {
        let told = Told(page);
        let kinds = told.by("calls", "in_flight", &[]);
        let kinds: Vec<_> = kinds.into_iter().map(|(calls, _)| Kind::read(&told, calls)).collect();
        let endpoints = told.by("endpoint", "endpoint_in_flight", &[]);
        let endpoints = endpoints.into_iter().map(|(address, _)| Endpoint::read(&told, address)).collect();
        (!kinds.is_empty()).then_some(Self { endpoints, kinds })
    }

    /// Two tables.
    pub fn text(&self) -> String {
        let header = ["ENDPOINT", "BREAKER", "OPENINGS", "IN FLIGHT", "LATENCY", "ATTEMPTS", "FAILED"];
        let endpoints = if self.endpoints.is_empty() {
            "no endpoints: nothing was found at --product-url".to_owned()
        } else {
            table(header, self.endpoints.iter().map(Endpoint::row))
        };
        let header = ["CALLS", "MADE", "IN FLIGHT", "RETRIES", "BUDGET", "REFUSED"];
        let kinds = table(header, self.kinds.iter().map(Kind::row));
        format!("Product as Delivery sees it\n{endpoints}\n\n{kinds}")
    }

    pub fn json(&self) -> Value {
        json!({
            "endpoints": self.endpoints.iter().map(Endpoint::json).collect::<Vec<_>>(),
            "calls": self.kinds.iter().map(Kind::json).collect::<Vec<_>>(),
        })
    }
}

// === impl Endpoint ===

impl Endpoint {
    fn read(told: &Told<'_>, address: &str) -> Self {
        let labels = &[("endpoint", address)];
        let state =
            told.by("state", "breaker_state", labels).into_iter().find(|(_, is_in_it)| *is_in_it == 1.0);
        Self {
            address: address.to_owned(),
            breaker: state.map_or("?", |(state, _)| state).to_uppercase(),
            openings: told.count("breaker_openings_total", labels),
            in_flight: told.count("endpoint_in_flight", labels),
            latency_seconds: told.value("endpoint_latency_seconds", labels),
            attempts: told.counts_by("outcome", "attempts_total", labels),
        }
    }

    fn row(&self) -> [String; 7] {
        let (good, failed): (Vec<_>, Vec<_>) =
            self.attempts.iter().cloned().partition(|(outcome, _)| NO_FAILURES.contains(&outcome.as_str()));
        [
            self.address.clone(),
            self.breaker.clone(),
            grouped(self.openings),
            grouped(self.in_flight),
            format!("{:.1} ms", self.latency_seconds * 1_000.0),
            grouped(sum(&good) + sum(&failed)),
            explained(&failed),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "address": self.address,
            "breaker": self.breaker,
            "openings": self.openings,
            "in_flight": self.in_flight,
            "latency_seconds": self.latency_seconds,
            "attempts": object(&self.attempts),
        })
    }
}

// === impl Kind ===

impl Kind {
    fn read(told: &Told<'_>, calls: &str) -> Self {
        let labels = &[("calls", calls)];
        Self {
            calls: calls.to_owned(),
            made: told.count("calls_total", labels),
            in_flight: told.count("in_flight", labels),
            capacity: told.count("bulkhead_capacity", labels),
            budget_tokens: told.count("retry_budget_tokens", labels),
            retries: told.counts_by("reason", "retries_total", labels),
            refusals: told.counts_by("reason", "refusals_total", labels),
        }
    }

    fn row(&self) -> [String; 6] {
        [
            self.calls.clone(),
            grouped(self.made),
            format!("{} of {}", grouped(self.in_flight), grouped(self.capacity)),
            explained(&self.retries),
            grouped(self.budget_tokens),
            explained(&self.refusals),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "calls": self.calls,
            "made": self.made,
            "in_flight": self.in_flight,
            "capacity": self.capacity,
            "retries": object(&self.retries),
            "budget_tokens": self.budget_tokens,
            "refusals": object(&self.refusals),
        })
    }
}

// === impl Told ===

impl<'a> Told<'a> {
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        // What a later version does not tell any more counts as nothing.
        self.0.value(&full(name), labels).unwrap_or_default()
    }

    fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.value(name, labels) as u64
    }

    fn by(&self, label: &str, name: &str, labels: &[(&str, &str)]) -> Vec<(&'a str, f64)> {
        self.0.values_by(label, &full(name), labels)
    }

    fn counts_by(&self, label: &str, name: &str, labels: &[(&str, &str)]) -> Vec<(String, u64)> {
        self.by(label, name, labels)
            .into_iter()
            .map(|(label, value)| (label.to_owned(), value as u64))
            .collect()
    }
}

fn full(name: &str) -> String {
    format!("candeliver_product_client_{name}")
}

fn sum(counts: &[(String, u64)]) -> u64 {
    counts.iter().map(|(_, count)| count).sum()
}

/// A sum with what it is made of, such as "3 (timed_out 2, unavailable 1)".
fn explained(counts: &[(String, u64)]) -> String {
    let parts: Vec<_> = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(what, count)| format!("{what} {}", grouped(*count)))
        .collect();
    if parts.is_empty() { "0".to_owned() } else { format!("{} ({})", grouped(sum(counts)), parts.join(", ")) }
}

fn object(counts: &[(String, u64)]) -> Map<String, Value> {
    counts.iter().map(|(what, count)| (what.clone(), json!(count))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"candeliver_product_client_attempts_total{endpoint="10.0.0.1:50051",outcome="ok"} 1200
candeliver_product_client_attempts_total{endpoint="10.0.0.1:50051",outcome="answered"} 34
candeliver_product_client_attempts_total{endpoint="10.0.0.1:50051",outcome="cancelled"} 1
candeliver_product_client_attempts_total{endpoint="10.0.0.2:50051",outcome="ok"} 7
candeliver_product_client_attempts_total{endpoint="10.0.0.2:50051",outcome="unavailable"} 1
candeliver_product_client_attempts_total{endpoint="10.0.0.2:50051",outcome="timed_out"} 2
candeliver_product_client_breaker_state{endpoint="10.0.0.1:50051",state="closed"} 1
candeliver_product_client_breaker_state{endpoint="10.0.0.1:50051",state="open"} 0
candeliver_product_client_breaker_state{endpoint="10.0.0.1:50051",state="half_open"} 0
candeliver_product_client_breaker_state{endpoint="10.0.0.2:50051",state="closed"} 0
candeliver_product_client_breaker_state{endpoint="10.0.0.2:50051",state="open"} 0
candeliver_product_client_breaker_state{endpoint="10.0.0.2:50051",state="half_open"} 1
candeliver_product_client_breaker_openings_total{endpoint="10.0.0.1:50051"} 0
candeliver_product_client_breaker_openings_total{endpoint="10.0.0.2:50051"} 4
candeliver_product_client_endpoint_in_flight{endpoint="10.0.0.1:50051"} 5
candeliver_product_client_endpoint_in_flight{endpoint="10.0.0.2:50051"} 0
candeliver_product_client_endpoint_latency_seconds{endpoint="10.0.0.1:50051"} 0.00042
candeliver_product_client_endpoint_latency_seconds{endpoint="10.0.0.2:50051"} 1.25
candeliver_product_client_calls_total{calls="live"} 1240
candeliver_product_client_calls_total{calls="verify"} 0
candeliver_product_client_retries_total{calls="live",reason="unavailable"} 3
candeliver_product_client_retries_total{calls="verify",reason="unavailable"} 0
candeliver_product_client_refusals_total{calls="live",reason="no_time"} 0
candeliver_product_client_refusals_total{calls="live",reason="all_open"} 2
candeliver_product_client_refusals_total{calls="verify",reason="no_time"} 0
candeliver_product_client_in_flight{calls="live"} 5
candeliver_product_client_in_flight{calls="verify"} 0
candeliver_product_client_bulkhead_capacity{calls="live"} 1024
candeliver_product_client_bulkhead_capacity{calls="verify"} 4
candeliver_product_client_retry_budget_tokens{calls="live"} 97
candeliver_product_client_retry_budget_tokens{calls="verify"} 10
# EOF
"#;

    fn seen() -> ProductClient {
        ProductClient::read(&Page::parse(PAGE).unwrap()).unwrap()
    }

    #[test]
    fn each_endpoint_and_each_kind_of_calls_has_its_row() {
        assert_eq!(
            seen().text(),
            "\
Product as Delivery sees it
ENDPOINT        BREAKER    OPENINGS  IN FLIGHT  LATENCY    ATTEMPTS  FAILED
10.0.0.1:50051  CLOSED     0         5          0.4 ms     1,235     0
10.0.0.2:50051  HALF_OPEN  4         0          1250.0 ms  10        3 (unavailable 1, timed_out 2)

CALLS   MADE   IN FLIGHT   RETRIES            BUDGET  REFUSED
live    1,240  5 of 1,024  3 (unavailable 3)  97      2 (all_open 2)
verify  0      0 of 4      0                  10      0"
        );
    }

    #[test]
    fn programs_get_the_same_by_name() {
        let json = seen().json();
        assert_eq!(json["endpoints"][1]["breaker"], "HALF_OPEN");
        assert_eq!(json["endpoints"][1]["attempts"]["timed_out"], 2);
        assert_eq!(json["endpoints"][0]["latency_seconds"], 0.00042);
        assert_eq!(json["calls"][0]["calls"], "live");
        assert_eq!(json["calls"][0]["budget_tokens"], 97);
        assert_eq!(json["calls"][0]["refusals"]["all_open"], 2);
    }

    #[test]
    fn a_page_that_tells_nothing_of_product_has_no_table_and_one_without_endpoints_says_so() {
        assert!(
            ProductClient::read(&Page::parse("candeliver_server_connections 1\n# EOF\n").unwrap()).is_none()
        );
        let none_found = "candeliver_product_client_in_flight{calls=\"live\"} 0\n# EOF\n";
        let seen = ProductClient::read(&Page::parse(none_found).unwrap()).unwrap();
        assert!(seen.text().contains("no endpoints: "), "{}", seen.text());
    }
}
