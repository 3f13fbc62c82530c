//! Others take all of PostgreSQL's connections ("sorry, too many clients already", 53300): callers hear that it is away,
//! Product goes on answering, and when there is room again both go on without a restart.

use sqlx::{Connection, PgConnection};

use crate::support::cluster::Cluster;
use crate::support::eventually;
use crate::support::trial::Trial;

const END_SERVICES: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'service'";
const COUNT_SERVICES: &str = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'service'";

#[tokio::test]
async fn a_server_with_too_many_clients_is_away_until_it_has_room() {
    let Some(cluster) = Cluster::start(&["max_connections=24"]) else { return };
    let trial = Trial::on(&cluster).await;
    cluster.run_sql(&["CREATE ROLE other LOGIN"]).await;

    let crowd = async {
        let mut others = Vec::new();
        // A connection that a service is just opening is seen by nobody yet.
        eventually("nothing is read or written", async || {
            take_all(&cluster, &mut others).await;
            match tokio::join!(trial.reads(), trial.creates(), trial.writes()) {
                (Err(_), Err(_), Err(_)) => Ok(()),
                some => Err(some),
            }
        })
        .await;
        drop(others);
        trial.until_all_is_written().await;
    };
    let ((), failed) = trial.during(crowd).await;
    assert!(failed > 0, "there was no room");
    trial.has_lost_nothing().await;
}

/// Opens connections of others until the services have none and get none. The operator's own are kept for him.
async fn take_all(cluster: &Cluster, others: &mut Vec<PgConnection>) {
    let url = cluster.url("postgres").replace("app@", "other@");
    let mut operator = cluster.operator().await;
    eventually("the services have no connection", async || {
        while let Ok(another) = PgConnection::connect(&url).await {
            others.push(another);
        }
        let left: i64 = sqlx::query_scalar(COUNT_SERVICES).fetch_one(&mut operator).await.expect("a number");
        if left == 0 {
            return Ok(());
        }
        sqlx::query(END_SERVICES).execute(&mut operator).await.expect("the operator may");
        Err(left)
    })
    .await;
}
