//! The one signal that ends serving: everything that must end watches it, nothing polls a flag.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// What a shell reports for a process that SIGINT ended.
const EXIT_CODE_INTERRUPTED: i32 = 130;

/// Says when to end; cheap to clone.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// Starts the end; dropping it starts the end too, since nobody else could any more.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

// === impl Trigger ===

impl Trigger {
    /// Starts the end. Doing it twice changes nothing.
    pub fn start(&self) {
        self.0.send_replace(true);
    }
}

impl Drop for Trigger {
    fn drop(&mut self) {
        self.start();
    }
}

// === impl Shutdown ===

impl Shutdown {
    /// A signal and what sets it off.
    #[must_use]
    pub fn new() -> (Trigger, Self) {
        let (sender, receiver) = watch::channel(false);
        (Trigger(sender), Self(receiver))
    }

    /// A signal that SIGTERM or SIGINT sets off, or, with `exit_with_stdin`, the end of standard input, which
    /// comes when a parent that holds the other end of the pipe is gone, however it died. A second SIGINT ends
    /// the process at once.
    ///
    /// # Errors
    /// The system refused a signal handler or a thread.
    pub fn on_signals(exit_with_stdin: bool) -> io::Result<Self> {
        let (trigger, shutdown) = Self::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let (terminate, interrupt) = {
            let _inside = runtime.enter();
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
        };
        let trigger = Arc::new(trigger);
        if exit_with_stdin {
            let trigger = Arc::clone(&trigger);
            thread("stdin", move || wait_for_the_end_of_stdin(&trigger))?;
        }
        thread("signals", move || runtime.block_on(watch_signals(terminate, interrupt, &trigger)))?;
        Ok(shutdown)
    }

    /// Waits until the end has started.
    pub async fn started(&self) {
        // An error means that the trigger is gone, which starts the end as well.
        let _ = self.0.clone().wait_for(|started| *started).await;
    }

    /// Does something, unless the end starts before it is done, or has started already.
    pub async fn or<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.started() => None,
            done = work => Some(done),
        }
    }

    /// Whether the end has started.
    #[must_use]
    pub fn is_started(&self) -> bool {
        *self.0.borrow()
    }
}

async fn watch_signals(mut terminate: Signal, mut interrupt: Signal, trigger: &Trigger) {
    let mut interrupts = 0;
    loop {
        let cause = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(cause, "told to end");
        trigger.start();
        interrupts += i32::from(cause == "SIGINT");
        if interrupts > 1 {
            tracing::warn!("interrupted twice: ending at once");
            std::process::exit(EXIT_CODE_INTERRUPTED);
        }
    }
}

fn wait_for_the_end_of_stdin(trigger: &Trigger) {
    // What is read is of no interest, and an error is an end too.
    let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
    tracing::info!(cause = "the end of standard input", "told to end");
    trigger.start();
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}
