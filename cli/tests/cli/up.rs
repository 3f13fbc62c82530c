//! What a newcomer does with `candeliver up`, and what becomes of it.

use crate::system::{AMSTERDAM, BERLIN, Folder, MILK, PAPERBACK, System, paste, run, signal, wait_until};

#[test]
fn the_commands_that_up_suggests_work_as_they_stand() {
    let folder = Folder::new();
    let mut system = System::start(&folder);
    let commands = system.suggested();
    assert_eq!(commands.len(), 3, "{}", system.welcome);
    let check = paste(commands[0]);
    assert!(check.exit == 1 && check.stdout.starts_with("NOT_DELIVERABLE: "), "{check:?}");
    assert!(check.stdout.contains("DENY of class perishable"), "{check:?}");
    let deliver = paste(commands[1]);
    assert!(deliver.exit == 0 && deliver.stdout.starts_with("CONFIRMED: "), "{deliver:?}");
    let deliveries = paste(commands[2]);
    assert!(deliveries.exit == 0 && deliveries.stdout.contains("order-1"), "{deliveries:?}");

    assert_eq!(system.run(&["status"]).exit, 0);
    system.signal("TERM");
    let (status, errors) = system.end();
    assert!(status.success() && errors.is_empty(), "{status} {errors}");
    assert_eq!(system.run(&["status"]).exit, 5);
}

#[test]
fn what_up_stored_is_there_when_it_comes_up_again() {
    let folder = Folder::new();
    let mut system = System::start(&folder);
    assert!(system.welcome.contains("1,586 rows loaded just now"), "{}", system.welcome);
    assert_eq!(system.run(&["deliver", PAPERBACK, AMSTERDAM, "--reference", "kept"]).exit, 0);
    system.signal("INT");
    assert!(system.end().0.success());

    let system = System::start(&folder);
    assert!(system.welcome.contains("as it was"), "{}", system.welcome);
    assert!(system.run(&["deliveries", "--reference", "kept"]).stdout.contains("CONFIRMED"));
}

#[test]
fn a_catalogue_that_was_exported_imports_unchanged() {
    let folder = Folder::new();
    let system = System::start(&folder);
    for more in [&[][..], &["--include-retired"]] {
        let file = folder.path("catalogue.jsonl");
        let exported = system.run(&[&["export", &file], more].concat());
        assert_eq!(exported.exit, 0, "{exported:?}");
        let rows = std::fs::read_to_string(&file).unwrap().lines().count();
        let imported = system.run(&["import", &file, "--json"]);
        assert_eq!(imported.exit, 0, "{imported:?}");
        assert!(imported.stdout.contains(&format!(r#""rows":{rows},"unchanged":{rows}}}"#)), "{imported:?}");
    }
    let other = Folder::new();
    let empty = System::start(&other);
    let imported = empty.run(&["import", &folder.path("catalogue.jsonl"), "--validate-only"]);
    assert_eq!(imported.exit, 0, "{imported:?}");
}

#[test]
fn bad_rows_are_named_by_their_lines_and_the_others_are_stored() {
    let folder = Folder::new();
    let system = System::start(&folder);
    let good = r#"{"product":{"product_id":"01a204aa-0603-75f9-a0c4-11cc6ba22390","name":"Good"}}"#;
    let file = folder
        .write("rows.jsonl", &format!("\nnonsense\n{{\"product\":{{\"product_id\":\"x\"}}}}\n{good}\n"));
    let done = system.run(&["import", &file]);
    assert_eq!(done.exit, 3);
    assert!(done.stderr.contains("rows.jsonl:2: is no catalogue row: "), "{done:?}");
    assert!(done.stderr.contains("rows.jsonl:3: x: product_id must be a UUID"), "{done:?}");
    assert!(done.stdout.contains("3 rows: 1 created, 0 updated, 0 unchanged, 2 bad"), "{done:?}");
}

#[test]
fn silence_is_never_told_as_a_no() {
    let folder = Folder::new();
    let system = System::start(&folder);
    signal("STOP", system.process_of("Product"));
    let check = system.run(&["check", MILK, BERLIN, "--timeout-seconds", "0.2"]);
    assert!(check.exit == 5 && check.stderr.contains("did not answer within 200ms"), "{check:?}");
    let strict = system.run(&["deliver", PAPERBACK, AMSTERDAM, "--reference", "o'1"]);
    assert!(strict.exit == 5 && strict.stderr.contains("PRODUCT_UNAVAILABLE"), "{strict:?}");
    let deferred = system.run(&["deliver", PAPERBACK, AMSTERDAM, "--policy", "defer"]);
    assert!(deferred.exit == 0 && deferred.stdout.starts_with("PENDING: "), "{deferred:?}");

    signal("CONT", system.process_of("Product"));
    let again = strict.stderr.lines().last().unwrap().trim();
    let mut repeated = paste(again);
    wait_until("Product's answer", || {
        repeated = paste(again);
        repeated.exit == 0
    });
    assert!(repeated.stdout.starts_with("CONFIRMED: ") && repeated.stdout.contains("o'1"), "{repeated:?}");
    wait_until("the check of the deferred delivery", || {
        system.run(&["deliveries", "--state", "confirmed"]).stdout.lines().nth(2).is_some()
    });
}

#[test]
fn a_delivery_that_may_have_been_stored_is_sent_again_under_its_id() {
    let folder = Folder::new();
    let system = System::start(&folder);
    signal("STOP", system.process_of("Delivery"));
    let lost = system.run(&["deliver", PAPERBACK, AMSTERDAM, "--timeout-seconds", "0.2"]);
    signal("CONT", system.process_of("Delivery"));
    assert!(lost.exit == 5 && lost.stderr.contains("is not known"), "{lost:?}");
    let again = lost.stderr.lines().last().unwrap().trim();
    assert_eq!((paste(again).exit, paste(again).exit), (0, 0));
    assert_eq!(system.run(&["deliveries", "--json"]).stdout.lines().count(), 1);
}

#[test]
fn the_services_end_with_up_however_it_ends() {
    let folder = Folder::new();
    let mut system = System::start(&folder);
    system.signal("KILL");
    assert!(!system.end().0.success());
    wait_until("the end of both services", || {
        let status = system.run(&["status", "--json"]);
        status.stdout.lines().all(|line| line.contains(r#""reachable":false"#))
    });
}

#[test]
fn up_ends_with_1_and_the_last_words_of_a_service_that_ended_by_itself() {
    let folder = Folder::new();
    let mut system = System::start(&folder);
    signal("KILL", system.process_of("Delivery"));
    let (status, errors) = system.end();
    assert_eq!(status.code(), Some(1));
    assert!(errors.contains("Delivery ended by itself") && errors.contains("delivery.log"), "{errors}");
}

#[test]
fn a_second_up_on_the_same_folder_is_refused_and_told_of_the_first() {
    let folder = Folder::new();
    let system = System::start(&folder);
    let second = run(&["up", "--data", &folder.path("data"), "--product-listen", "127.0.0.1:0"]);
    assert_eq!(second.exit, 2);
    assert!(second.stderr.contains("is in use by another `candeliver up`, process "), "{second:?}");
    assert_eq!(system.run(&["status"]).exit, 0);
}

#[test]
fn a_watch_goes_on_when_product_is_back() {
    let folder = Folder::new();
    let mut system = System::start(&folder);
    let watch = system.start_command(&["watch", "--from-start"]);
    assert!(watch.line_with(PAPERBACK).contains("Paperback novel"));
    watch.line_with("checkpoint");

    let addresses =
        ["Product", "Delivery"].map(|service| system.url(service).trim_start_matches("http://").to_owned());
    system.signal("TERM");
    assert!(system.end().0.success());
    let system = System::start_at(&folder, &addresses[0], &addresses[1]);
    let row = r#"{"product":{"product_id":"01a204aa-0603-75f9-a0c4-11cc6ba22390","name":"Later"}}"#;
    assert_eq!(system.run(&["import", &folder.write("row.jsonl", row)]).exit, 0);
    assert!(watch.line_with("01a204aa-0603-75f9-a0c4-11cc6ba22390").contains("Later"));
    assert_eq!(watch.interrupt(), 0);
}
