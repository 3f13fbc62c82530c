//! Words of other processes' commits, as PostgreSQL's NOTIFY brings them. A word may be lost: whoever waits for one looks for
//! himself as well.

use std::future::pending;

use futures_util::future::BoxFuture;
use sqlx::postgres::{PgListener, PgPool};

/// The name under which PostgreSQL tells other processes of a commit; releases that run side by side share it.
const CHANNEL: &str = "candeliver_catalogue";

type Opened = Result<PgListener, sqlx::Error>;
type Open = Box<dyn Fn() -> BoxFuture<'static, Opened> + Send + Sync>;

/// Hears the words. A wait may be given up at any time: the next one goes on where it was, also in the middle of connecting.
pub struct Words {
    /// `None`: the database has no such words.
    open: Option<Open>,
    line: Line,
    /// Whether it was told that nothing is heard.
    is_deaf: bool,
}

/// The connection on which words come.
enum Line {
    Closed,
    Opening(BoxFuture<'static, Opened>),
    Open(PgListener),
}

// === impl Words ===

impl Words {
    /// Those of this pool's database. Without one, as on SQLite, nothing is ever heard.
    pub(super) fn of(pool: Option<&PgPool>) -> Self {
        match pool.cloned() {
            Some(pool) => Self::over(move || Box::pin(listen(pool.clone()))),
            None => Self { open: None, line: Line::Closed, is_deaf: false },
        }
    }

    /// Those that come on what `open` opens.
    pub(crate) fn over(open: impl Fn() -> BoxFuture<'static, Opened> + Send + Sync + 'static) -> Self {
        Self { open: Some(Box::new(open)), line: Line::Closed, is_deaf: false }
    }

    /// Waits for a word, or until words can be heard, or can't any more: nobody hears those between, and what ended this
    /// connection may have ended others, which whoever looks finds out. What can't be opened is tried again by the next wait.
    pub async fn next(&mut self) {
        let Some(open) = &self.open else { return pending().await };
        loop {
            match &mut self.line {
                Line::Closed => self.line = Line::Opening(open()),
                Line::Opening(opening) => match opening.await {
                    Ok(listener) => {
                        self.line = Line::Open(listener);
                        return self.hears();
                    }
                    Err(error) => {
                        self.line = Line::Closed;
                        self.is_deaf_because(&error);
                        return pending().await;
                    }
                },
                Line::Open(listener) => match listener.try_recv().await {
                    Ok(Some(_)) => return,
                    Ok(None) | Err(_) => {
                        self.line = Line::Closed;
                        return;
                    }
                },
            }
        }
    }

    fn hears(&mut self) {
        if std::mem::take(&mut self.is_deaf) {
            tracing::info!("other processes' commits are heard of again");
        }
    }

    /// Told once, and not at each try.
    fn is_deaf_because(&mut self, error: &sqlx::Error) {
        if !std::mem::replace(&mut self.is_deaf, true) {
            tracing::warn!(%error, "other processes' commits are not heard of, only looked for");
        }
    }
}

async fn listen(pool: PgPool) -> Opened {
    let mut listener = PgListener::connect_with(&pool).await?;
    // A new line is opened by `next`, which can be given up in the middle of it.
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}
