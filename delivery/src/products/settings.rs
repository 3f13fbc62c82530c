//! How Product is called: flags, each with a variable, each default with its reason.

use std::path::PathBuf;
use std::time::Duration;

use chassis::tls::client::ClientTls;
use chassis::tls::{PemFile, TlsError};
use clap::{Args, Command, FromArgMatches};
use resilience::CallSettings;
use resilience::batch::BatchSettings;
use resilience::breaker::{BreakerSettings, NEVER_PERCENT, WindowSettings};
use resilience::budget::BudgetSettings;
use resilience::deadline::DeadlineSettings;
use resilience::endpoints::ResolveSettings;
use resilience::hedge::HedgeSettings;
use resilience::limit::LimitSettings;
use resilience::retry::RetrySettings;

use super::classify;
use super::targets::ProductTargets;

/// What is kept of the caller's time for storing the delivery and for the way back; a caller in a hurry keeps a quarter
/// of its time instead, since 50 ms of 60 would leave nothing to ask in.
const RESERVE: Duration = Duration::from_millis(50);
const RESERVE_FRACTION: u32 = 4;
/// Less than this is not worth asking in: a call within one machine takes half of it.
const FLOOR: Duration = Duration::from_millis(1);
/// How long questions wait, at most, for one that is in flight: ten times what it takes when all is well.
const BATCH_PATIENCE: Duration = Duration::from_millis(5);
/// The verifier asks one batch at a time.
const VERIFY_CALLS: u32 = 1;
/// The verifier tries again by itself, with pauses: a batch is retried once, and only if most of them go well.
const VERIFY_ATTEMPTS: u32 = 2;
const VERIFY_BUDGET: BudgetSettings =
    BudgetSettings { per_ten_thousand: 1_000, capacity_tokens: 10, reserve_per_second: 0 };
/// How much a breaker's wait grows, and varies.
const OPEN_MULTIPLIER: f64 = 2.0;
const OPEN_JITTER: f64 = 0.2;
/// Look-ups vary by as much, come no closer than this, and may take so long.
const RESOLVE_JITTER: f64 = 0.2;
const RESOLVE_AT_LEAST: Duration = Duration::from_millis(500);
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);
/// An adaptive limit starts at what a small Product carries, and is looked at ten times a second.
const LIMIT: LimitSettings =
    LimitSettings { initial: 64, min: 8, max: 4_096, window: Duration::from_millis(100), tolerance: 1.5 };

// Upper bounds keep slips of the pen (milliseconds for seconds) from becoming settings.
const MAX_MS: u64 = 60_000;
const MAX_SECONDS: u64 = 3_600;
const MAX_CALLS: i64 = 100_000;
/// What Product takes in one batch.
const MAX_BATCH: i64 = 1_000;

/// How Product is called.
#[derive(Args, Clone, Debug)]
pub struct ProductSettings {
    /// Where the Product service is: http://HOST:PORT, or https://HOST:PORT for TLS, or several of them with commas between. A
    /// name may stand for any number of processes: all its addresses are used, it is looked up again now and then, and in TLS
    /// each must show a certificate of that name. The default is where Product serves by default on the same machine.
    #[arg(
        long,
        env = "CANDELIVER_PRODUCT_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:50051"
    )]
    pub product_url: ProductTargets,

    /// The authorities in PEM from which the certificates of an https:// Product must come; those that this machine trusts,
    /// unless given. Read again when it changes.
    #[arg(long, env = "CANDELIVER_PRODUCT_CA_FILE", value_name = "FILE")]
    pub product_ca_file: Option<PathBuf>,

    /// The certificate in PEM, followed by those between it and its authority, by which this service shows an https:// Product
    /// who it is. Read again when it changes: connections that are open stay, new ones show the new one.
    #[arg(long, env = "CANDELIVER_PRODUCT_CERT_FILE", value_name = "FILE")]
    pub product_cert_file: Option<PathBuf>,

    /// The private key of --product-cert-file in PEM, unencrypted. Read again when it changes.
    #[arg(long, env = "CANDELIVER_PRODUCT_KEY_FILE", value_name = "FILE")]
    pub product_key_file: Option<PathBuf>,

    /// How long one question to Product may take in all, in milliseconds, connecting and further attempts included; less
    /// if the caller's deadline leaves less. Product answers in under a millisecond: one that takes a second won't answer,
    /// and a caller would rather know.
    #[arg(long, env = "CANDELIVER_PRODUCT_TIMEOUT_MS", value_name = "MS", default_value_t = 1_000,
          value_parser = clap::value_parser!(u64).range(10..=MAX_MS))]
    pub product_timeout_ms: u64,

    /// How long one attempt may take, in milliseconds; the last one of a question may use all the time that is left. A
    /// third of the whole, so that an endpoint that hangs leaves time for two others.
    #[arg(long, env = "CANDELIVER_PRODUCT_ATTEMPT_TIMEOUT_MS", value_name = "MS", default_value_t = 300,
          value_parser = clap::value_parser!(u64).range(1..=MAX_MS))]
    pub product_attempt_timeout_ms: u64,

    /// Most questions to Product at once; one more gets no answer at once. A Product that answers in a millisecond is
    /// never asked half a thousand at a time by one process: that many wait only when it has become slow, and more
    /// waiting would not make it faster.
    #[arg(long, env = "CANDELIVER_PRODUCT_MAX_CALLS", value_name = "N", default_value_t = 512,
          value_parser = clap::value_parser!(u32).range(1..=MAX_CALLS))]
    pub product_max_calls: u32,

    /// Most questions that go to Product together. Those that come while one is in flight to an endpoint go in one batch as
    /// soon as it is answered; where none is in flight a question goes at once. 256 take Product a fraction of a
    /// millisecond. 1: each goes by itself.
    #[arg(long, env = "CANDELIVER_PRODUCT_BATCH_MAX", value_name = "N", default_value_t = 256,
          value_parser = clap::value_parser!(u32).range(1..=MAX_BATCH))]
    pub product_batch_max: u32,

    /// Most attempts for one question; 1: none is tried again. With three, one endpoint may hang and one may be restarting.
    #[arg(long, env = "CANDELIVER_PRODUCT_MAX_ATTEMPTS", value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..=10))]
    pub product_max_attempts: u32,

    /// Longest pause before the second attempt, in milliseconds; how long it is, is left to chance, and each further one
    /// may be twice as long. 20 ms are long for Product and short for a person.
    #[arg(long, env = "CANDELIVER_PRODUCT_RETRY_PAUSE_MS", value_name = "MS", default_value_t = 20,
          value_parser = clap::value_parser!(u64).range(0..=MAX_MS))]
    pub product_retry_pause_ms: u64,

    /// How many further attempts all questions together may cost, in percent of the questions. At ten a Product in trouble
    /// gets a tenth more to do and not three times as much.
    #[arg(long, env = "CANDELIVER_PRODUCT_RETRY_PERCENT", value_name = "PERCENT", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(0..=100))]
    pub product_retry_percent: u32,

    /// Further attempts that may be saved up while all goes well. 100 carry a busy process over the moment in which an
    /// endpoint goes away.
    #[arg(long, env = "CANDELIVER_PRODUCT_RETRY_BURST", value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(0..=MAX_CALLS))]
    pub product_retry_burst: u32,

    /// Further attempts a second besides, so that a process with few questions can retry too.
    #[arg(long, env = "CANDELIVER_PRODUCT_RETRY_RESERVE", value_name = "N", default_value_t = 2,
          value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub product_retry_reserve: u32,

    /// By how many seconds of results each endpoint's breaker judges. An outage is seen when it has lasted for half of them;
    /// three are enough to see more than a moment's trouble, and too few to remember it for long.
    #[arg(long, env = "CANDELIVER_PRODUCT_BREAKER_WINDOW_SECONDS", value_name = "SECONDS", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..=600))]
    pub product_breaker_window_seconds: u32,

    /// Results without which a breaker does not open: two failures of three calls are no outage yet.
    #[arg(long, env = "CANDELIVER_PRODUCT_BREAKER_MIN_CALLS", value_name = "N", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..=MAX_CALLS))]
    pub product_breaker_min_calls: u32,

    /// At how many percent of failures a breaker opens; 101: never. An endpoint that fails every other question does more
    /// harm than good.
    #[arg(long, env = "CANDELIVER_PRODUCT_BREAKER_FAILURE_PERCENT", value_name = "PERCENT", default_value_t = 50,
          value_parser = clap::value_parser!(u32).range(1..=101))]
    pub product_breaker_failure_percent: u32,

    /// At how many percent of slow answers a breaker opens; 101: never. Higher than for failures: a slow answer is one.
    #[arg(long, env = "CANDELIVER_PRODUCT_BREAKER_SLOW_PERCENT", value_name = "PERCENT", default_value_t = 80,
          value_parser = clap::value_parser!(u32).range(1..=101))]
    pub product_breaker_slow_percent: u32,

    /// From how many milliseconds on an answer is slow: two hundred times what one takes. Questions whose callers leave
    /// less time than that say nothing about Product when they run out of it.
    #[arg(long, env = "CANDELIVER_PRODUCT_SLOW_MS", value_name = "MS", default_value_t = 200,
          value_parser = clap::value_parser!(u64).range(1..=MAX_MS))]
    pub product_slow_ms: u64,

    /// Probes that an open breaker lets through when its wait is over; it closes if they go well.
    #[arg(long, env = "CANDELIVER_PRODUCT_BREAKER_PROBES", value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub product_breaker_probes: u32,

    /// How long a breaker stays open the first time, in milliseconds; twice as long each time its probes fail.
    #[arg(long, env = "CANDELIVER_PRODUCT_BREAKER_OPEN_MS", value_name = "MS", default_value_t = 100,
          value_parser = clap::value_parser!(u64).range(1..=MAX_MS))]
    pub product_breaker_open_ms: u64,

    /// The longest that it stays open, in milliseconds. A probe a second harms nobody, and a Product that is back is found
    /// within that time.
    #[arg(long, env = "CANDELIVER_PRODUCT_BREAKER_MAX_OPEN_MS", value_name = "MS", default_value_t = 1_000,
          value_parser = clap::value_parser!(u64).range(1..=MAX_MS))]
    pub product_breaker_max_open_ms: u64,

    /// Ask a second endpoint when the first takes longer than so many percent of answers do, such as 95; 0: never. Off: it
    /// pays only where single endpoints stall now and then, and Product's don't.
    #[arg(long, env = "CANDELIVER_PRODUCT_HEDGE_PERCENT", value_name = "PERCENT", default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(0..=99))]
    pub product_hedge_percent: u32,

    /// Adapt the questions in flight to each endpoint to what it can do. Off until it has been measured to be better than
    /// the fixed limits.
    #[arg(long, env = "CANDELIVER_PRODUCT_ADAPTIVE_LIMIT")]
    pub product_adaptive_limit: bool,

    /// How often Product's name is looked up, in seconds; also at once when a connection fails. DNS in a cluster forgets
    /// after about that time.
    #[arg(long, env = "CANDELIVER_PRODUCT_RESOLVE_SECONDS", value_name = "SECONDS", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=MAX_SECONDS))]
    pub product_resolve_seconds: u64,
}

// === impl ProductSettings ===

impl ProductSettings {
    /// Around each question of a caller who waits.
    pub(super) fn live(&self) -> CallSettings {
        let slow = Duration::from_millis(self.product_slow_ms);
        let attempt = Duration::from_millis(self.product_attempt_timeout_ms);
        CallSettings {
            deadline: DeadlineSettings {
                reserve: RESERVE,
                reserve_fraction: RESERVE_FRACTION,
                cap: Duration::from_millis(self.product_timeout_ms),
                attempt,
                floor: FLOOR,
            },
            bulkhead: self.product_max_calls,
            retry: RetrySettings {
                max_attempts: self.product_max_attempts,
                first_pause: Duration::from_millis(self.product_retry_pause_ms),
                max_pause: Duration::from_millis(self.product_attempt_timeout_ms),
            },
            budget: BudgetSettings {
                per_ten_thousand: self.product_retry_percent * 100,
                capacity_tokens: self.product_retry_burst,
                reserve_per_second: self.product_retry_reserve,
            },
            hedge: self.hedge(),
            classify: classify::meaning,
            weighs: true,
            judged_from: slow.min(attempt).min(Duration::from_millis(self.product_timeout_ms)),
        }
    }

    /// Around each batch of the verifier: a budget and a bulkhead of its own, so that it starves nobody who waits.
    pub(super) fn verify(&self) -> CallSettings {
        let live = self.live();
        CallSettings {
            deadline: DeadlineSettings { reserve: Duration::ZERO, ..live.deadline },
            bulkhead: VERIFY_CALLS,
            retry: RetrySettings { max_attempts: VERIFY_ATTEMPTS, ..live.retry },
            budget: VERIFY_BUDGET,
            hedge: None,
            // A batch takes longer than one question, on any endpoint.
            weighs: false,
            ..live
        }
    }

    /// How the questions of callers who wait go together; `None`: they don't.
    pub(super) fn batch(&self) -> Option<BatchSettings> {
        let max_calls = self.product_batch_max as usize;
        (max_calls > 1).then_some(BatchSettings { max_calls, patience: BATCH_PATIENCE })
    }

    pub(super) fn breaker(&self) -> BreakerSettings {
        BreakerSettings {
            window: WindowSettings::Seconds(self.product_breaker_window_seconds),
            minimum_calls: self.product_breaker_min_calls,
            failure_rate_percent: self.product_breaker_failure_percent,
            slow_rate_percent: self.product_breaker_slow_percent.min(NEVER_PERCENT),
            slow: Some(Duration::from_millis(self.product_slow_ms)),
            half_open_calls: self.product_breaker_probes,
            open: Duration::from_millis(self.product_breaker_open_ms),
            open_multiplier: OPEN_MULTIPLIER,
            max_open: Duration::from_millis(self.product_breaker_max_open_ms),
            open_jitter: OPEN_JITTER,
        }
    }

    /// How connections to an https:// Product are secured.
    pub(super) fn tls(&self) -> Result<ClientTls, TlsError> {
        let [authorities, certificate, key] = self.pem_files();
        ClientTls::new(authorities, certificate, key)
    }

    /// The first file that is named for nothing, since connections are not secured.
    pub(super) fn pointless_file(&self) -> Option<PemFile> {
        self.pem_files().into_iter().flatten().next()
    }

    fn pem_files(&self) -> [Option<PemFile>; 3] {
        let file = |flag, path: &Option<PathBuf>| path.clone().map(|path| PemFile::new(flag, path));
        [
            file("product-ca-file", &self.product_ca_file),
            file("product-cert-file", &self.product_cert_file),
            file("product-key-file", &self.product_key_file),
        ]
    }

    pub(super) fn limit(&self) -> Option<LimitSettings> {
        self.product_adaptive_limit.then_some(LIMIT)
    }

    pub(super) fn resolve(&self) -> ResolveSettings {
        ResolveSettings {
            every: Duration::from_secs(self.product_resolve_seconds),
            jitter: RESOLVE_JITTER,
            at_least: RESOLVE_AT_LEAST,
            timeout: RESOLVE_TIMEOUT,
        }
    }

    fn hedge(&self) -> Option<HedgeSettings> {
        (self.product_hedge_percent > 0).then(|| HedgeSettings {
            quantile: f64::from(self.product_hedge_percent) / 100.0,
            min_wait: Duration::from_millis(1),
        })
    }
}

impl Default for ProductSettings {
    /// What the flags are when none is given.
    fn default() -> Self {
        let command =
            Self::augment_args(Command::new("defaults")).mut_args(|argument| argument.env(None::<&str>));
        let matches = command.get_matches_from(["defaults"]);
        Self::from_arg_matches(&matches).expect("every flag has a default that it accepts")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_leave_time_for_three_attempts_and_find_a_product_that_is_back_within_a_second() {
        let settings = ProductSettings::default();
        let live = settings.live();
        assert!(live.deadline.attempt * live.retry.max_attempts <= live.deadline.cap);
        assert!(live.judged_from < live.deadline.attempt);
        for (timeout, attempt, slow) in [(150, 300, 200), (1_000, 5_000, 2_000), (50, 10, 1_000)] {
            let extreme = ProductSettings {
                product_timeout_ms: timeout,
                product_attempt_timeout_ms: attempt,
                product_slow_ms: slow,
                ..ProductSettings::default()
            };
            let least = Duration::from_millis(timeout.min(attempt).min(slow));
            assert_eq!(extreme.live().judged_from, least, "a Product that hangs is noticed");
        }
        assert!(settings.breaker().max_open <= Duration::from_secs(1));
        assert_eq!((live.hedge, settings.limit()), (None, None));
    }
}
