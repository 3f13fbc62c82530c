//! Product, as Delivery sees it: asked a question, it decides, or it can't be asked like that, or it is silent.
//!
//! Unknown is not No, and No is not Down: a gRPC error is silence, whatever its code, and so is an answer that makes no
//! sense. Nothing here makes a decision out of an error.
//!
//! What stands around each question, outermost first:
//!
//! 1. the server's load limit and the caller's deadline: chassis, around the handler
//! 2. what to do without an answer, so that every refusal below reaches it: `create.rs`, `dispatch.rs`
//! 3. the overall deadline, so that the time for storing and answering is kept: `ProductSettings::live`, as 4 and 5
//! 4. the bulkhead: a slow Product may hold so many questions and no more; nobody queues for it
//! 5. retry and hedge, outside the choice of an endpoint, so that a further attempt goes elsewhere
//! 6. the choice of an endpoint: `endpoints`, as 8
//! 7. its line: questions that come while one is in flight to it go together, inside the choice, so that a batch has one
//!    endpoint, and outside the breaker, so that it is one attempt
//! 8. its breaker, inside retry, so that each attempt is evidence
//! 9. what the outcome means: `classify.rs`
//! 10. the attempt's time, inside the breaker, so that it sees what was too slow
//! 11. the endpoint's channel: `channel.rs`
//!
//! 3 to 10 are resilience's `Stack` and `Batching`, which are told the numbers of `settings.rs` and call 11.

mod channel;
mod classify;
mod complaints;
mod parse;
mod question;
mod settings;
mod silence;
mod targets;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chassis::deadline::Deadline;
use chassis::tls::TlsError;
use chassis::tls::client::ClientTls;
use chassis::trace::Trace;
use deliverability::{RuleRef, Timestamp, Verdict};
use resilience::batch::{BatchSettings, Batching};
use resilience::breaker::State;
use resilience::endpoints::{Endpoints, follow};
use resilience::{CallError, Caller, Connect, Metrics, Random, Stack};
use tokio::time::{Instant, timeout};

use crate::domain::{Evidence, Order, RevisionToken, Source};

pub use channel::{ProductClient, over_tcp, over_tls};
use complaints::Complaints;
pub use question::{BatchQuestion, Question};
pub use settings::ProductSettings;
pub use silence::{Silence, Why};
pub use targets::{ProductTargets, Resolver, Server, Servers};

/// How long a batch waits for its min_revision: a Product that is current has it, and one that is not is asked again.
const REVISION_WAIT: Duration = Duration::from_millis(200);
/// How long the start waits for Product's name to be looked up. Without an answer it goes on: nothing here depends on it.
const FIRST_LOOK_UP: Duration = Duration::from_secs(1);

/// What all runtimes of a process share about Product: breakers, budgets, latencies, and how it is reached. Clones share it.
#[derive(Clone)]
pub struct Product {
    endpoints: Arc<Endpoints>,
    live: Arc<Caller>,
    verify: Arc<Caller>,
    batch: Option<BatchSettings>,
    connect: Connect<ProductClient>,
    /// `None`: connections are not secured, or it is not known here how they are.
    tls: Option<ClientTls>,
    complaints: Arc<Complaints>,
}

/// A client of Product on one runtime, for one kind of questions. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Products {
    stack: Stack<ProductClient>,
    /// `None`: each question goes by itself.
    batching: Option<Batching<ProductClient, Question, Decision>>,
    complaints: Arc<Complaints>,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer<T> {
    /// Product decided.
    Decided(T),
    /// Product is fine, and can't answer to this min_revision.
    BadRevision(BadRevision),
    /// There is no answer.
    Silent(Silence),
}

/// Yes or no, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Yes or no.
    pub verdict: Verdict,
    /// Why, by the name of Product's reason, such as "ALLOWED".
    pub reason: String,
    /// At which revision.
    pub revision: RevisionToken,
    /// The rules that decided.
    pub deciding_rules: Vec<RuleRef>,
    /// The next instant at which the decision may change by itself; `None`: never.
    pub valid_until: Option<Timestamp>,
    /// When it came, by this service's clock.
    pub check_time: Timestamp,
}

/// What is wrong with a min_revision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRevision {
    /// It is of a catalogue that has been replaced from a backup.
    #[error("is of a catalogue that has been replaced from a backup")]
    EpochMismatch,
    /// It is no token of Product's; Product says why.
    #[error("{0}")]
    Malformed(String),
}

// === impl Product ===

impl Product {
    /// Product where the settings say it is, over TCP, and in TLS if they say so. Where they say it by a name, `follow` finds it.
    ///
    /// # Errors
    /// A file of certificates can't be used, or would be for nothing.
    pub fn new(settings: &ProductSettings) -> Result<Self, TlsError> {
        let random = Random::seeded(rand::random());
        let product = match (settings.product_url.servers(), settings.pointless_file()) {
            (Some(servers), _) => {
                let tls = settings.tls()?;
                let connect = over_tls(tls.clone(), servers, random.clone());
                Self { tls: Some(tls), ..Self::reached_by(settings, connect, random) }
            }
            (None, None) => Self::reached_by(settings, over_tcp(random.clone()), random),
            (None, Some(file)) => return Err(file.pointless("--product-url begins with http://")),
        };
        product.endpoints.set(&settings.product_url.addresses().unwrap_or_default());
        Ok(product)
    }

    /// Product over whatever `connect` makes, with no endpoints yet.
    #[must_use]
    pub fn reached_by(settings: &ProductSettings, connect: Connect<ProductClient>, random: Random) -> Self {
        let endpoints = Arc::new(Endpoints::new(settings.breaker(), settings.limit(), random.clone()));
        let caller = |calls| Arc::new(Caller::new(calls, Arc::clone(&endpoints), random.clone()));
        Self {
            live: caller(settings.live()),
            verify: caller(settings.verify()),
            batch: settings.batch(),
            endpoints,
            connect,
            tls: None,
            complaints: Arc::default(),
        }
    }

    /// Makes its endpoints those that `resolver` finds, now and from now on for as long as the runtime lives that this is
    /// called on.
    pub async fn follow(&self, settings: &ProductSettings, resolver: Resolver) {
        if let Ok(Ok(addresses)) = timeout(FIRST_LOOK_UP, resolver()).await
            && !addresses.is_empty()
        {
            self.endpoints.set(&addresses);
        }
        let random = Random::seeded(rand::random());
        let (endpoints, resolve) = (Arc::clone(&self.endpoints), settings.resolve());
        tokio::spawn(async move { follow(endpoints, || resolver(), resolve, random).await });
    }

    /// Makes its endpoints these.
    pub fn set_endpoints(&self, addresses: &[SocketAddr]) {
        self.endpoints.set(addresses);
    }

    /// A client, for those who wait, on the runtime that uses it.
    #[must_use]
    pub fn client(&self) -> Products {
        self.client_of(&self.live, self.batch)
    }

    /// A client for the verifier.
    #[must_use]
    pub fn verifying_client(&self) -> Products {
        // It asks in batches already.
        self.client_of(&self.verify, None)
    }

    /// What can be seen of it.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let callers = vec![("live", Arc::clone(&self.live)), ("verify", Arc::clone(&self.verify))];
        Metrics::new(Arc::clone(&self.endpoints), callers)
    }

    /// How connections to it are secured, if they are; it tells of its certificate.
    #[must_use]
    pub fn tls(&self) -> Option<&ClientTls> {
        self.tls.as_ref()
    }

    fn client_of(&self, caller: &Arc<Caller>, batch: Option<BatchSettings>) -> Products {
        let stack = Stack::new(Arc::clone(caller), Arc::clone(&self.connect));
        let batching = batch.map(|settings| Batching::new::<BatchQuestion>(stack.clone(), settings));
        Products { stack, batching, complaints: Arc::clone(&self.complaints) }
    }
}

// === impl Products ===

impl Products {
    /// What its questions share with those of other runtimes.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        self.stack.caller()
    }

    /// Asks whether an order can be delivered, now, as a caller with a deadline waits.
    pub async fn decide(
        &self,
        order: &Order,
        min_revision: Option<&RevisionToken>,
        deadline: Deadline,
    ) -> Answer<Decision> {
        let (question, until) = (Question::new(order, min_revision), Some(deadline.instant()));
        let asked = match (min_revision, &self.batching) {
            // A batch has one min_revision, and would wait for the latest.
            (Some(_), _) => self.stack.call_and_wait(question, until).await,
            (None, Some(batching)) => batching.call(question, until).await,
            (None, None) => self.stack.call(question, until).await,
        };
        self.understood(asked)
    }

    /// Asks the same of several orders, all at one revision, for the sampled `traces` that they were created in. `None` stands for an order that Product's answer says nothing
    /// sensible about.
    pub async fn decide_batch(
        &self,
        orders: &[&Order],
        traces: &[Trace],
        min_revision: Option<&RevisionToken>,
    ) -> Answer<Vec<Option<Decision>>> {
        let question = BatchQuestion::new(orders, traces, min_revision);
        let asked = match min_revision {
            None => self.stack.call(question, None).await,
            // Product waits for a revision to the deadline, and those that wait behind this batch wait too.
            Some(_) => self.stack.call_and_wait(question, Some(Instant::now() + REVISION_WAIT)).await,
        };
        self.understood(asked.map(|answers| answers.into_iter().map(Result::ok).collect()))
    }

    fn understood<T>(&self, asked: Result<T, CallError>) -> Answer<T> {
        let mut answer = match asked {
            Err(error) => classify::error(&error),
            Ok(decided) => Answer::Decided(decided),
        };
        if let Answer::Silent(silence) = &mut answer {
            silence.breaker = self.breaker();
            self.complaints.note(silence.why);
        }
        answer
    }

    /// The best state among the breakers: what one more question would meet.
    fn breaker(&self) -> Option<State> {
        let endpoints = self.stack.caller().endpoints().current();
        endpoints.iter().map(|endpoint| endpoint.breaker.state()).min_by_key(|state| match state {
            State::Closed => 0,
            State::HalfOpen => 1,
            State::Open => 2,
        })
    }
}

impl std::fmt::Debug for Product {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Product").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

// === impl Decision ===

impl Decision {
    /// What is stored of it.
    #[must_use]
    pub fn into_evidence(self, source: Source) -> Evidence {
        Evidence {
            verdict: self.verdict,
            reason: self.reason,
            source,
            revision: self.revision,
            check_time: self.check_time,
            deciding_rules: self.deciding_rules,
        }
    }
}
