//! With synchronous replication nothing is acknowledged that the standby has not confirmed. So when the primary dies and the
//! standby is promoted, every delivery that was acknowledged is there, and writes are back within ten seconds.
//!
//! The services know one address, as that of a Kubernetes Service: after the failover it leads to the new primary.

use std::time::Duration;

use crate::support::cluster::Cluster;
use crate::support::eventually;
use crate::support::faults::Faults;
use crate::support::trial::{self, Says, Trial};

const BACK_WITHIN: Duration = Duration::from_secs(10);
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
