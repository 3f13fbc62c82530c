//! The way of spans to a collector: OTLP over gRPC, in batches, from a thread of its own. What does not fit is dropped:
//! telling must never hold up what is told of.

use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider,
};
use tokio::runtime::Handle;

use crate::settings::TraceSettings;

/// Spans that wait to be sent: some seconds of a busy process at one in a hundred, about 1 kB each.
const MAX_QUEUED: usize = 4_096;
/// Spans of one message.
const MAX_BATCH: usize = 512;
const SEND_EVERY: Duration = Duration::from_secs(2);
/// How long a collector may take for one message.
const SEND_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the end of a process waits for the last spans.
const END_TIMEOUT: Duration = Duration::from_millis(500);
/// Links of one span: the callers of a batch that are sampled.
pub(super) const MAX_LINKS: u32 = 32;

static TRACING: OnceLock<Tracing> = OnceLock::new();

/// Where spans go, and which calls get some.
pub(super) struct Tracing {
    pub(super) tracer: SdkTracer,
    /// Of what begins here, the share that is sampled.
    pub(super) ratio: f64,
}

/// Sends spans as long as it lives.
#[derive(Debug)]
#[must_use = "spans are sent as long as it lives"]
pub struct Exporting(Option<SdkTracerProvider>);

/// Starts sending spans if the settings say where to; the first call in a process counts. `service` is the name of the
/// program, `runtime` where its connections live.
///
/// # Errors
/// The endpoint is none.
pub fn start(
    settings: &TraceSettings,
    service: &'static str,
    runtime: &Handle,
) -> Result<Exporting, opentelemetry_otlp::ExporterBuildError> {
    let Some(endpoint) = &settings.otlp_endpoint else { return Ok(Exporting(None)) };
    // The exporter's channel belongs to the runtime that it is made on.
    let _on_the_runtime = runtime.enter();
    let exporter =
        SpanExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(SEND_TIMEOUT).build()?;
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(MAX_QUEUED)
        .with_max_export_batch_size(MAX_BATCH)
        .with_scheduled_delay(SEND_EVERY)
        .build();
    let resource = Resource::builder()
        .with_service_name(service)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(config).build())
        // What is sampled is decided before a span is made.
        .with_sampler(Sampler::AlwaysOn)
        .with_max_links_per_span(MAX_LINKS)
        .with_resource(resource)
        .build();
    let tracer = provider.tracer("candeliver");
    tracing::info!(%endpoint, ratio = settings.trace_sample_ratio, "sending spans");
    let _ = TRACING.set(Tracing { tracer, ratio: settings.trace_sample_ratio });
    Ok(Exporting(Some(provider)))
}

/// None where no spans are sent.
pub(super) fn tracing() -> Option<&'static Tracing> {
    TRACING.get()
}

// === impl Exporting ===

impl Exporting {
    /// Sends what is left; to be called while the runtime still runs.
    pub fn end(self) {
        if let Some(provider) = self.0
            && let Err(error) = provider.shutdown_with_timeout(END_TIMEOUT)
        {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }
}
