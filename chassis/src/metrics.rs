//! Figures that a process tells of itself: the registry that its host fills, and what filling it takes.

use std::fmt;

use prometheus_client::encoding::{EncodeCounterValue, EncodeGaugeValue, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

pub use prometheus_client::collector::Collector;
pub use prometheus_client::encoding::DescriptorEncoder;
pub use prometheus_client::registry::Registry;

/// What every name on the page begins with, so that it can be told from those of other programs.
const PREFIX: &str = "candeliver";

/// An empty registry, which puts `candeliver_` before every name.
#[must_use]
pub fn registry() -> Registry {
    Registry::with_prefix(PREFIX)
}

/// The page as scrapers read it: OpenMetrics text.
///
/// # Errors
/// A collector can't write its figures.
pub fn page(registry: &Registry) -> Result<String, fmt::Error> {
    let mut page = String::new();
    text::encode(&mut page, registry)?;
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
