//! Calls are begun in their connection's own task: most are answered at once, and need no task of their own.
//!
//! hyper hands each call to an executor, which is to spawn it. Here they are kept until hyper has taken in all that was read,
//! polled once each in the order in which they came, and those that have to wait for something are spawned then. What they
//! answer is written together when the connection's task runs next, as it is where each has a task. The pace of a
//! connection bounds how many come in one turn.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Waker};

use hyper::rt::Executor;

type Call = Pin<Box<dyn Future<Output = ()> + Send>>;

thread_local! {
    /// Those that came in the turn that this thread is in.
    static CAME: RefCell<Vec<Call>> = const { RefCell::new(Vec::new()) };
}

/// Keeps calls for `driven`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inline;

impl<C: Future<Output = ()> + Send + 'static> Executor<C> for Inline {
    fn execute(&self, call: C) {
        CAME.with_borrow_mut(|came| came.push(Box::pin(call)));
    }
}

/// Drives a connection whose executor is `Inline`, and its calls as far as they come without waiting.
pub(crate) async fn driven<C: Future>(mut connection: Pin<&mut C>) -> C::Output {
    poll_fn(|cx| {
        let polled = connection.as_mut().poll(cx);
        begin_calls();
        polled
    })
    .await
}

fn begin_calls() {
    // Who wakes this one wakes nobody; but a task that is spawned polls its call again, with its own.
    let mut cx = Context::from_waker(Waker::noop());
    let mut came = CAME.take();
    for mut call in came.drain(..) {
        if call.as_mut().poll(&mut cx).is_pending() {
            tokio::spawn(call);
        }
    }
    // Its memory is kept for those that come next. An upgrade would have come from within; nobody here grants one.
    CAME.set(came);
}
