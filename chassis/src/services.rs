//! The services of a server, and what stands around every call to them.

mod around;
mod call;
mod completion;
mod dispatch;
mod figures;
mod headers;
mod limits;
mod long_messages;
mod reply;

use std::convert::Infallible;

use http::{Request, Response};
use hyper::body::Incoming;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic::server::NamedService;

pub(crate) use dispatch::Dispatch;
pub(crate) use figures::Total;
pub use limits::CallLimits;
pub use long_messages::LongMessages;

/// The tonic services of one runtime. Calls are dispatched by the service's name in the path.
#[derive(Debug, Default)]
pub struct Services {
    added: Vec<Added>,
    limits: CallLimits,
}

struct Added {
    name: &'static str,
    service: Box<dyn Serve>,
    /// Whether its calls count towards the load limit.
    limited: bool,
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
        self.with(S::NAME, Box::new(service), true)
    }

    /// Adds a service that must answer under any load and costs next to nothing: health, reflection. Of its calls as many may
    /// be in flight as there may be connections.
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
        self.with(S::NAME, Box::new(service), false)
    }

    /// Shares limits with the services of other runtimes.
    #[must_use]
    pub fn with_limits(mut self, limits: CallLimits) -> Self {
        self.limits = limits;
        self
    }

    fn with(mut self, name: &'static str, service: Box<dyn Serve>, limited: bool) -> Self {
        self.added.push(Added { name, service, limited });
        self
    }
}

impl std::fmt::Debug for Added {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Added")
            .field("name", &self.name)
            .field("limited", &self.limited)
            .finish_non_exhaustive()
    }
}
