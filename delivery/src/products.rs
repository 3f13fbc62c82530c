//! Product, as Delivery sees it: asked a question, it decides, or it can't be asked like that, or it is silent.
//!
//! Unknown is not No, and No is not Down: a gRPC error is silence, whatever its code, and so is an answer that makes no
//! sense. Nothing here makes a decision out of an error.
//!
//! | to know | read |
//! |---|---|
//! | how the connection is made | `channel.rs` |
//! | what a message means | `parse.rs` |
//! | what an error means | `classify.rs` |
//! | how often silence is told | `complaints.rs` |

mod channel;
mod classify;
mod complaints;
mod parse;

use std::sync::Arc;
use std::time::Duration;

use chassis::deadline::Deadline;
use deliverability::{RuleRef, Timestamp, Verdict};
use proto::product::v1 as wire;
use proto::product::v1::product_service_client::ProductServiceClient;
use tokio::time::{Instant, timeout_at};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::domain::{Evidence, Order, RevisionToken, Source};
use crate::time;

pub use channel::ProductUrl;
use complaints::Complaints;

/// What is kept of the caller's time for storing the delivery and for the way back.
const RESERVE: Duration = Duration::from_millis(50);
/// A caller in a hurry keeps a quarter of its time instead: 50 ms of 60 would leave nothing to ask in.
const RESERVE_FRACTION: u32 = 4;
/// Less than this is not worth asking in: a call within one machine takes half of it.
const FLOOR: Duration = Duration::from_millis(1);
/// When to ask again, if Product does not say: a Product that restarts is back in about that time.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long a batch waits for its min_revision: a Product that is current has it, and one that is not is asked again.
const REVISION_WAIT: Duration = Duration::from_millis(200);
/// The largest answer: 1,000 decisions of 100 rules in 45 bytes each.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// Where Product is and how long it is waited for. Clones complain together: make it once for a process.
#[derive(Clone, Debug)]
pub struct ProductSettings {
    url: ProductUrl,
    timeout: Duration,
    complaints: Arc<Complaints>,
}

/// A client of Product on one runtime. Clones share its connection.
#[derive(Clone, Debug)]
pub struct Products {
    client: ProductServiceClient<Channel>,
    timeout: Duration,
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

/// No answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Why, as far as it can be known from here.
    pub why: Why,
    /// When to ask again.
    pub retry_after: Duration,
    /// How often Product was asked.
    pub attempts: u32,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// No connection, or one that broke.
    #[error("Product can't be reached")]
    Unreachable,
    /// Not within --product-timeout-ms.
    #[error("Product did not answer in time")]
    TooSlow,
    /// Not within what the caller's deadline left, which was less.
    #[error("Product did not answer within the caller's deadline")]
    CallersDeadline,
    /// It answers that it can't answer anybody for now.
    #[error("Product is not ready to answer")]
    Unready,
    /// It answers, with an error that may be about this question.
    #[error("Product can't answer")]
    Failing,
    /// It has not seen the min_revision yet.
    #[error("Product has not reached min_revision yet")]
    RevisionNotReached,
    /// It sent what the contract does not allow.
    #[error("Product's answer makes no sense")]
    Nonsense,
    /// It decided, each time with an end that had passed before the delivery could be stored.
    #[error("Product's decisions ended before they could be used")]
    Lapsed,
}

/// How long a call may take, and whose limit that is.
struct Limit {
    until: Instant,
    is_callers: bool,
}

// === impl ProductSettings ===

impl ProductSettings {
    /// Product at `url`, waited for at most `timeout` long.
    #[must_use]
    pub fn new(url: ProductUrl, timeout: Duration) -> Self {
        Self { url, timeout, complaints: Arc::default() }
    }
}

// === impl Products ===

impl Products {
    /// A client that connects when it is first used, on the runtime that this is called on.
    #[must_use]
    pub fn connect_lazy(settings: &ProductSettings) -> Self {
        let channel = settings.url.connect_lazy();
        Self {
            client: ProductServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES),
            timeout: settings.timeout,
            complaints: Arc::clone(&settings.complaints),
        }
    }

    /// Asks whether an order can be delivered, now, as a caller with a deadline waits.
    pub async fn decide(
        &self,
        order: &Order,
        min_revision: Option<&RevisionToken>,
        deadline: Deadline,
    ) -> Answer<Decision> {
        let question = wire::CanDeliverRequest {
            product_id: order.product.to_string(),
            location_id: order.location.to_string(),
            quantity: Some(order.quantity.get()),
            at: None,
            min_revision: min_revision.map(|token| token.as_str().to_owned()),
            explain: false,
        };
        let mut client = self.client.clone();
        let ask = |question| async move { client.can_deliver(question).await };
        self.call(Limit::of(deadline, self.timeout), question, ask, |answer| {
            parse::decision(answer, time::now())
        })
        .await
    }

    /// Asks the same of several orders, all at one revision. `None` stands for an order that Product's answer says nothing
    /// sensible about.
    pub async fn decide_batch(
        &self,
        orders: &[&Order],
        min_revision: Option<&RevisionToken>,
    ) -> Answer<Vec<Option<Decision>>> {
        let item = |order: &&Order| wire::BatchItem {
            correlation_id: String::new(),
            product_id: order.product.to_string(),
            location_id: order.location.to_string(),
            quantity: Some(order.quantity.get()),
        };
        let question = wire::BatchCanDeliverRequest {
            items: orders.iter().map(item).collect(),
            min_revision: min_revision.map(|token| token.as_str().to_owned()),
        };
        // Product waits for a revision to the deadline, and those that wait behind this batch wait too.
        let timeout = if min_revision.is_some() { self.timeout.min(REVISION_WAIT) } else { self.timeout };
        let limit = Limit { until: Instant::now() + timeout, is_callers: false };
        let mut client = self.client.clone();
        let ask = |question| async move { client.batch_can_deliver(question).await };
        self.call(limit, question, ask, |answer| parse::batch(answer, orders.len(), time::now())).await
    }

    /// What stands around a call to Product, in this order, outermost first. (The load limit and the caller's deadline
    /// stand around the handler, in chassis; what to do without an answer is `create.rs`'s and `dispatch.rs`'s.)
    async fn call<Q, A, T, F>(
        &self,
        limit: Limit,
        question: Q,
        ask: impl FnOnce(Request<Q>) -> F,
        read: impl FnOnce(&A) -> Result<T, parse::Nonsense>,
    ) -> Answer<T>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        // 1. The overall deadline. What can't be asked in time is not asked.
        let remaining = limit.until.saturating_duration_since(Instant::now());
        if remaining < FLOOR {
            return Answer::Silent(Silence { attempts: 0, ..Silence::new(limit.why_timed_out()) });
        }

        // 2. The attempt's deadline: the header tells Product, and the timer covers what the header can't, such as
        //    connecting. Dropping the call resets its stream.
        let mut request = Request::new(question);
        request.set_timeout(remaining);
        let outcome = timeout_at(limit.until, ask(request)).await;

        // 3. What the outcome means.
        let answer = match outcome {
            Err(_elapsed) => Answer::Silent(Silence::new(limit.why_timed_out())),
            Ok(Err(status)) => classify::error(&status, &limit),
            Ok(Ok(response)) => match read(response.get_ref()) {
                Ok(decided) => Answer::Decided(decided),
                Err(nonsense) => {
                    tracing::debug!(%nonsense, "Product's answer makes no sense");
                    Answer::Silent(Silence::new(Why::Nonsense))
                }
            },
        };
        if let Answer::Silent(silence) = &answer {
            self.complaints.note(silence.why);
        }
        answer
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

// === impl Silence ===

impl Silence {
    /// Silence after one attempt.
    #[must_use]
    pub fn new(why: Why) -> Self {
        Self { why, retry_after: RETRY_AFTER, attempts: 1 }
    }
}

// === impl Limit ===

impl Limit {
    /// The nearer of the two: the caller's deadline less a reserve, or the cap.
    fn of(deadline: Deadline, cap: Duration) -> Self {
        let callers = deadline.instant() - RESERVE.min(deadline.remaining() / RESERVE_FRACTION);
        let capped = Instant::now() + cap;
        Self { until: callers.min(capped), is_callers: callers < capped }
    }

    fn why_timed_out(&self) -> Why {
        if self.is_callers { Why::CallersDeadline } else { Why::TooSlow }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit_of_ms(callers: u64, cap: u64) -> (Duration, bool) {
        let limit = Limit::of(Deadline::after(Duration::from_millis(callers)), Duration::from_millis(cap));
        (limit.until - Instant::now(), limit.is_callers)
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_may_take_what_the_caller_leaves_and_never_more_than_the_cap() {
        assert_eq!(limit_of_ms(5_000, 1_000), (Duration::from_millis(1_000), false));
        assert_eq!(limit_of_ms(500, 1_000), (Duration::from_millis(450), true));
        assert_eq!(limit_of_ms(40, 1_000), (Duration::from_millis(30), true));
        assert_eq!(limit_of_ms(0, 1_000), (Duration::ZERO, true));
    }
}
