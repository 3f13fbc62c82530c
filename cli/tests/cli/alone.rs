//! What the program says when there is nobody to speak to, or nothing to say.

use std::net::TcpListener;

use crate::system::{AMSTERDAM, Folder, PAPERBACK, run};

#[test]
fn a_bad_argument_is_named_and_ends_with_2() {
    let done = run(&["check", "paperback", AMSTERDAM]);
    assert_eq!(done.exit, 2);
    assert!(done.stderr.contains("'paperback' for '<PRODUCT>'"), "{done:?}");
    let done = run(&["check", PAPERBACK, AMSTERDAM, "--timeout-seconds", "0"]);
    assert_eq!(done.exit, 2);
    assert!(done.stderr.contains("CANDELIVER_TIMEOUT_SECONDS"), "{done:?}");
}

#[test]
fn nobody_at_the_address_ends_with_5_and_says_what_to_do() {
    // A port that was free a moment ago and that nobody listens on.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    for arguments in [
        &["check", PAPERBACK, AMSTERDAM, "--product", &url][..],
        &["deliver", PAPERBACK, AMSTERDAM, "--delivery", &url],
        &["deliveries", "--delivery", &url],
        &["rule", PAPERBACK, "--product", &url],
        &["export", "--product", &url],
        &["watch", "--product", &url],
    ] {
        let done = run(arguments);
        assert_eq!(done.exit, 5, "{done:?}");
        assert!(done.stderr.contains(&url) && done.stderr.contains("`candeliver up` starts it"), "{done:?}");
    }
    let nobody = ["--product", &url, "--delivery", &url, "--product-admin", &url, "--delivery-admin", &url];
    let done = run(&[&["status", "--json"], &nobody[..]].concat());
    assert_eq!((done.exit, done.stdout.lines().count()), (5, 2), "{done:?}");
}

#[test]
fn someone_who_listens_and_never_speaks_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let done = run(&["check", PAPERBACK, AMSTERDAM, "--product", &url, "--timeout-seconds", "0.1"]);
    assert_eq!(done.exit, 5);
    assert!(done.stderr.contains("did not answer within 100ms"), "{done:?}");
}

#[test]
fn a_file_that_can_not_be_read_is_named_and_ends_with_2() {
    let folder = Folder::new();
    let missing = folder.path("missing.jsonl");
    let done = run(&["import", &missing]);
    assert_eq!(done.exit, 2);
    assert!(done.stderr.contains(&missing), "{done:?}");
}

#[test]
fn up_refuses_an_address_that_is_taken_and_names_the_flag() {
    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let done = run(&["up", "--data", &folder.path("data"), "--product-listen", &address]);
    assert_eq!(done.exit, 2);
    assert!(done.stderr.contains(&address) && done.stderr.contains("--product-listen"), "{done:?}");
}

#[test]
fn up_refuses_a_folder_that_is_none() {
    let folder = Folder::new();
    let file = folder.write("file", "");
    let done = run(&["up", "--data", &file]);
    assert_eq!(done.exit, 2);
    assert!(done.stderr.contains(&file) && done.stderr.contains("--data"), "{done:?}");
}
