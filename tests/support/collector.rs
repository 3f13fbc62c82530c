//! An OpenTelemetry collector that keeps what it is sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1 as otlp;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tonic::codegen::Service as _;
use tonic::{Request, Response, Status};

use super::eventually;

/// Takes spans until it is dropped.
pub struct Collector {
    address: SocketAddr,
    kept: Kept,
    _serving: JoinSet<()>,
}

/// A span, and the program that sent it.
#[derive(Clone, Debug)]
pub struct Span {
    pub program: String,
    pub span: otlp::Span,
}

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Span>>>);

// === impl Collector ===

impl Collector {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let kept = Kept::default();
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, TraceServiceServer::new(kept.clone())));
        Self { address, kept, _serving: serving }
    }

    /// What services are told of it.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The first span of a program that has this name, belongs to this trace, and fits; waits for it.
    pub async fn span(
        &self,
        program: &str,
        name: &str,
        trace_id: &str,
        fits: impl Fn(&Span) -> bool,
    ) -> Span {
        eventually("spans are sent every two seconds", async || {
            let kept = self.kept.0.lock().expect("no panic holds it");
            let found = kept.iter().find(|sent| {
                sent.program == program && sent.span.name == name && sent.trace_id() == trace_id && fits(sent)
            });
            found.cloned().ok_or_else(|| kept.iter().map(Span::summary).collect::<Vec<_>>())
        })
        .await
    }
}

async fn serve(listener: TcpListener, service: TraceServiceServer<Kept>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let service = service.clone();
        connections.spawn(async move {
            let calling = service_fn(move |request| service.clone().call(request));
            let served =
                Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), calling).await;
            // A program that ends takes its connection with it.
            drop(served);
        });
    }
}

#[tonic::async_trait]
impl TraceService for Kept {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            let named = resource.resource.unwrap_or_default().attributes;
            let program = text(&named, "service.name").unwrap_or_default();
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            let mut kept = self.0.lock().expect("no panic holds it");
            kept.extend(spans.map(|span| Span { program: program.clone(), span }));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

// === impl Span ===

impl Span {
    pub fn trace_id(&self) -> String {
        hex(&self.span.trace_id)
    }

    pub fn span_id(&self) -> String {
        hex(&self.span.span_id)
    }

    pub fn parent_id(&self) -> String {
        hex(&self.span.parent_span_id)
    }

    pub fn attribute(&self, key: &str) -> Option<String> {
        text(&self.span.attributes, key)
    }

    fn summary(&self) -> String {
        format!("{} {} in {} under {}", self.program, self.span.name, self.trace_id(), self.parent_id())
    }
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        other => Some(format!("{other:?}")),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
