//! PostgreSQL stands still (SIGSTOP): it takes connections and never answers. Nobody waits past the deadline, Product goes on
//! answering, and when PostgreSQL goes on so do both, without a restart.

use crate::support::cluster::Cluster;
use crate::support::eventually;
use crate::support::trial::{Says, Trial};

#[tokio::test]
async fn a_frozen_database_holds_nobody_past_the_deadline() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    let trial = Trial::on(&cluster).await.where_it_says(&[Says::Away, Says::TooLate]);

    let freeze = async {
        cluster.freeze();
        trial.until_nothing_is_written().await;
        let nothing = async || trial.reads().await.err().ok_or("it reads");
        eventually("nothing is read", nothing).await;
        cluster.thaw();
        trial.until_all_is_written().await;
        trial.reads().await.expect("it was acknowledged");
    };
    let ((), failed) = trial.during(freeze).await;
    assert!(failed > 0, "it stood still");
    trial.has_lost_nothing().await;
}
