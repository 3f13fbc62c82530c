//! A Product that says what a test tells it to say.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chassis::connections::{ConnectionLimits, serve_connections};
use chassis::deadline::Deadline;
use chassis::services::Services;
use chassis::shutdown::{Shutdown, Trigger};
use chassis::status::Failure;
use futures_util::{Stream, stream};
use proto::product::v1 as wire;
use proto::product::v1::product_service_server::{ProductService, ProductServiceServer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tonic::{Code, Request, Response, Status};

pub const REVISION: &str = "fake-revision-7";
pub const RULE: &str = "2eb73728-2fea-475e-b536-5e1458294a90";
/// The most of a product that is delivered: to an order of more Product says no where it says yes to others, so that a
/// verdict tells whose it is.
pub const MOST: u32 = 50;

/// What Product says to every question. Each yes is one for `MOST` at most.
#[derive(Clone, Debug)]
pub enum Says {
    Yes,
    /// A yes that has ended.
    YesUntilThePast,
    No,
    /// A yes, but a question with a min_revision is one of a catalogue that has been replaced.
    YesUnlessForeign,
    /// A yes, but a batch with this quantity in it makes it fail.
    YesUnlessQuantity(u32),
    /// Neither.
    Nonsense,
    /// A yes, later.
    YesAfter(Duration),
    /// Nothing, ever.
    Nothing,
    Error(Status),
}

/// One question, single or out of a batch.
#[derive(Clone, Debug)]
pub struct Question {
    pub min_revision: Option<String>,
    pub quantity: Option<u32>,
    pub time_left: Duration,
}

/// A Product that listens.
pub struct FakeProduct {
    pub address: SocketAddr,
    script: Script,
    _stop: Trigger,
}

#[derive(Clone)]
pub struct Script {
    /// What is said next, the last for ever.
    says: Arc<Mutex<Vec<Says>>>,
    asked: watch::Sender<Vec<Question>>,
}

/// An address of this machine where nobody listens.
pub fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

// === impl FakeProduct ===

impl FakeProduct {
    /// Listens at a free port.
    pub fn start(says: Says) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), says)
    }

    pub fn start_at(address: SocketAddr, says: Says) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let address = listener.local_addr().unwrap();
        let script = Script::new(says);
        let services = script.services();
        let (stop, shutdown) = Shutdown::new();
        let incoming = stream::unfold(listener, |listener| async move {
            let accepted = listener.accept().await.map(|(stream, _)| stream);
            Some((accepted, listener))
        });
        tokio::spawn(async move {
            tokio::select! {
                () = serve(incoming, services, shutdown.clone()) => {}
                // A process that is killed finishes nothing.
                () = shutdown.started() => {}
            }
        });
        Self { address, script, _stop: stop }
    }

    /// Says something else from now on.
    pub fn says(&self, says: Says) {
        self.says_in_turn(vec![says]);
    }

    /// Says one after the other, and the last for ever.
    pub fn says_in_turn(&self, mut says: Vec<Says>) {
        says.reverse();
        self.script.set(says);
    }

    /// All that was asked so far.
    pub fn asked(&self) -> Vec<Question> {
        self.script.asked.borrow().clone()
    }

    /// Waits until so much was asked.
    pub async fn was_asked(&self, times: usize) {
        self.script.asked.subscribe().wait_for(|asked| asked.len() >= times).await.unwrap();
    }
}

async fn serve(
    incoming: impl Stream<Item = std::io::Result<TcpStream>>,
    services: Services,
    shutdown: Shutdown,
) {
    serve_connections(incoming, services, ConnectionLimits::default(), shutdown).await;
}

// === impl Script ===

impl Script {
    pub fn new(says: Says) -> Self {
        Self { says: Arc::new(Mutex::new(vec![says])), asked: watch::Sender::default() }
    }

    /// What is said from now on, the next at the end.
    pub fn set(&self, says: Vec<Says>) {
        *self.says.lock().unwrap() = says;
    }

    pub fn services(&self) -> Services {
        Services::new().add(ProductServiceServer::new(self.clone()))
    }

    /// One decision for each question, in their order.
    async fn say(&self, questions: Vec<Question>) -> Result<Vec<wire::Decision>, Status> {
        self.asked.send_modify(|asked| asked.extend_from_slice(&questions));
        let says = {
            let mut says = self.says.lock().unwrap();
            if says.len() > 1 { says.pop().unwrap() } else { says[0].clone() }
        };
        match &says {
            Says::YesUnlessForeign if questions.iter().any(|question| question.min_revision.is_some()) => {
                return Err(Failure::new(Code::FailedPrecondition, "EPOCH_MISMATCH", "x").into());
            }
            Says::YesUnlessQuantity(bad)
                if questions.iter().any(|question| question.quantity == Some(*bad)) =>
            {
                return Err(Status::internal("x"));
            }
            Says::Error(status) => return Err(status.clone()),
            Says::YesAfter(pause) => tokio::time::sleep(*pause).await,
            Says::Nothing => std::future::pending().await,
            _ => {}
        }
        Ok(questions.iter().map(|question| says.decision(question)).collect())
    }
}

// === impl Says ===

impl Says {
    fn decision(&self, question: &Question) -> wire::Decision {
        let (verdict, reason) = match self {
            Self::Nonsense => (wire::Verdict::Unspecified, wire::Reason::Unspecified),
            Self::No => (wire::Verdict::NotDeliverable, wire::Reason::Denied),
            _ if question.quantity > Some(MOST) => {
                (wire::Verdict::NotDeliverable, wire::Reason::OverQuantity)
            }
            _ => (wire::Verdict::Deliverable, wire::Reason::Allowed),
        };
        let past = prost_types::Timestamp { seconds: 1, nanos: 0 };
        wire::Decision {
            verdict: verdict.into(),
            reason: reason.into(),
            deciding_rules: vec![wire::RuleRef { rule_id: RULE.to_owned(), version: 3 }],
            valid_until: matches!(self, Self::YesUntilThePast).then_some(past),
            ..wire::Decision::default()
        }
    }
}

#[tonic::async_trait]
impl ProductService for Script {
    type WatchChangesStream = stream::Empty<Result<wire::WatchChangesResponse, Status>>;

    async fn can_deliver(
        &self,
        request: Request<wire::CanDeliverRequest>,
    ) -> Result<Response<wire::CanDeliverResponse>, Status> {
        let time_left = Deadline::current().remaining();
        let wire::CanDeliverRequest { min_revision, quantity, .. } = request.into_inner();
        let decisions = self.say(vec![Question { min_revision, quantity, time_left }]).await?;
        let revised = |decision| wire::Decision { revision: REVISION.to_owned(), ..decision };
        Ok(Response::new(wire::CanDeliverResponse { decision: decisions.into_iter().next().map(revised) }))
    }

    async fn batch_can_deliver(
        &self,
        request: Request<wire::BatchCanDeliverRequest>,
    ) -> Result<Response<wire::BatchCanDeliverResponse>, Status> {
        let time_left = Deadline::current().remaining();
        let wire::BatchCanDeliverRequest { items, min_revision } = request.into_inner();
        let question = |item: &wire::BatchItem| Question {
            min_revision: min_revision.clone(),
            quantity: item.quantity,
            time_left,
        };
        let decisions = self.say(items.iter().map(question).collect()).await?;
        let result = |(item, decision): (wire::BatchItem, _)| wire::BatchResult {
            correlation_id: item.correlation_id,
            decision: Some(decision),
        };
        Ok(Response::new(wire::BatchCanDeliverResponse {
            results: items.into_iter().zip(decisions).map(result).collect(),
            revision: REVISION.to_owned(),
            as_of_time: None,
        }))
    }

    async fn resolve_location(
        &self,
        _: Request<wire::ResolveLocationRequest>,
    ) -> Result<Response<wire::ResolveLocationResponse>, Status> {
        Err(Status::unimplemented("not asked by Delivery"))
    }

    async fn get_product(
        &self,
        _: Request<wire::GetProductRequest>,
    ) -> Result<Response<wire::GetProductResponse>, Status> {
        Err(Status::unimplemented("not asked by Delivery"))
    }

    async fn list_products(
        &self,
        _: Request<wire::ListProductsRequest>,
    ) -> Result<Response<wire::ListProductsResponse>, Status> {
        Err(Status::unimplemented("not asked by Delivery"))
    }

    async fn get_location(
        &self,
        _: Request<wire::GetLocationRequest>,
    ) -> Result<Response<wire::GetLocationResponse>, Status> {
        Err(Status::unimplemented("not asked by Delivery"))
    }

    async fn list_locations(
        &self,
        _: Request<wire::ListLocationsRequest>,
    ) -> Result<Response<wire::ListLocationsResponse>, Status> {
        Err(Status::unimplemented("not asked by Delivery"))
    }

    async fn watch_changes(
        &self,
        _: Request<wire::WatchChangesRequest>,
    ) -> Result<Response<Self::WatchChangesStream>, Status> {
        Err(Status::unimplemented("not asked by Delivery"))
    }
}
