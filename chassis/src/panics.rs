//! Panics: a handler's ends its call and nothing else, and each is logged once.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};

thread_local! {
    /// Whether `catch` is below on this thread's stack: then the one that catches logs, since it knows the method.
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    /// What the hook saw of the panic that `catch` is about to get.
    static SEEN: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `work`; a panic in it becomes its text and place.
pub(crate) fn catch<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    CATCHING.set(true);
    // What a panic may leave half done belongs to the call, and is dropped with it.
    let result = catch_unwind(AssertUnwindSafe(work));
    CATCHING.set(false);
    result.map_err(|payload| SEEN.take().unwrap_or_else(|| text(payload.as_ref()).to_owned()))
}

/// Logs panics that nobody catches, as log lines; without this they are printed.
pub(crate) fn log_them() {
    std::panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        let place = panic.location().map_or_else(String::new, |place| format!(" at {place}"));
        let seen = format!("{}{place}", text(panic.payload()));
        if CATCHING.get() {
            SEEN.set(Some(seen));
        } else {
            let thread = std::thread::current();
            tracing::error!(panic = seen, thread = thread.name(), "panicked");
        }
    }));
}

fn text(payload: &(dyn Any + Send)) -> &str {
    let owned = payload.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic without a text")
}
