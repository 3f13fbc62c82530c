//! Others take all of PostgreSQL's connections ("sorry, too many clients already", 53300): callers hear that it is away,
//! Product goes on answering, and when there is room again both go on without a restart.

use sqlx::{Connection, PgConnection};

use crate::support::cluster::Cluster;
use crate::support::eventually;
use crate::support::trial::{Says, Trial};

const END_SERVICES: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'service'";
/// How often others try to come in where there is no place any more.
const ROUNDS: usize = 100;
const COUNT_SERVICES: &str = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'service'";

#[tokio::test]
async fn a_server_with_too_many_clients_is_away_until_it_has_room() {
    let Some(cluster) = Cluster::start(&["max_connections=24"]) else { return };
    let trial = Trial::on(&cluster).await.where_it_says(&[Says::Away, Says::TooLate]);
    cluster.run_sql(&["CREATE ROLE other LOGIN"]).await;

    let crowd = async {
        let others = take_all(&cluster).await;
        trial.until_nothing_is_written().await;
        trial.reads().await.expect_err("reading takes a connection too");
        drop(others);
        trial.until_all_is_written().await;
    };
    let ((), failed) = trial.during(crowd).await;
    assert!(failed > 0, "there was no room");
    trial.has_lost_nothing().await;
}

/// Connections of others, so many that the services have none and get none. The operator's own are kept for him.
async fn take_all(cluster: &Cluster) -> Vec<PgConnection> {
    let url = cluster.url("postgres").replace("app@", "other@");
    let (mut operator, mut others) = (cluster.operator().await, Vec::new());
    loop {
        // Else it is chance who comes first to a place that is free again.
        cluster.run_sql(&["ALTER ROLE service CONNECTION LIMIT 0", END_SERVICES]).await;
        eventually("the services have no connection", async || match services(&mut operator).await {
            0 => Ok(()),
            left => Err(left),
        })
        .await;
        fill(&url, &mut others).await;
        cluster.run_sql(&["ALTER ROLE service CONNECTION LIMIT -1"]).await;
        // While there was a limit a service's attempt took a place for a moment too, which is free now or theirs.
        fill(&url, &mut others).await;
        if services(&mut operator).await == 0 {
            // It has one of the places.
            others.push(operator);
            return others;
        }
    }
}

async fn fill(url: &str, others: &mut Vec<PgConnection>) {
    for _ in 0..ROUNDS {
        while let Ok(another) = PgConnection::connect(url).await {
            others.push(another);
        }
    }
}

/// How many connections the services have.
async fn services(operator: &mut PgConnection) -> i64 {
    sqlx::query_scalar(COUNT_SERVICES).fetch_one(operator).await.expect("a number")
}
