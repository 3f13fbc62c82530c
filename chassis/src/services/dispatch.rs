//! From a request to the handler that is meant, and what stands between the two.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::time::Instant;
use tonic::Code;

use super::around::Around;
use super::call::Call;
use super::headers::CallHeaders;
use super::limits::Counted;
use super::reply::Reply;
use super::{Serve, Services};
use crate::access::{Caller, Entered, Grants};
use crate::deadline::{self, InvalidTimeout};
use crate::status::{Failure, Violation};
use crate::trace::Served;

/// Header fields of a call, as many as Envoy lets through unless told otherwise. Their bytes have a limit of their own (16 KiB,
/// `connections/http2.rs`), but what is kept of a field is ten times the two bytes in which it may come: without this the calls
/// that may be in flight could keep 100 MiB of empty headers.
const MAX_HEADER_FIELDS: usize = 100;

/// What hyper calls: the services, shared by the connections of one runtime.
#[derive(Clone)]
pub(crate) struct Dispatch {
    mounted: Arc<[Arc<Mounted>]>,
    timeout: Duration,
    /// When streams on this connection end at the latest.
    streams_end: Option<Instant>,
    /// What this connection's caller may call.
    grants: Grants,
}

/// A service, and what is counted of it on this runtime.
pub(super) struct Mounted {
    pub(super) name: &'static str,
    /// The beginning of the paths of its methods: `/name/`.
    path: String,
    service: Box<dyn Serve>,
    pub(super) counted: Counted,
}

// === impl Dispatch ===

impl Dispatch {
    pub(crate) fn new(services: Services) -> Self {
        let Services { added, limits } = services;
        let mounted = added.into_iter().map(|added| {
            let counted = limits.join(added.name, added.limited);
            let path = format!("/{}/", added.name);
            Arc::new(Mounted { name: added.name, path, service: added.service, counted })
        });
        Self {
            mounted: mounted.collect(),
            timeout: limits.timeout(),
            streams_end: None,
            grants: Grants::everything(),
        }
    }

    /// The same services on a connection whose streams end at an instant.
    pub(crate) fn until(&self, streams_end: Option<Instant>) -> Self {
        Self { streams_end, ..self.clone() }
    }

    /// The same services on a connection of somebody.
    pub(crate) fn called_by(self, caller: Caller) -> Self {
        let grants = caller.grants(self.mounted.iter().map(|mounted| mounted.name));
        Self { grants, ..self }
    }
}

impl hyper::service::Service<Request<Incoming>> for Dispatch {
    type Response = Response<Reply>;
    type Error = Infallible;
    type Future = Call;

    /// What stands around a call, in this order, outermost first.
    fn call(&self, request: Request<Incoming>) -> Call {
        // 1. Speaking gRPC at all, without more headers than anybody needs: what does not gets an HTTP answer, since it could
        //    not read another.
        let headers = CallHeaders::find(request.headers());
        if let Some(status) = other_protocol(&request, headers) {
            return Call::refused_as_http(status);
        }

        // 2. The service that is meant: a handful of names, so comparing them is faster than hashing.
        let path = request.uri().path();
        let mut mounted = self.mounted.iter().enumerate();
        let found = mounted
            .find_map(|(index, mounted)| Some((index, mounted, path.strip_prefix(mounted.path.as_str())?)));
        let Some((index, mounted, method)) = found else {
            return Call::refused(unknown_service().into_status().into_http());
        };

        // 3. Whether the caller may call this: looked up when the connection opened, and before the load limit, so that
        //    whoever may not takes no place from those who may.
        if !self.grants.allow(index, method) {
            let refusal = self.grants.refusal();
            mounted.counted.turn_away(method, refusal.code());
            return Call::refused(refusal.into_status().into_http());
        }

        // 4. What this caller may take at most, before the load limit, so that one that calls too much takes no place from the
        //    others. A call that is refused after this has been one of its calls all the same.
        let entered = if mounted.counted.is_limited() { self.grants.enter() } else { Ok(Entered::freely()) };
        let entered = match entered {
            Ok(entered) => entered,
            Err(headers) => {
                mounted.counted.turn_away(method, Code::ResourceExhausted);
                return Call::refused_with_headers(headers);
            }
        };

        // 5. The service's load limit, before anything is spent on the call. For health and reflection it is one that nobody
        //    meets who means well: a probe that is shed looks like a dead process. The permit is held until the answer has
        //    ended or was given up, which is when the call is counted and its span ends.
        if !mounted.counted.enter() {
            return Call::refused_with_headers(mounted.counted.refuse(method));
        }
        // Probes come every few seconds and tell nothing.
        let served = mounted.counted.is_limited().then(|| Served::begin(headers.traceparent, path)).flatten();
        let mut around = Around::new(mounted, method, self.streams_end, served, entered);

        // 6. The deadline, which the handler can read. A caller whose time is over already is not worth the handler's.
        let timeout = match deadline::grpc_timeout(headers.grpc_timeout) {
            Err(InvalidTimeout) => return Call::refused(around.refused(invalid_timeout())),
            Ok(Some(Duration::ZERO)) => return Call::refused(around.refused(Failure::deadline_exceeded())),
            Ok(timeout) => timeout,
        };
        around.set_deadline(timeout, self.timeout);

        // 7. The handler, its panics caught. On its way out each status without details is completed, whether it stands
        //    in the head or in the trailers.
        Call::run(around, mounted.service.serve(request), self.grants.identity())
    }
}

/// The HTTP status for a request that is not a gRPC call.
fn other_protocol(request: &Request<Incoming>, headers: CallHeaders<'_>) -> Option<StatusCode> {
    if request.headers().len() > MAX_HEADER_FIELDS {
        return Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    if request.method() != Method::POST {
        return Some(StatusCode::METHOD_NOT_ALLOWED);
    }
    let is_grpc = headers.content_type.is_some_and(|content_type| is_grpc(content_type.as_bytes()));
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
    Failure::invalid_fields(vec![Violation::new(deadline::GRPC_TIMEOUT, wanted)])
}
