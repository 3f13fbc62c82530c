//! The services of a server, and what stands around every call to them.

mod call;
mod completion;
mod reply;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tonic::Code;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic::server::NamedService;

use crate::deadline::{self, Deadline, InvalidTimeout};
use crate::load::LoadLimit;
use crate::settings::ServerSettings;
use crate::status::{Failure, Violation};
use call::{Around, Call};
use reply::Reply;

/// The tonic services of one runtime. Calls are dispatched by the service's name in the path.
#[derive(Debug, Default)]
pub struct Services {
    mounted: Vec<Mounted>,
    limits: CallLimits,
}

/// What bounds each call, and all calls of each service; a clone counts the same calls.
#[derive(Clone, Debug)]
pub struct CallLimits {
    max_in_flight: usize,
    /// Of each service that was mounted with these limits, on whatever runtime.
    loads: Arc<Mutex<Vec<(&'static str, LoadLimit)>>>,
    timeout: Duration,
}

/// What hyper calls: the services, shared by the connections of one runtime.
#[derive(Clone)]
pub(crate) struct Dispatch(Arc<Services>);

struct Mounted {
    name: &'static str,
    service: Box<dyn Serve>,
    /// `None`: it answers under any load.
    load: Option<LoadLimit>,
}

/// The future of a generated service: it is boxed already, and not boxed again.
type Handling = BoxFuture<Response<Body>, Infallible>;

/// A generated service without its type.
trait Serve: Send + Sync {
    fn serve(&self, request: Request<Incoming>) -> Handling;
}

impl<S> Serve for S
where
    S: Service<Request<Incoming>, Future = Handling> + Clone + Send + Sync,
{
    fn serve(&self, request: Request<Incoming>) -> Handling {
        // Generated services are always ready, and a clone is one Arc.
        self.clone().call(request)
    }
}

// === impl CallLimits ===

impl CallLimits {
    /// The limits that the settings name, with no calls counted yet: make it once for a process.
    #[must_use]
    pub fn new(settings: &ServerSettings) -> Self {
        let max_in_flight = settings.max_calls_in_flight;
        Self { max_in_flight, loads: Arc::default(), timeout: settings.call_timeout() }
    }

    /// How many calls are in flight; those to unlimited services don't count.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.loads().iter().map(|(_, load)| load.in_flight()).sum()
    }

    /// How many calls of one service may be in flight.
    pub(crate) fn max_in_flight(&self) -> usize {
        self.max_in_flight
    }

    /// How many calls were refused so far because as many of their service were in flight as may be.
    pub(crate) fn refused(&self) -> u64 {
        self.loads().iter().map(|(_, load)| load.refused()).sum()
    }

    /// The limit of a service, the same on every runtime.
    fn load(&self, service: &'static str) -> LoadLimit {
        let mut loads = self.loads();
        if let Some((_, load)) = loads.iter().find(|(name, _)| *name == service) {
            return load.clone();
        }
        let load = LoadLimit::new(self.max_in_flight);
        loads.push((service, load.clone()));
        load
    }

    fn loads(&self) -> MutexGuard<'_, Vec<(&'static str, LoadLimit)>> {
        self.loads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for CallLimits {
    fn default() -> Self {
        Self::new(&ServerSettings::default())
    }
}

// === impl Services ===

impl Services {
    /// No services yet, with limits of their own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a service that tonic generated. Its calls count towards the load limit. The size of its messages is bounded
    /// by itself: see its `max_decoding_message_size`.
    #[must_use]
    #[allow(clippy::should_implement_trait, reason = "a list is added to, not summed")]
    pub fn add<S>(self, service: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future = Handling>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
    {
        self.mount(S::NAME, Box::new(service), true)
    }

    /// Adds a service that must answer under any load and costs next to nothing: health, reflection.
    #[must_use]
    pub fn add_unlimited<S>(self, service: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future = Handling>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
    {
        self.mount(S::NAME, Box::new(service), false)
    }

    /// Shares limits with the services of other runtimes.
    #[must_use]
    pub fn with_limits(mut self, limits: CallLimits) -> Self {
        for mounted in &mut self.mounted {
            mounted.load = mounted.load.as_ref().map(|_| limits.load(mounted.name));
        }
        self.limits = limits;
        self
    }

    fn mount(mut self, name: &'static str, service: Box<dyn Serve>, limited: bool) -> Self {
        let load = limited.then(|| self.limits.load(name));
        self.mounted.push(Mounted { name, service, load });
        self
    }

    /// What stands around a call, in this order, outermost first.
    fn call(&self, mut request: Request<Incoming>) -> Call {
        // 1. Speaking gRPC at all: what does not gets an HTTP answer, since it could not read another.
        if let Some(status) = other_protocol(&request) {
            return Call::refused_as_http(status);
        }

        // 2. The service that is meant: a handful of names, so comparing them is faster than hashing.
        let name = request.uri().path().strip_prefix('/').and_then(|path| path.split_once('/'));
        let mounted = name.and_then(|(name, _)| self.mounted.iter().find(|mounted| mounted.name == name));
        let Some(mounted) = mounted else { return Call::refused(unknown_service()) };

        // 3. The service's load limit, before anything is spent on the call. Health and reflection have none: a probe that
        //    is shed looks like a dead process. The permit is held until the answer has ended or was given up.
        let permit = match &mounted.load {
            None => None,
            Some(load) => match load.permit() {
                Some(permit) => Some(permit),
                None => return Call::refused_with_headers(load.refusal()),
            },
        };

        // 4. The deadline, which the handler can read. A caller whose time is over already is not worth the handler's.
        let timeout = match deadline::grpc_timeout(request.headers()) {
            Err(InvalidTimeout) => return Call::refused(invalid_timeout()),
            Ok(Some(Duration::ZERO)) => return Call::refused(Failure::deadline_exceeded()),
            Ok(timeout) => timeout,
        };
        let deadline = Deadline::after(timeout.unwrap_or(self.limits.timeout));
        request.extensions_mut().insert(deadline);

        // 5. The handler, its panics caught. On its way out each status without details is completed, whether it stands
        //    in the head or in the trailers.
        let method = request.uri().path_and_query().cloned();
        let around = Around { method, deadline, deadline_is_callers: timeout.is_some(), _permit: permit };
        Call::run(around, mounted.service.serve(request))
    }
}

impl std::fmt::Debug for Mounted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mounted").field("name", &self.name).field("load", &self.load).finish()
    }
}

// === impl Dispatch ===

impl Dispatch {
    pub(crate) fn new(services: Services) -> Self {
        Self(Arc::new(services))
    }
}

impl hyper::service::Service<Request<Incoming>> for Dispatch {
    type Response = Response<Reply>;
    type Error = Infallible;
    type Future = Call;

    fn call(&self, request: Request<Incoming>) -> Call {
        self.0.call(request)
    }
}

/// The HTTP status for a request that is not a gRPC call.
fn other_protocol(request: &Request<Incoming>) -> Option<StatusCode> {
    if request.method() != Method::POST {
        return Some(StatusCode::METHOD_NOT_ALLOWED);
    }
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let is_grpc = content_type.is_some_and(|content_type| is_grpc(content_type.as_bytes()));
    (!is_grpc).then_some(StatusCode::UNSUPPORTED_MEDIA_TYPE)
}

fn is_grpc(content_type: &[u8]) -> bool {
    let rest = content_type.strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

fn unknown_service() -> Failure {
    Failure::new(Code::Unimplemented, "UNKNOWN_SERVICE", "this server has no such service")
}

fn invalid_timeout() -> Failure {
    let wanted = "must be 1 to 8 digits and a unit: H, M, S, m, u or n";
    Failure::invalid_fields(vec![Violation::new(deadline::GRPC_TIMEOUT.as_str(), wanted)])
}
