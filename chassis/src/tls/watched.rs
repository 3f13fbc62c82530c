//! What is made of files, made anew when they change. A thread looks at them now and then, so that reading them holds up
//! nobody who serves.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

use super::files::{Contents, Files, TlsError};

/// How often the files are looked at: often enough that whoever replaces them sees it happen, and three small files cost
/// microseconds. Contents are compared: a link that is swapped keeps no time of its own.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What was made of some files last.
#[derive(Debug)]
pub(super) struct Watched<T> {
    files: Files,
    make: fn(&Contents) -> Result<T, TlsError>,
    current: RwLock<Arc<T>>,
    seen: Mutex<Seen>,
    failures: AtomicU64,
}

/// How the files looked.
struct Seen {
    /// What the current is made of.
    used: Contents,
    /// What was wrong with them when they were looked at last.
    trouble: Option<Trouble>,
}

struct Trouble {
    text: String,
    told: bool,
}

// === impl Watched ===

impl<T: Send + Sync + 'static> Watched<T> {
    /// Makes it, and makes it anew for as long as it is held.
    pub(super) fn start(
        files: Files,
        make: fn(&Contents) -> Result<T, TlsError>,
    ) -> Result<Arc<Self>, TlsError> {
        let used = files.read()?;
        let current = RwLock::new(Arc::new(make(&used)?));
        let seen = Mutex::new(Seen { used, trouble: None });
        let watched = Arc::new(Self { files, make, current, seen, failures: AtomicU64::new(0) });
        let held = Arc::downgrade(&watched);
        std::thread::Builder::new().name("certificates".to_owned()).spawn(move || look_after(&held))?;
        Ok(watched)
    }

    pub(super) fn current(&self) -> Arc<T> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// How often the files had changed to something that can't be used.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Looks at the files. What can't be used is told when it is seen for the second time: a certificate and its key are
    /// two files, and who replaces them one after the other is between them now and then.
    pub(super) fn look(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let contents = match self.files.read() {
            Ok(contents) if contents == seen.used => {
                seen.trouble = None;
                return;
            }
            read => read,
        };
        let made = contents.and_then(|contents| Ok(((self.make)(&contents)?, contents)));
        match made {
            Ok((new, contents)) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
                *seen = Seen { used: contents, trouble: None };
                tracing::info!("certificates have changed: new connections get the new ones");
            }
            Err(error) => {
                if seen.is_to_be_told(error.to_string()) {
                    self.failures.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(%error, "certificates have changed and can't be used: the old ones stay");
                }
            }
        }
    }
}

fn look_after<T: Send + Sync + 'static>(held: &Weak<Watched<T>>) {
    loop {
        std::thread::park_timeout(LOOK_EVERY);
        let Some(watched) = held.upgrade() else { return };
        watched.look();
    }
}

// === impl Seen ===

impl Seen {
    /// Notes trouble; whether it is time to tell of it, which is once.
    fn is_to_be_told(&mut self, text: String) -> bool {
        match &mut self.trouble {
            Some(trouble) if trouble.text == text => !std::mem::replace(&mut trouble.told, true),
            _ => {
                self.trouble = Some(Trouble { text, told: false });
                false
            }
        }
    }
}

impl std::fmt::Debug for Seen {
    /// Tells nothing of what is in the files.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seen").finish_non_exhaustive()
    }
}
