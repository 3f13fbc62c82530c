//! PostgreSQL takes no writes for a while, as a managed one does whose disk is nearly full (25006): writers hear that it is
//! away, readers read, and when it takes writes again so do both services, without a restart.

use crate::support::cluster::Cluster;
use crate::support::trial::{Says, Trial};

#[tokio::test]
async fn a_read_only_database_is_away_to_writers_only() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let trial = Trial::on(&cluster).await.where_it_says(&[Says::Away]);

    let read_only = async {
        cluster
            .run_sql(&["ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"])
            .await;
        trial.until_nothing_is_written().await;
        trial.reads().await.expect("reading goes on");
        cluster
            .run_sql(&["ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"])
            .await;
        trial.until_all_is_written().await;
    };
    let ((), failed) = trial.during(read_only).await;
    assert!(failed > 0, "it took no writes");
    trial.has_lost_nothing().await;
}
