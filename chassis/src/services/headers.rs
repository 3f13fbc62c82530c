//! What is asked of the headers of every call, found in one pass: each look-up by name hashes it, and there are a handful.

use http::{HeaderMap, HeaderValue, header};

use crate::deadline::GRPC_TIMEOUT;
use crate::trace::TRACEPARENT;

/// The first of each, if it is there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CallHeaders<'a> {
    pub(super) content_type: Option<&'a HeaderValue>,
    pub(super) grpc_timeout: Option<&'a HeaderValue>,
    pub(super) traceparent: Option<&'a HeaderValue>,
}

// === impl CallHeaders ===

impl<'a> CallHeaders<'a> {
    pub(super) fn find(headers: &'a HeaderMap) -> Self {
        let mut found = Self::default();
        for (name, value) in headers {
            let place = if *name == header::CONTENT_TYPE {
                &mut found.content_type
            } else {
                match name.as_str() {
                    GRPC_TIMEOUT => &mut found.grpc_timeout,
                    TRACEPARENT => &mut found.traceparent,
                    _ => continue,
                }
            };
            place.get_or_insert(value);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_header_the_first_counts() {
        let mut headers = HeaderMap::new();
        let said = [
            ("te", "trailers"),
            (GRPC_TIMEOUT, "1S"),
            ("content-type", "application/grpc"),
            (GRPC_TIMEOUT, "2S"),
        ];
        for (name, value) in said {
            headers.append(name, HeaderValue::from_static(value));
        }
        let found = CallHeaders::find(&headers);
        assert_eq!(found.content_type.map(HeaderValue::as_bytes), Some(&b"application/grpc"[..]));
        assert_eq!(found.grpc_timeout.map(HeaderValue::as_bytes), Some(&b"1S"[..]));
        assert_eq!(found.traceparent, None);
    }
}
