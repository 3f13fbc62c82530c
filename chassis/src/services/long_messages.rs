//! One method of a service takes longer messages than the others, which so can't be made to hold them: tonic has one limit for
//! a service, and a message is kept until all of it has come.

use std::task::{Context, Poll};

use http::Request;
use tonic::codegen::Service;
use tonic::server::NamedService;

/// A service as it is served for one of its methods, and as for the others.
#[derive(Clone, Debug)]
pub struct LongMessages<S> {
    path: &'static str,
    one: S,
    others: S,
}

// === impl LongMessages ===

impl<S> LongMessages<S> {
    /// Serves the method at a path, `/package.Service/Method`, by `one`, and the rest by `others`.
    pub fn on(path: &'static str, one: S, others: S) -> Self {
        Self { path, one, others }
    }
}

impl<S, B> Service<Request<B>> for LongMessages<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.others.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        let service = if request.uri().path() == self.path { &mut self.one } else { &mut self.others };
        service.call(request)
    }
}

impl<S: NamedService> NamedService for LongMessages<S> {
    const NAME: &'static str = S::NAME;
}
