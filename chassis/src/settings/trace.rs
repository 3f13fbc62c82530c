//! The settings of tracing.

use clap::Args;

/// How many of the calls that begin here are sampled, unless set: one in a hundred.
const DEFAULT_SAMPLE_RATIO: f64 = 0.01;

/// Where spans go, and of which calls.
#[derive(Args, Clone, Debug)]
pub struct TraceSettings {
    /// Where spans are sent, as OTLP over gRPC, such as http://collector:4317; nowhere unless given. A call's place in a trace
    /// (the traceparent header) is passed on and logged in any case.
    #[arg(long, env = "CANDELIVER_OTLP_ENDPOINT", value_name = "URL", value_parser = endpoint)]
    pub otlp_endpoint: Option<String>,

    /// Of the calls that come without a traceparent, the share that is sampled, from 0 to 1. What comes with one is sampled if
    /// that says so. Log lines carry a trace_id for calls that are sampled or came with a traceparent.
    #[arg(long, env = "CANDELIVER_TRACE_SAMPLE_RATIO", value_name = "RATIO", default_value_t = DEFAULT_SAMPLE_RATIO,
          value_parser = ratio)]
    pub trace_sample_ratio: f64,
}

impl Default for TraceSettings {
    fn default() -> Self {
        Self { otlp_endpoint: None, trace_sample_ratio: DEFAULT_SAMPLE_RATIO }
    }
}

fn endpoint(text: &str) -> Result<String, String> {
    let uri: Result<http::Uri, _> = text.parse();
    match uri {
        Ok(uri) if uri.scheme_str() == Some("http") && uri.authority().is_some() => Ok(text.to_owned()),
        _ => Err("wanted the URL of a collector's gRPC port, such as http://collector:4317".to_owned()),
    }
}

fn ratio(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err("wanted a number from 0 to 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_plain_url_and_a_ratio_lies_between_nothing_and_all() {
        assert!(endpoint("http://127.0.0.1:4317").is_ok());
        for bad in ["collector:4317", "https://collector:4317", "/v1/traces", ""] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
        assert_eq!((ratio("0"), ratio("0.5"), ratio("1")), (Ok(0.0), Ok(0.5), Ok(1.0)));
        for bad in ["1.01", "-0.1", "NaN", "1%", ""] {
            assert!(ratio(bad).is_err(), "{bad}");
        }
    }
}
