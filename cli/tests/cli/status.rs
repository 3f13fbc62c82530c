//! What `candeliver status` tells of a running system.

use std::net::TcpListener;

use serde_json::Value;

use crate::system::{AMSTERDAM, Done, Folder, PAPERBACK, System};

/// The lines of `status --json`: Product's, then Delivery's.
fn told(done: &Done) -> [Value; 2] {
    let lines: Vec<Value> = done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.try_into().unwrap()
}

#[test]
fn status_tells_how_busy_both_are_and_how_product_looks_to_delivery() {
    let folder = Folder::new();
    let system = System::start(&folder);
    assert_eq!(system.run(&["deliver", PAPERBACK, AMSTERDAM]).exit, 0);
    let status = system.run(&["status"]);
    assert_eq!(status.exit, 0, "{status:?}");
    let product = system.url("Product").trim_start_matches("http://");
    let endpoint = status.stdout.lines().find(|line| line.starts_with(product)).unwrap();
    assert!(endpoint.contains(" CLOSED "), "{status:?}");
    for words in [" of 2,048 in flight, 0 refused; ", "\nENDPOINT ", "\nlive ", "\nverify "] {
        assert!(status.stdout.contains(words), "{words} in {status:?}");
    }

    let status = system.run(&["status", "--json"]);
    let [product_line, delivery_line] = told(&status);
    assert_eq!(product_line["metrics"]["calls_in_flight_limit"], 2_048, "{status:?}");
    assert_eq!(delivery_line["metrics"]["calls_refused"], 0, "{status:?}");
    let client = &delivery_line["product_client"];
    assert_eq!(client["endpoints"][0]["address"], product, "{status:?}");
    assert_eq!(client["endpoints"][0]["breaker"], "CLOSED", "{status:?}");
    assert!(client["endpoints"][0]["attempts"]["ok"].as_u64() > Some(0), "{status:?}");
    let kinds: Vec<_> = client["calls"].as_array().unwrap().iter().map(|kind| &kind["calls"]).collect();
    assert_eq!(kinds, ["live", "verify"]);
}

#[test]
fn metrics_that_can_not_be_read_are_told_in_a_line_with_the_flag_and_change_no_exit_code() {
    let folder = Folder::new();
    let system = System::start(&folder);
    // A port that was free a moment ago and that nobody listens on.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = format!("http://{nobody}");
    let status =
        system.run(&["status", "--delivery-admin", &nobody, "--product-admin", system.url("Product")]);
    assert_eq!(status.exit, 0, "{status:?}");
    let lines: Vec<_> = status.stdout.lines().filter(|line| line.starts_with("metrics ")).collect();
    assert_eq!(lines.len(), 2, "{status:?}");
    assert!(lines[0].contains("426") && lines[0].contains("with --product-admin"), "{status:?}");
    assert!(lines[1].contains(&nobody) && lines[1].contains("with --delivery-admin"), "{status:?}");

    let status = system.run(&["status", "--delivery-admin", &nobody, "--json"]);
    let [_, delivery] = told(&status);
    assert!(delivery["metrics"]["problem"].is_string() && delivery["product_client"].is_null(), "{status:?}");
}
