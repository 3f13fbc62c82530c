//! Product and Delivery on databases that get into trouble: what is asked of them meanwhile, what they may answer, and what
//! must hold afterwards.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::LocalBoxFuture;
use proto::product::v1::Reason;
use tonic::{Code, Status};
use tonic_health::pb::health_check_response::ServingStatus;

use super::callers::{Answered, Callers, assert_all_ok};
use super::catalogue::{Shop, id, open_shop};
use super::cluster::Cluster;
use super::process::Service;
use super::refusal::Refusal;
use super::{PATIENCE, deliveries, eventually, eventually_within, questions, services};

/// No call takes longer, whatever its caller says, and how much later an answer may come on a busy machine.
const CALL_TIMEOUT_SECONDS: &str = "3";
const DEADLINE: Duration = Duration::from_secs(3);
const LATE: Duration = Duration::from_secs(1);
/// How long Product may take for an answer from memory, on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(1);
/// The time between two questions to Product.
const PACE: Duration = Duration::from_millis(20);
/// Creates that show that all is well.
const SOME: usize = 40;
/// Creates that failed and are sent again to see what became of them.
const SENT_AGAIN: usize = 50;
/// Names of the two databases of one server, and who uses them.
const DATABASES: [&str; 2] = ["product", "delivery"];

/// See the module.
pub struct Trial {
    pub product: Service,
    pub delivery: Service,
    pub shop: Shop,
    callers: Callers,
    answered: RefCell<Vec<Answered>>,
    may_say: &'static [Says],
}

/// What a caller may hear of a database in trouble. Each story says which of these are right for its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// It is away: STORE_UNAVAILABLE.
    Away,
    /// The caller's deadline was over before it answered.
    TooLate,
}

// === impl Trial ===

impl Trial {
    /// On both of a server's databases, which are made for it.
    pub async fn on(cluster: &Cluster) -> Self {
        make_databases(cluster).await;
        let [product, delivery] = urls_at(cluster.address());
        Self::start(&product, &delivery, &[]).await
    }

    /// On two databases, with more flags for each service.
    pub async fn start(product_url: &str, delivery_url: &str, flags: &[&str]) -> Self {
        let flags = [&["--call-timeout-seconds", CALL_TIMEOUT_SECONDS], flags].concat();
        let product = services::product_with(product_url, None, &flags).await;
        let shop = open_shop(&product).await;
        let delivery = services::delivery_with(delivery_url, product.address, &flags).await;
        let callers = Callers::of(&delivery, &shop).await;
        let answered = RefCell::default();
        let trial = Self { product, delivery, shop, callers, answered, may_say: &[] };
        trial.is_well().await;
        trial
    }

    /// What callers may hear in this trial, and nothing else. A connection that can't be had is waited for for 2 s: who has waited
    /// for the database before, or tries again, comes to the deadline of these calls first.
    pub fn where_it_says(self, may_say: &'static [Says]) -> Self {
        Self { may_say, ..self }
    }

    /// Deliveries are created, and none fails.
    pub async fn is_well(&self) {
        let answered = self.callers.create(SOME).await;
        assert_all_ok(&answered);
        self.answered.borrow_mut().extend(answered);
    }

    /// While something happens, deliveries are created and Product is asked. Each create has a clear answer in time, and
    /// Product, which needs no database for that, goes on. Says how many creates failed.
    pub fn during<'a, T: 'a>(
        &'a self,
        trouble: impl Future<Output = T> + 'a,
    ) -> LocalBoxFuture<'a, (T, usize)> {
        let trouble = async {
            tokio::select! {
                done = trouble => done,
                never = self.asks_product() => never,
            }
        };
        let told = async {
            let (done, answered) = self.callers.create_during(trouble).await;
            let failed: Vec<_> = answered.iter().filter(|answered| !answered.is_ok()).collect();
            failed.iter().for_each(|answered| self.is_clear(&answered.status));
            let heard = |code| failed.iter().filter(|answered| answered.status.code() == code).count();
            let [away, late] = Says::ALL.map(|says| heard(says.code()));
            println!("{} creates; {away} heard that it is away, {late} that it is too late", answered.len());
            let failed = failed.len();
            self.answered.borrow_mut().extend(answered);
            (done, failed)
        };
        Box::pin(told)
    }

    /// Until neither service can write.
    pub async fn until_nothing_is_written(&self) {
        eventually("nothing is written", async || match (self.creates().await, self.writes().await) {
            (Err(_), Err(_)) => Ok(()),
            (created, written) => Err((created.is_ok(), written.is_ok())),
        })
        .await;
    }

    /// Until both can, and both say that they serve.
    pub async fn until_all_is_written(&self) {
        self.until_all_is_written_within(PATIENCE).await;
    }

    /// The same, within some time.
    pub async fn until_all_is_written_within(&self, patience: Duration) {
        eventually_within(patience, "deliveries are created", async || self.creates().await).await;
        eventually_within(patience, "the catalogue is changed", async || self.writes().await).await;
        for service in [&self.product, &self.delivery] {
            services::until_health_is(service, ServingStatus::Serving).await;
        }
    }

    /// One delivery: whether it was created, in time and else with a clear answer.
    pub async fn creates(&self) -> Result<(), Status> {
        let order = deliveries::order(&self.shop.rock, &self.shop.city);
        self.in_time(deliveries::create(&self.delivery, &order)).await.map(drop)
    }

    /// One change of the catalogue, in the same way.
    pub async fn writes(&self) -> Result<(), Status> {
        self.in_time(questions::create_product(&self.product, &id(), "new")).await.map(drop)
    }

    /// Reads one delivery that was acknowledged, in the same way.
    pub async fn reads(&self) -> Result<(), Status> {
        let known =
            self.answered.borrow().iter().find(|answered| answered.is_ok()).map(|found| found.order.clone());
        let known = deliveries::id_of(&known.expect("some were created"));
        self.in_time(deliveries::get(&self.delivery, &known)).await.map(drop)
    }

    /// All is well again. Every delivery that was acknowledged is there once and as it was sent; one that was not is stored
    /// or can be, once.
    pub async fn has_lost_nothing(&self) {
        self.is_well().await;
        let answered = self.answered.take();
        let failed = answered.iter().filter(|answered| !answered.is_ok());
        for Answered { order, .. } in failed.take(SENT_AGAIN) {
            eventually("it is sent again", async || deliveries::create(&self.delivery, order).await).await;
        }
        let mut stored = HashMap::new();
        for found in deliveries::all(&self.delivery).await {
            let again = stored.insert(found.delivery_id.clone(), found);
            assert_eq!(again, None, "stored once");
        }
        let acknowledged: Vec<_> = answered.iter().filter(|answered| answered.is_ok()).collect();
        println!("{} were acknowledged, {} are stored", acknowledged.len(), stored.len());
        for Answered { order, .. } in acknowledged {
            let found = stored.get(&deliveries::id_of(order)).expect("what was acknowledged is there");
            assert_eq!((&found.product_id, &found.location_id), (&order.product_id, &order.location_id));
        }
    }

    async fn in_time<T>(&self, call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        let asked = Instant::now();
        let outcome = call.await;
        let took = asked.elapsed();
        assert!(took < DEADLINE + LATE, "no answer outlives its deadline: {took:?}");
        outcome.inspect_err(|status| self.is_clear(status))
    }

    /// The status is one that this story says is right.
    #[track_caller]
    fn is_clear(&self, status: &Status) {
        let heard = Refusal::of(status);
        let is_right = self.may_say.iter().any(|says| says.refusal() == heard);
        assert!(is_right, "{:?} would be right, not {status:?}", self.may_say);
    }

    async fn asks_product<T>(&self) -> T {
        loop {
            let asked = Instant::now();
            let decision = questions::decide(&self.product, &self.shop.milk, &self.shop.city, None).await;
            let took = asked.elapsed();
            assert_eq!(decision.expect("Product goes on").reason(), Reason::Allowed);
            assert!(took < AT_ONCE, "an answer from memory took {took:?}");
            tokio::time::sleep(PACE).await;
        }
    }
}

// === impl Says ===

impl Says {
    const ALL: [Self; 2] = [Self::Away, Self::TooLate];

    fn code(self) -> Code {
        match self {
            Self::Away => Code::Unavailable,
            Self::TooLate => Code::DeadlineExceeded,
        }
    }

    /// As the error tables have it.
    fn refusal(self) -> Refusal {
        match self {
            Self::Away => Refusal::new(self.code(), "STORE_UNAVAILABLE").retry(),
            Self::TooLate => Refusal::new(self.code(), "DEADLINE_EXCEEDED"),
        }
    }
}

/// Makes a server's two databases, and a user for them who may not do everything.
pub async fn make_databases(cluster: &Cluster) {
    let create = DATABASES.map(|name| format!("CREATE DATABASE {name} OWNER service"));
    cluster.run_sql(&["CREATE ROLE service LOGIN", &create[0], &create[1]]).await;
}

/// The URLs of the two, wherever they are reached.
pub fn urls_at(address: SocketAddr) -> [String; 2] {
    DATABASES.map(|name| format!("postgres://service@{address}/{name}"))
}
