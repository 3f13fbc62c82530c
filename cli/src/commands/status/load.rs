//! How busy a service is, as its metrics page tells.

use serde_json::{Value, json};

use crate::openmetrics::Page;
use crate::words::grouped;

/// Its calls and connections.
#[derive(Debug, PartialEq, Eq)]
pub struct Load {
    calls_in_flight: u64,
    calls_in_flight_limit: u64,
    calls_refused: u64,
    connections: u64,
}

// === impl Load ===

impl Load {
    /// None: the page is not one of this system's services.
    pub fn read(page: &Page) -> Option<Self> {
        let value = |name: &str| Some(page.value(&format!("candeliver_server_{name}"), &[])? as u64);
        Some(Self {
            calls_in_flight: value("calls_in_flight")?,
            calls_in_flight_limit: value("calls_in_flight_limit")?,
            calls_refused: value("calls_refused_total")?,
            connections: value("connections")?,
        })
    }

    pub fn text(&self) -> String {
        let [in_flight, limit, refused, connections] =
            [self.calls_in_flight, self.calls_in_flight_limit, self.calls_refused, self.connections]
                .map(grouped);
        format!("{in_flight} of {limit} in flight, {refused} refused; connections: {connections}")
    }

    pub fn json(&self) -> Value {
        json!({
            "calls_in_flight": self.calls_in_flight,
            "calls_in_flight_limit": self.calls_in_flight_limit,
            "calls_refused": self.calls_refused,
            "connections": self.connections,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_tells_its_load_and_other_programs_do_not() {
        let page = Page::parse(
            "candeliver_server_calls_in_flight 3\ncandeliver_server_calls_in_flight_limit 2048\n\
             candeliver_server_calls_refused_total 1234\ncandeliver_server_connections 7\n# EOF\n",
        )
        .unwrap();
        let load = Load::read(&page).unwrap();
        assert_eq!(load.text(), "3 of 2,048 in flight, 1,234 refused; connections: 7");
        assert_eq!(load.json()["calls_refused"], 1_234);
        assert_eq!(Load::read(&Page::parse("go_goroutines 9\n# EOF\n").unwrap()), None);
    }
}
