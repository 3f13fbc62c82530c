//! Figures that a process tells of itself: the registry that its host fills, and what filling it takes.

mod build;
mod classic;
mod process;
mod sharded;

use std::fmt;

use prometheus_client::encoding::{EncodeCounterValue, EncodeGaugeValue, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

pub use build::Build;
pub(crate) use classic::classic;
pub use prometheus_client::collector::Collector;
pub use prometheus_client::encoding::DescriptorEncoder;
pub use prometheus_client::registry::Registry;
pub use sharded::{Shard, Sharded};

/// What every name on the page begins with, so that it can be told from those of other programs.
const PREFIX: &str = "candeliver";

/// An empty registry, which puts `candeliver_` before every name.
#[must_use]
pub fn registry() -> Registry {
    Registry::with_prefix(PREFIX)
}

/// The page as scrapers read it: OpenMetrics text. What every process can tell of itself comes last, under the names that
/// all programs have in common.
///
/// # Errors
/// A collector can't write its figures.
pub fn page(registry: &Registry) -> Result<String, fmt::Error> {
    let mut page = String::new();
    text::encode_registry(&mut page, registry)?;
    text::encode_registry(&mut page, &process::registry())?;
    text::encode_eof(&mut page)?;
    Ok(page)
}

/// Writes a figure that goes up and down, as it is now.
///
/// # Errors
/// The page can't be written.
pub fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: impl EncodeGaugeValue,
) -> fmt::Result {
    ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

/// Writes a count that only grows; `_total` is put after its name.
///
/// # Errors
/// The page can't be written.
pub fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: impl EncodeCounterValue,
) -> fmt::Result {
    ConstCounter::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)
}

/// Writes one figure that goes up and down for each set of labels.
///
/// # Errors
/// The page can't be written.
pub fn gauges<const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = ([(&'static str, &'static str); N], u64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    samples
        .into_iter()
        .try_for_each(|(labels, value)| ConstGauge::new(value).encode(family.encode_family(&labels)?))
}

/// Writes one count for each set of labels; `_total` is put after the name.
///
/// # Errors
/// The page can't be written.
pub fn counters<const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = ([(&'static str, &'static str); N], u64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    samples
        .into_iter()
        .try_for_each(|(labels, value)| ConstCounter::new(value).encode(family.encode_family(&labels)?))
}
