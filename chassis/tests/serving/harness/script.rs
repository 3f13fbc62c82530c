//! A service that does what the request's text says.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use chassis::deadline::Deadline;
use chassis::identity;
use chassis::shutdown::Shutdown;
use futures_util::{Stream, StreamExt, stream};
use http_body::Body as HttpBody;
use tokio::sync::watch;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, StdError};
use tonic::server::{Grpc, NamedService, ServerStreamingService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

/// What a test can see and steer of the handlers.
#[derive(Clone, Debug)]
pub struct Script {
    /// Handlers at work.
    pub running: Arc<watch::Sender<usize>>,
    /// Calls of Say that began.
    pub said: Arc<AtomicUsize>,
    /// "wait" waits until this is true.
    pub gate: Arc<watch::Sender<bool>>,
    shutdown: Shutdown,
}

/// The service as tonic would generate it.
#[derive(Clone)]
pub struct ScriptServer(pub Script);

type Messages = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

struct Leaving(Arc<watch::Sender<usize>>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}

impl Script {
    pub fn new(shutdown: Shutdown) -> Self {
        Self {
            running: Arc::new(watch::Sender::new(0)),
            said: Arc::default(),
            gate: Arc::new(watch::Sender::new(false)),
            shutdown,
        }
    }

    /// Waits until so many handlers are at work.
    pub async fn until_running(&self, count: usize) {
        let mut running = self.running.subscribe();
        super::soon(running.wait_for(|running| *running == count)).await.unwrap();
    }

    pub fn open_the_gate(&self) {
        self.gate.send_replace(true);
    }

    fn entering(&self) -> Leaving {
        self.running.send_modify(|running| *running += 1);
        Leaving(Arc::clone(&self.running))
    }

    async fn say(self, request: Request<String>) -> Result<Response<String>, Status> {
        let _leaving = self.entering();
        self.said.fetch_add(1, Ordering::Relaxed);
        let left = Deadline::current().remaining();
        let answer = match request.into_inner().as_str() {
            "panic" => panic!("as the script says"),
            "hang" => std::future::pending().await,
            "wait" => {
                self.gate.subscribe().wait_for(|open| *open).await.unwrap();
                "waited".to_owned()
            }
            "block" => loop {
                std::thread::park();
            },
            "deadline" => left.as_millis().to_string(),
            "thread" => std::thread::current().name().unwrap_or_default().to_owned(),
            "caller" => identity::current().map_or("nobody".to_owned(), |caller| caller.to_string()),
            "leak" => return Err(Status::internal("SELECT password FROM users")),
            text => text.to_owned(),
        };
        Ok(Response::new(answer))
    }

    async fn tell(self, request: Request<String>) -> Result<Response<Messages>, Status> {
        let leaving = self.entering();
        let text = request.into_inner();
        let shutdown = self.shutdown.clone();
        let first = stream::iter([Ok("first".to_owned())]);
        let rest = stream::once(async move {
            let _leaving = leaving;
            match text.as_str() {
                "panic" => panic!("as the script says"),
                "until shutdown" => shutdown.started().await,
                _ => std::future::pending().await,
            }
            Ok("last".to_owned())
        });
        Ok(Response::new(Box::pin(first.chain(rest))))
    }
}

impl NamedService for ScriptServer {
    const NAME: &'static str = "test.Script";
}

impl<B> Service<http::Request<B>> for ScriptServer
where
    B: HttpBody + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let script = self.0.clone();
        let path = request.uri().path().to_owned();
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::default()).max_decoding_message_size(1_000);
            Ok(match path.as_str() {
                "/test.Script/Say" => grpc.unary(Say(script), request).await,
                "/test.Script/Tell" => grpc.server_streaming(Tell(script), request).await,
                // As tonic's generated code does it.
                _ => Status::unimplemented("").into_http(),
            })
        })
    }
}

struct Say(Script);
struct Tell(Script);

impl UnaryService<String> for Say {
    type Response = String;
    type Future = BoxFuture<Response<String>, Status>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        Box::pin(self.0.clone().say(request))
    }
}

impl ServerStreamingService<String> for Tell {
    type Response = String;
    type ResponseStream = Messages;
    type Future = BoxFuture<Response<Messages>, Status>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        Box::pin(self.0.clone().tell(request))
    }
}
