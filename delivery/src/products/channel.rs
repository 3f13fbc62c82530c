//! The connection to one endpoint of Product: made when it is first used, secured if it is to be, kept, and noticed when it is
//! dead.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use chassis::tls::client::ClientTls;
use chassis::trace::{self, TRACEPARENT, Trace};
use hyper::rt::{Read, Write};
use hyper_util::client::legacy::connect::HttpConnector;
use proto::product::v1::product_service_client::ProductServiceClient;
use resilience::batch::Answers;
use resilience::breaker::State;
use resilience::endpoints::{Reconnect, ReconnectSettings};
use resilience::{Attempt, Connect, Random};
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Request, Status};
use tower::Service;

use super::question::{BatchQuestion, Question};
use super::targets::Servers;
use super::{Decision, classify, parse};
use crate::time;

/// A connection within one data centre takes a millisecond; an attempt that finds none in that time goes elsewhere. The
/// pauses after failed ones are short beside a breaker's waits, whose probes are to find one attempted.
const RECONNECT: ReconnectSettings = ReconnectSettings {
    timeout: Duration::from_millis(200),
    first: Duration::from_millis(10),
    max: Duration::from_millis(80),
};
/// How often an unanswered ping is sent, and how long it is waited for: a peer that is gone without a word is noticed
/// within the sum.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(3);
/// Each call that is given up resets its stream. At the default of 1,024 such resets the connection, which everybody
/// shares, would be closed.
const MAX_RESET_STREAMS: usize = 16_384;
/// The names of spans.
const CAN_DELIVER: &str = "candeliver.product.v1.ProductService/CanDeliver";
const BATCH_CAN_DELIVER: &str = "candeliver.product.v1.ProductService/BatchCanDeliver";
/// The largest answer: 1,000 decisions of 100 rules in 45 bytes each.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// One endpoint's client on one runtime. Its answers are decisions: one that makes no sense is the endpoint's failure, so
/// that answering nonsense fast attracts no calls. Clones share its connection.
#[derive(Clone, Debug)]
pub struct ProductClient {
    address: SocketAddr,
    client: ProductServiceClient<Channel>,
}

type Answering<A> = Pin<Box<dyn Future<Output = Result<A, Status>> + Send>>;

/// Connects over TCP.
#[must_use]
pub fn over_tcp(random: Random) -> Connect<ProductClient> {
    Arc::new(move |address| ProductClient::new(address, tcp(), random.clone()))
}

/// Connects in TLS over TCP.
#[must_use]
pub fn over_tls(tls: ClientTls, servers: Servers, random: Random) -> Connect<ProductClient> {
    Arc::new(move |address| {
        let server = servers.of(address);
        let endpoint = endpoint(address).origin(server.origin.clone());
        ProductClient::at(address, endpoint, tls.around(tcp(), server.host.clone()), random.clone())
    })
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    tcp
}

/// How a connection to an address is kept, whatever it is made by.
fn endpoint(address: SocketAddr) -> Endpoint {
    let uri: Uri = format!("http://{address}").parse().expect("an address makes a URI");
    Endpoint::from(uri)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .http2_max_concurrent_reset_streams(MAX_RESET_STREAMS)
        .http2_max_local_error_reset_streams(MAX_RESET_STREAMS)
}

// === impl ProductClient ===

impl ProductClient {
    /// Of an address, over the connections that `connector` makes.
    #[must_use]
    pub fn new<C>(address: SocketAddr, connector: C, random: Random) -> Self
    where
        C: Service<Uri> + Send + 'static,
        C::Response: Read + Write + Unpin + Send + 'static,
        C::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
        C::Future: Send + 'static,
    {
        Self::at(address, endpoint(address), connector, random)
    }

    fn at<C>(address: SocketAddr, endpoint: Endpoint, connector: C, random: Random) -> Self
    where
        C: Service<Uri> + Send + 'static,
        C::Response: Read + Write + Unpin + Send + 'static,
        C::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
        C::Future: Send + 'static,
    {
        // Outside of TLS, so that the time for connecting is that for the handshake too.
        let channel = endpoint.connect_with_connector_lazy(Reconnect::new(connector, RECONNECT, random));
        let client = ProductServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
        Self { address, client }
    }

    /// A span for an attempt, if one of these traces is sampled, and what the request says of them.
    fn traced<Q, M>(
        &self,
        traces: &[Trace],
        method: &'static str,
        attempt: Attempt<Q>,
        message: impl FnOnce(Q) -> M,
    ) -> (Option<trace::Attempt>, Request<M>) {
        let breaker = if attempt.is_probe { State::HalfOpen } else { State::Closed };
        let attributes = || {
            [
                ("server.address", self.address.ip().to_string()),
                ("server.port", self.address.port().to_string()),
                ("candeliver.breaker.state", breaker.as_str().to_owned()),
                ("candeliver.attempt.number", (attempt.previous_attempts + 1).to_string()),
            ]
        };
        let span = trace::Attempt::begin(traces, method, attributes);
        let told = span.as_ref().map(trace::Attempt::trace).or(traces.first().copied());
        let mut request = attempt.into_request(message);
        if let Some(traceparent) = told.and_then(|trace| trace.header().to_str().ok()?.parse().ok()) {
            request.metadata_mut().insert(TRACEPARENT, traceparent);
        }
        (span, request)
    }
}

impl Service<Attempt<Question>> for ProductClient {
    type Response = Decision;
    type Error = Status;
    type Future = Answering<Decision>;

    /// The generated client waits for its channel itself.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt<Question>) -> Self::Future {
        let mut client = self.client.clone();
        let question = attempt.message.clone();
        let (span, request) =
            self.traced(question.traces(), CAN_DELIVER, attempt, |question| question.to_message());
        Box::pin(async move {
            let answering = async {
                let answer = client.can_deliver(request).await?;
                parse::decision(answer.get_ref(), time::now()).map_err(classify::nonsense)
            };
            ended(span, answering.await)
        })
    }
}

impl Service<Attempt<BatchQuestion>> for ProductClient {
    type Response = Answers<Decision>;
    type Error = Status;
    type Future = Answering<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, attempt: Attempt<BatchQuestion>) -> Self::Future {
        let mut client = self.client.clone();
        let (asked, question) = (attempt.message.len(), attempt.message.clone());
        let (span, request) =
            self.traced(question.traces(), BATCH_CAN_DELIVER, attempt, |question| question.to_message());
        Box::pin(async move {
            let answering = async {
                let answer = client.batch_can_deliver(request).await?;
                let read = parse::batch(answer.get_ref(), asked, time::now()).map_err(classify::nonsense)?;
                Ok(read.into_iter().map(|decision| decision.map_err(classify::nonsense)).collect())
            };
            ended(span, answering.await)
        })
    }
}

/// Ends the attempt's span with what came of it, an answer that makes no sense included.
fn ended<A>(span: Option<trace::Attempt>, answer: Result<A, Status>) -> Result<A, Status> {
    if let Some(span) = span {
        span.end(answer.as_ref().map_or_else(Status::code, |_| Code::Ok));
    }
    answer
}
