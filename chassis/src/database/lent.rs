//! One of PostgreSQL's connections out of its pool, and the way back: whatever happens to the server meanwhile, the place that
//! it has in the pool is free again within moments.
//!
//! sqlx asks a connection for an answer before it takes it back, for as long as that takes. After a server whose machine is
//! lost that is until the kernel gives up, a quarter of an hour later, and for ever where the kernel has nothing to send again.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPool;
use sqlx::{PgConnection, Postgres};
use tokio::time::timeout;

use super::StoreError;
use super::trust::Trust;

/// How long a connection that nobody works with may take to answer next to nothing. Half of what a unit of work waits for one,
/// so that another can be dialled in its place.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest that a unit of work may take, or one attempt of a writer that keeps its connection: as long as it may wait for a
/// connection, and PostgreSQL work on a statement. A connection that is silent for longer is lost.
pub const UNIT_TIMEOUT: Duration = Duration::from_secs(12);

const ROLLBACK: &str = "ROLLBACK";
const UNTIL_DROPPED: &str = "a connection goes back when it is dropped";

tokio::task_local! {
    /// Whether the time of the unit of work is over that this task is: what it leaves behind is in the middle of something.
    static IS_OVERDUE: Cell<bool>;
}

/// A connection that goes back when it is dropped.
#[derive(Debug)]
pub struct Lent {
    /// Always there until it goes back.
    connection: Option<PoolConnection<Postgres>>,
    trust: Trust,
    /// Whether it is in a transaction that nobody has ended.
    is_open: bool,
    is_spoilt: bool,
}

/// A transaction that has a connection to itself; dropped without `commit` it is rolled back.
#[derive(Debug)]
pub struct Begun(Lent);

/// Does a unit of work, or what can be done of it in time: then its connections end with it.
pub(super) async fn in_time<T, E: From<StoreError>>(
    trust: &Trust,
    unit: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let unit = async {
        let mut unit = std::pin::pin!(unit);
        if let Ok(outcome) = timeout(UNIT_TIMEOUT, &mut unit).await {
            return outcome;
        }
        // It is dropped right after this.
        IS_OVERDUE.with(|overdue| overdue.set(true));
        let silent = StoreError::timed_out();
        trust.weigh(&silent);
        Err(silent.into())
    };
    IS_OVERDUE.scope(Cell::new(false), unit).await
}

// === impl Lent ===

impl Lent {
    /// The next one that is free, or a new one.
    pub(super) async fn from(pool: &PgPool, trust: &Trust) -> Result<Self, sqlx::Error> {
        let connection = Some(pool.acquire().await?);
        Ok(Self { connection, trust: trust.clone(), is_open: false, is_spoilt: false })
    }

    /// Ends it: whoever drops it has no use for it any more, and neither has anybody else.
    pub(super) fn discard(mut self) {
        self.is_spoilt = true;
    }
}

impl Deref for Lent {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.connection.as_ref().expect(UNTIL_DROPPED)
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect(UNTIL_DROPPED)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        if self.is_spoilt || IS_OVERDUE.try_with(Cell::get).unwrap_or(false) {
            connection.close_on_drop();
            return;
        }
        let (is_open, trust) = (self.is_open, self.trust.clone());
        tokio::spawn(async move {
            // Without an answer it ends here, and its place is free.
            if timeout(ANSWER_TIMEOUT, give_back(connection, is_open)).await.is_err() {
                trust.lose();
            }
        });
    }
}

/// Ends halfway only for a connection that is of no more use: it is closed then.
async fn give_back(mut connection: PoolConnection<Postgres>, is_open: bool) {
    connection.close_on_drop();
    if !is_open || sqlx::raw_sql(ROLLBACK).execute(&mut *connection).await.is_ok() {
        connection.return_to_pool().await;
    }
}

// === impl Begun ===

impl Begun {
    /// Undone when it is dropped, from here on: a BEGIN that did not come to its end may have been heard.
    pub(super) async fn on(mut lent: Lent, sql: &'static str) -> Result<Self, sqlx::Error> {
        lent.is_open = true;
        let mut begun = Self(lent);
        begun.say(sql).await?;
        Ok(begun)
    }

    /// Makes what was done last.
    pub(super) async fn commit(mut self) -> Result<(), sqlx::Error> {
        self.say("COMMIT").await?;
        self.0.is_open = false;
        Ok(())
    }

    /// Undoes what was done.
    pub(super) async fn rollback(mut self) -> Result<(), sqlx::Error> {
        self.say(ROLLBACK).await?;
        self.0.is_open = false;
        Ok(())
    }

    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.0
    }

    async fn say(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(sql).execute(self.connection()).await.map(drop)
    }
}
