//! What is told of one side's certificate on the metrics page.

use std::fmt;

use crate::metrics::{DescriptorEncoder, counter, gauge};

/// When the certificate ends, if there is one, and how often its files could not be used.
pub(crate) fn of_files(
    page: &mut DescriptorEncoder<'_>,
    not_after: Option<u64>,
    failed_reloads: u64,
) -> fmt::Result {
    if let Some(not_after) = not_after {
        let help = "When the certificate ends that new connections are shown, in seconds since 1970";
        // Exact as a float for millions of years.
        gauge(page, "tls_certificate_not_after_seconds", help, not_after as f64)?;
    }
    let help = "How often the files of certificates had changed to something that can't be used";
    counter(page, "tls_reloads_failed", help, failed_reloads)
}
