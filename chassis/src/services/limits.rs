//! What bounds and counts the calls of a process, one service at a time, whatever number of runtimes it has.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use tonic::Code;

use super::figures::{Figures, Place, Total};
use crate::load::{LoadLimit, Share};
use crate::settings::ServerSettings;

/// What bounds each call, and all calls of each service; a clone counts the same calls.
#[derive(Clone, Debug)]
pub struct CallLimits {
    max_in_flight: usize,
    /// The same for each service that must answer under any load: one for each connection that there may be, since a client
    /// watches health once a connection. Nobody who means well meets it, and what such calls hold has a bound.
    max_unlimited: usize,
    runtimes: usize,
    timeout: Duration,
    services: Arc<Mutex<Vec<Service>>>,
}

/// A service as the process sees it.
#[derive(Debug)]
struct Service {
    name: &'static str,
    limited: bool,
    load: LoadLimit,
    /// Of each runtime.
    figures: Vec<Arc<Figures>>,
}

/// A service as one runtime counts it.
#[derive(Debug)]
pub(super) struct Counted {
    /// Whether the load limit is for its calls; else it answers under any load.
    limited: bool,
    load: Arc<Share>,
    figures: Arc<Figures>,
}

// === impl CallLimits ===

impl CallLimits {
    /// The limits that the settings name, with no calls counted yet: make it once for a process.
    #[must_use]
    pub fn new(settings: &ServerSettings) -> Self {
        Self {
            max_in_flight: settings.max_calls_in_flight,
            max_unlimited: settings.max_connections,
            runtimes: settings.thread_count(),
            timeout: settings.call_timeout(),
            services: Arc::default(),
        }
    }

    /// How many calls are in flight; those to unlimited services don't count.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.services().iter().filter(|service| service.limited).map(|service| service.load.in_flight()).sum()
    }

    /// How many calls of one service may be in flight.
    pub(crate) fn max_in_flight(&self) -> usize {
        self.max_in_flight
    }

    /// How many calls were refused so far because as many of their service were in flight as may be.
    pub(crate) fn refused(&self) -> u64 {
        self.services().iter().map(|service| service.load.refused()).sum()
    }

    /// What the calls came to that have ended, by service and method.
    pub(crate) fn totals(&self) -> Vec<Total> {
        self.services().iter().flat_map(|service| Total::of(&service.figures)).collect()
    }

    /// How long a call may take that brings no deadline.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Counts a service on one more runtime.
    pub(super) fn join(&self, name: &'static str, limited: bool) -> Counted {
        let mut services = self.services();
        let index = services.iter().position(|service| service.name == name).unwrap_or_else(|| {
            let max = if limited { self.max_in_flight } else { self.max_unlimited };
            let load = LoadLimit::new(max, self.runtimes);
            services.push(Service { name, limited, load, figures: Vec::new() });
            services.len() - 1
        });
        let service = &mut services[index];
        let figures = Arc::new(Figures::new(name));
        service.figures.push(Arc::clone(&figures));
        Counted { limited, load: service.load.share(), figures }
    }

    fn services(&self) -> MutexGuard<'_, Vec<Service>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for CallLimits {
    fn default() -> Self {
        Self::new(&ServerSettings::default())
    }
}

// === impl Counted ===

impl Counted {
    /// Takes the right to one more call, unless the limit is reached. Who got it calls `leave` at the call's end.
    pub(super) fn enter(&self) -> bool {
        self.load.enter()
    }

    /// Whether its calls are load, and not questions that must be answered under any.
    pub(super) fn is_limited(&self) -> bool {
        self.limited
    }

    /// Counts a call that did not get in; the headers are its whole answer.
    pub(super) fn refuse(&self, method: &str) -> HeaderMap {
        let place = self.figures.place(method);
        self.figures.count(place, None, Code::ResourceExhausted, Duration::ZERO);
        self.load.refusal()
    }

    /// Counts a call that its caller may not make, or not now.
    pub(super) fn turn_away(&self, method: &str, code: Code) {
        self.figures.count(self.figures.place(method), None, code, Duration::ZERO);
    }

    /// Counts the beginning of a call that got in.
    pub(super) fn begin(&self, place: Place) {
        self.figures.begin(place);
    }

    /// Counts the end of a call. `new_method` is the name of a method without a place that its handler has answered.
    pub(super) fn leave(&self, place: Place, new_method: Option<&str>, code: Code, took: Duration) {
        self.figures.count(place, new_method, code, took);
        self.figures.end(place);
        self.load.leave();
    }

    /// Where the calls of a method are counted.
    pub(super) fn place(&self, method: &str) -> Place {
        self.figures.place(method)
    }

    /// The name of the method at a place.
    pub(super) fn method(&self, place: Place) -> Option<&str> {
        self.figures.name(place)
    }
}
