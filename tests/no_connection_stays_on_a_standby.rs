//! For a moment the database's address leads to a standby, as while a failover is under way: callers hear that the database is
//! away, and none reads there what may be old. When the address leads to the primary again all is well, although what was
//! connected to the standby still is.

use std::time::Duration;

use crate::support::cluster::Cluster;
use crate::support::faults::{Fault, Faults};
use crate::support::trial::{self, Says, Trial};

const BACK_WITHIN: Duration = Duration::from_secs(10);
/// More than a service has connections.
const WRITES: usize = 30;

#[tokio::test]
async fn no_connection_stays_on_a_standby() {
    let Some(primary) = Cluster::start(&[]) else { return };
    trial::make_databases(&primary).await;
    let standby = primary.standby(&[]);
    let front = Faults::in_front_of(primary.address());
    let [product, delivery] = trial::urls_at(front.address);
    let trial = Trial::start(&product, &delivery, &[]).await.where_it_says(&[Says::Away, Says::TooLate]);

    let detour = async {
        front.point_at(standby.address());
        front.begin(Fault::Reset);
        trial.until_nothing_is_written().await;
        front.heal();
        trial.until_nothing_is_written().await;
        trial.reads().await.expect_err("a standby may lack what was acknowledged");
        front.point_at(primary.address());
        trial.until_all_is_written_within(BACK_WITHIN).await;
    };
    let ((), failed) = trial.during(detour).await;
    assert!(failed > 0, "a standby takes no writes");
    for _ in 0..WRITES {
        trial.writes().await.expect("no connection leads to the standby");
    }
    trial.has_lost_nothing().await;
}
