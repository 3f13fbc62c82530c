//! Health as gRPC defines it: one state for each service, one for the whole (""), and "liveness".

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{Stream, stream};
use tokio::sync::watch;
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health as HealthCalls, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::shutdown::Shutdown;
use crate::status::Failure;

/// The process as a whole: SERVING while every named service is.
const OVERALL: &str = "";
/// SERVING as long as the process answers at all, draining or not: what a liveness probe asks, lest a slow start or a
/// drain looks like a reason to restart.
pub const LIVENESS: &str = "liveness";

/// A name of a service, which is all that is asked: the longest of ours has 37 bytes.
const MAX_REQUEST_BYTES: usize = 1024;

/// The states of the services of one process; a clone shows and changes the same ones.
#[derive(Clone, Debug)]
pub struct Health(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    services: Vec<(&'static str, watch::Sender<ServingStatus>)>,
    overall: watch::Sender<ServingStatus>,
    liveness: watch::Sender<ServingStatus>,
    draining: AtomicBool,
}

/// Answers Check and Watch.
#[derive(Debug)]
pub struct HealthService {
    health: Health,
    shutdown: Shutdown,
}

// === impl Health ===

impl Health {
    /// The named services, NOT_SERVING until they are set.
    #[must_use]
    pub fn new(names: &[&'static str]) -> Self {
        let not_serving = || watch::Sender::new(ServingStatus::NotServing);
        Self(Arc::new(Inner {
            services: names.iter().map(|name| (*name, not_serving())).collect(),
            overall: not_serving(),
            liveness: watch::Sender::new(ServingStatus::Serving),
            draining: AtomicBool::new(false),
        }))
    }

    /// Says whether a named service serves. While the process drains nothing does; a name that was not given to `new`
    /// has no state to set.
    pub fn set(&self, name: &str, serving: bool) {
        let Some((_, state)) = self.0.services.iter().find(|(known, _)| *known == name) else {
            tracing::error!(name, "health was set for a service that it does not know");
            return;
        };
        // Looked up under the lock of the state, so that a drain that begins meanwhile has the last word.
        state.send_if_modified(|state| replace(state, serving && !self.is_draining()));
        self.set_overall();
    }

    /// Makes everything but liveness NOT_SERVING, for good.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::SeqCst);
        for (_, state) in &self.0.services {
            state.send_if_modified(|state| replace(state, false));
        }
        self.set_overall();
    }

    /// The gRPC service; its Watches end when `shutdown` starts.
    #[must_use]
    pub fn service(&self, shutdown: Shutdown) -> HealthServer<HealthService> {
        let service = HealthService { health: self.clone(), shutdown };
        HealthServer::new(service).max_decoding_message_size(MAX_REQUEST_BYTES)
    }

    fn set_overall(&self) {
        // Looked up under the lock of the whole, so that the last of two setters sees what both have set.
        self.0.overall.send_if_modified(|overall| {
            let serving = |state: &watch::Sender<_>| *state.borrow() == ServingStatus::Serving;
            replace(overall, !self.is_draining() && self.0.services.iter().all(|(_, state)| serving(state)))
        });
    }

    fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::SeqCst)
    }

    fn watch(&self, name: &str) -> Option<watch::Receiver<ServingStatus>> {
        let named = self.0.services.iter().find(|(known, _)| *known == name).map(|(_, state)| state);
        let state = match name {
            OVERALL => Some(&self.0.overall),
            LIVENESS => Some(&self.0.liveness),
            _ => named,
        };
        state.map(watch::Sender::subscribe)
    }
}

fn replace(state: &mut ServingStatus, serving: bool) -> bool {
    let new = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
    std::mem::replace(state, new) != new
}

// === impl HealthService ===

#[tonic::async_trait]
impl HealthCalls for HealthService {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match self.health.watch(&request.get_ref().service) {
            Some(state) => Ok(Response::new(answer(*state.borrow()))),
            None => {
                Err(Failure::new(Code::NotFound, "SERVICE_NOT_FOUND", "this server has no such service")
                    .into())
            }
        }
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let name = &request.get_ref().service;
        let watcher = Watcher {
            state: self.health.watch(name),
            drains: name != LIVENESS,
            shutdown: self.shutdown.clone(),
            told: None,
            ended: false,
        };
        Ok(Response::new(Box::pin(stream::unfold(watcher, Watcher::next))))
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

/// One Watch: the present state, then each change, then the end of serving.
struct Watcher {
    /// None for a service that is not known, which a Watch is told and which it stays open for.
    state: Option<watch::Receiver<ServingStatus>>,
    drains: bool,
    shutdown: Shutdown,
    told: Option<ServingStatus>,
    ended: bool,
}

// === impl Watcher ===

impl Watcher {
    async fn next(mut self) -> Option<(Result<HealthCheckResponse, Status>, Self)> {
        while !self.ended {
            let status = match &mut self.state {
                Some(state) => *state.borrow_and_update(),
                None => ServingStatus::ServiceUnknown,
            };
            if self.told != Some(status) {
                return Some(self.tell(status));
            }
            tokio::select! {
                () = changed(&mut self.state) => {}
                () = self.shutdown.started() => self.ended = true,
            }
        }
        // The states may not have been set yet by who drains, and nobody looks at this Watch again.
        let last_word = ServingStatus::NotServing;
        let owed = self.drains && self.state.is_some() && self.told != Some(last_word);
        owed.then(|| self.tell(last_word))
    }

    fn tell(mut self, status: ServingStatus) -> (Result<HealthCheckResponse, Status>, Self) {
        self.told = Some(status);
        (Ok(answer(status)), self)
    }
}

async fn changed(state: &mut Option<watch::Receiver<ServingStatus>>) {
    match state {
        // The senders live as long as this Watch's service does.
        Some(state) => drop(state.changed().await),
        None => std::future::pending().await,
    }
}
