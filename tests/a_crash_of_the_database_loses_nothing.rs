//! PostgreSQL ends as a crash ends it and starts again: callers hear that it is away, Product goes on answering, both go on
//! without a restart, and every delivery that was acknowledged is there.

use crate::support::cluster::Cluster;
use crate::support::trial::{Says, Trial};

#[tokio::test]
async fn a_crash_of_postgres_loses_nothing() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let trial = Trial::on(&cluster).await.where_it_says(&[Says::Away, Says::TooLate]);

    let outage = async {
        cluster.stop_immediately();
        trial.until_nothing_is_written().await;
        cluster.start_again();
        trial.until_all_is_written().await;
    };
    let ((), failed) = trial.during(outage).await;
    assert!(failed > 0, "it was away");
    trial.has_lost_nothing().await;
}
