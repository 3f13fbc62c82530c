//! One service: whether it answers and serves, and what it says of itself.

use std::time::Instant;

use proto::product::v1::product_service_client::ProductServiceClient;
use proto::product::v1::{BatchCanDeliverRequest, BatchCanDeliverResponse};
use serde_json::{Value, json};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::clients::{CallError, Peer, Service};
use crate::{tables, words};

/// The process as a whole.
const OVERALL: &str = "";

/// What one service says of itself.
pub struct Seen {
    service: Service,
    address: String,
    /// None: it can't be reached, for the reason in `problem`.
    round_trip_ms: Option<f64>,
    /// Each name and its state.
    health: Vec<(&'static str, &'static str)>,
    catalogue: Option<BatchCanDeliverResponse>,
    problem: Option<String>,
}

/// Asks a service how it is.
pub async fn look(peer: &Peer, service: Service, names: &[&'static str]) -> Seen {
    let address = peer.url().to_string();
    let mut seen =
        Seen { service, address, round_trip_ms: None, health: Vec::new(), catalogue: None, problem: None };
    if let Err(error) = ask(peer, names, &mut seen).await {
        seen.problem = Some(error.to_string());
    }
    seen
}

async fn ask(peer: &Peer, names: &[&'static str], seen: &mut Seen) -> Result<(), CallError> {
    seen.health.push((OVERALL, health(peer, OVERALL).await?));
    // The first call connected; this one shows what a call costs.
    let started = Instant::now();
    health(peer, OVERALL).await?;
    seen.round_trip_ms = Some(started.elapsed().as_secs_f64() * 1_000.0);
    for name in names {
        seen.health.push((name, health(peer, name).await?));
    }
    if seen.service == Service::Product {
        let ask =
            async |channel, request| ProductServiceClient::new(channel).batch_can_deliver(request).await;
        seen.catalogue = Some(peer.call(BatchCanDeliverRequest::default(), ask).await?);
    }
    Ok(())
}

async fn health(peer: &Peer, name: &str) -> Result<&'static str, CallError> {
    let check = async |channel, request| HealthClient::new(channel).check(request).await;
    match peer.call(HealthCheckRequest { service: name.to_owned() }, check).await {
        Ok(answer) => Ok(answer.status().as_str_name()),
        Err(error) if error.code() == Code::NotFound => Ok(ServingStatus::ServiceUnknown.as_str_name()),
        Err(error) => Err(error),
    }
}

// === impl Seen ===

impl Seen {
    /// Whether all of it serves.
    pub fn is_serving(&self) -> bool {
        let serving = ServingStatus::Serving.as_str_name();
        self.problem.is_none() && self.health.iter().all(|(_, state)| *state == serving)
    }

    /// A title and facts, some further ones among them.
    pub fn text(&self, further: Vec<(&'static str, String)>) -> String {
        let word = match (self.is_serving(), self.round_trip_ms) {
            (true, _) => "SERVING",
            (false, Some(_)) => "NOT SERVING",
            (false, None) => "NO ANSWER",
        };
        let mut facts = vec![("address", self.address.clone())];
        if let Some(milliseconds) = self.round_trip_ms {
            facts.push(("round trip", format!("{milliseconds:.1} ms")));
        }
        for (name, state) in &self.health {
            let name = if name.is_empty() { "the whole" } else { name };
            facts.push(("health", format!("{state:<12} {name}")));
        }
        if let Some(catalogue) = &self.catalogue {
            facts.push(("revision", catalogue.revision.clone()));
            facts.push(("as of", words::time(catalogue.as_of_time.as_ref(), "not said")));
        }
        facts.extend(further);
        if let Some(problem) = &self.problem {
            facts.push(("problem", problem.replace('\n', "\n            ")));
        }
        let title = format!("{:<10}{}", self.service.name(), tables::verdict(word, self.is_serving()));
        format!("{title}\n{}", tables::facts(&facts))
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        let health: serde_json::Map<_, _> =
            self.health.iter().map(|(name, state)| ((*name).to_owned(), json!(state))).collect();
        let mut value = json!({
            "service": self.service.name(),
            "address": self.address,
            "serving": self.is_serving(),
            "reachable": self.round_trip_ms.is_some(),
            "health": health,
        });
        if let Some(milliseconds) = self.round_trip_ms {
            value["round_trip_ms"] = json!(milliseconds);
        }
        if let Some(catalogue) = &self.catalogue {
            value["revision"] = json!(catalogue.revision);
            value["as_of_time"] = json!(words::time(catalogue.as_of_time.as_ref(), ""));
        }
        if let Some(problem) = &self.problem {
            value["problem"] = json!(problem);
        }
        value
    }
}
