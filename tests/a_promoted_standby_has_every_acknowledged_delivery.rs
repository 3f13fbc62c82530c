//! With synchronous replication nothing is acknowledged that the standby has not confirmed. So when the primary dies and the
//! standby is promoted, every delivery that was acknowledged is there, and writes are back within ten seconds. That holds for
//! those too whose commit was cut off as it waited for the standby, and that were found as stored when they were sent again.
//!
//! The services know one address, as that of a Kubernetes Service: after the failover it leads to the new primary.

use std::time::{Duration, Instant};

use crate::support::cluster::Cluster;
use crate::support::deliveries;
use crate::support::eventually;
use crate::support::faults::Faults;
use crate::support::trial::{self, Says, Trial};

const BACK_WITHIN: Duration = Duration::from_secs(10);
/// The wait for the standby ends with the connection, and what it waited for can be seen.
const END_ALL: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'service'";
/// How often that happens, and the time in between.
const TIMES: usize = 8;
const BETWEEN: Duration = Duration::from_millis(300);
const CONFIRMED: &str = "SELECT sync_state FROM pg_stat_replication";

#[tokio::test]
async fn a_promoted_standby_has_every_acknowledged_delivery() {
    let Some(primary) = Cluster::start(&[]) else { return };
    trial::make_databases(&primary).await;
    let standby = primary.standby(&[]);
    wait_for(&primary, &standby).await;
    let front = Faults::in_front_of(primary.address());
    let [product, delivery] = trial::urls_at(front.address);
    let trial = Trial::start(&product, &delivery, &[]).await.where_it_says(&[Says::Away, Says::TooLate]);

    let failover = async {
        // What the standby has not confirmed is not acknowledged, whatever the primary has on its disk.
        standby.freeze();
        trial.until_nothing_is_written().await;
        tokio::join!(end_all_waits(&primary), send_again_and_again(&trial));
        primary.stop_immediately();
        standby.thaw();
        standby.promote();
        front.point_at(standby.address());
        trial.until_all_is_written_within(BACK_WITHIN).await;
    };
    let ((), failed) = trial.during(failover).await;
    assert!(failed > 0, "nothing was acknowledged that was not confirmed");
    trial.has_lost_nothing().await;
}

/// Ends them soon enough that their callers still wait.
async fn end_all_waits(primary: &Cluster) {
    for _ in 0..TIMES {
        primary.run_sql(&[END_ALL]).await;
        let ended = Instant::now();
        let pass = async || if ended.elapsed() < BETWEEN { Err("time passes") } else { Ok(()) };
        eventually("the next commits wait", pass).await;
    }
}

/// One create, by whoever gives up and by whoever finds what was stored then.
async fn send_again_and_again(trial: &Trial) {
    let order = deliveries::order(&trial.shop.rock, &trial.shop.city);
    for _ in 0..TIMES {
        deliveries::create(&trial.delivery, &order).await.expect_err("one disk alone has it");
    }
}

/// From here on nothing is acknowledged on one disk alone.
async fn wait_for(primary: &Cluster, standby: &Cluster) {
    primary.run_sql(&["ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"]).await;
    let mut operator = primary.operator().await;
    eventually("the standby confirms", async || {
        let state: Option<String> =
            sqlx::query_scalar(CONFIRMED).fetch_optional(&mut operator).await.expect("a state");
        if state.as_deref() == Some("sync") { Ok(()) } else { Err(state) }
    })
    .await;
    drop(standby.operator().await);
}
