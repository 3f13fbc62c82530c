//! An operator, or a pooler, ends all connections to PostgreSQL again and again: each create is made again on another one, and
//! none fails.

use std::time::{Duration, Instant};

use crate::support::cluster::Cluster;
use crate::support::eventually;
use crate::support::trial::{Says, Trial};

/// How often, and how much is created in between at least.
const TIMES: usize = 10;
const BETWEEN: Duration = Duration::from_millis(300);

const END_ALL: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'service'";

#[tokio::test]
async fn connections_that_are_ended_fail_no_create() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let trial = Trial::on(&cluster).await.where_it_says(&[Says::Away]);

    let endings = async {
        for _ in 0..TIMES {
            cluster.run_sql(&[END_ALL]).await;
            let ended = Instant::now();
            let pass = async || if ended.elapsed() < BETWEEN { Err("time passes") } else { Ok(()) };
            eventually("some more are created", pass).await;
        }
        // A change of the catalogue is not made again by itself.
        trial.until_all_is_written().await;
    };
    let ((), failed) = trial.during(endings).await;
    assert_eq!(failed, 0);
    trial.has_lost_nothing().await;
}
