//! Product's lines of the error table, each made to happen: code, reason, and whatever more a program needs to go on.

use proto::product::v1 as wire;
use tonic::Code;
use wire::{Effect, LocationKind, State};

use crate::support::catalogue::{Shop, id, location, open_shop, product, rule};
use crate::support::databases::{Throwaway, on_both};
use crate::support::process::Service;
use crate::support::refusal::{Refusal, refused};
use crate::support::{clients, questions, services};

on_both!(every_line_of_the_error_table_for_product, every_line_about_revision_tokens);

async fn every_line_of_the_error_table_for_product(database: &impl AsyncFn() -> Throwaway) {
    let database = database().await;
    let service = services::product(&database).await;
    let shop = open_shop(&service).await;
    malformed_questions_name_every_bad_field(&service).await;
    malformed_objects_name_every_bad_field(&service).await;
    what_is_not_there_is_named(&service, &shop).await;
    what_has_ended_says_so(&service, &shop).await;
    what_is_other_says_so(&service, &shop).await;
    what_does_not_fit_names_the_field(&service, &shop).await;
    let unchanged = location(&shop.city, Some(&shop.land), "city");
    let read = wire::GetLocationRequest { location_id: shop.city.clone() };
    let city =
        clients::product(&service).get_location(read).await.expect("it is there").into_inner().location;
    let city = city.map(|city| (city.name, city.parent_id, city.version));
    assert_eq!(city, Some((unchanged.name, unchanged.parent_id, 1)), "a refused write changes nothing");
}

async fn malformed_questions_name_every_bad_field(service: &Service) {
    let mut client = clients::product(service);
    let malformed = |fields: &[&str]| Refusal::new(Code::InvalidArgument, "INVALID_FIELD").bad_fields(fields);

    let question = wire::CanDeliverRequest {
        product_id: "milk".to_owned(),
        location_id: String::new(),
        quantity: Some(0),
        at: Some(prost_types::Timestamp { seconds: 0, nanos: -1 }),
        min_revision: Some("yesterday".to_owned()),
        explain: false,
    };
    let all = malformed(&["product_id", "location_id", "quantity", "at", "min_revision"]);
    assert_eq!(refused(client.can_deliver(question).await), all);

    let good = wire::BatchItem { product_id: id(), location_id: id(), ..Default::default() };
    let bad =
        wire::BatchItem { correlation_id: "x".repeat(65), quantity: Some(1_000_001), ..Default::default() };
    let batch = wire::BatchCanDeliverRequest { items: vec![good, bad], min_revision: Some(String::new()) };
    let all = malformed(&[
        "items[1].correlation_id",
        "items[1].product_id",
        "items[1].location_id",
        "items[1].quantity",
        "min_revision",
    ]);
    assert_eq!(refused(client.batch_can_deliver(batch).await), all);

    let too_many =
        wire::BatchCanDeliverRequest { items: vec![Default::default(); 1_001], min_revision: None };
    assert_eq!(refused(client.batch_can_deliver(too_many).await), malformed(&["items"]));

    let page =
        wire::ListProductsRequest { page_size: 1_001, page_token: "x".to_owned(), include_retired: false };
    assert_eq!(refused(client.list_products(page).await), malformed(&["page_size", "page_token"]));

    let watch = wire::WatchChangesRequest { after_revision: Some("x".to_owned()) };
    assert_eq!(
        refused(client.watch_changes(watch).await.map(|_| tonic::Response::new(()))),
        malformed(&["after_revision"])
    );
}

async fn malformed_objects_name_every_bad_field(service: &Service) {
    let mut client = clients::catalogue(service);
    let malformed = |fields: &[&str]| Refusal::new(Code::InvalidArgument, "INVALID_FIELD").bad_fields(fields);

    let bad_product = wire::Product {
        product_id: "x".to_owned(),
        classes: vec!["Perishable".to_owned()],
        weight_g: Some(0),
        length_mm: Some(0),
        state: 9,
        ..Default::default()
    };
    let fields = ["product_id", "name", "classes", "weight_g", "length_mm", "width_mm", "height_mm", "state"];
    let fields = fields.map(|field| format!("product.{field}"));
    let create = wire::CreateProductRequest { product: Some(bad_product) };
    assert_eq!(
        refused(client.create_product(create).await),
        malformed(&fields.each_ref().map(String::as_str))
    );

    let bad_location = wire::Location {
        parent_id: Some("x".to_owned()),
        code: Some("n".to_owned()),
        zones: vec![String::new()],
        postal: Some(wire::PostalMatcher::default()),
        ..Default::default()
    };
    let fields =
        ["parent_id", "kind", "code", "name", "zones", "postal"].map(|field| format!("location.{field}"));
    let create = wire::CreateLocationRequest { location: Some(bad_location) };
    assert_eq!(
        refused(client.create_location(create).await),
        malformed(&fields.each_ref().map(String::as_str))
    );

    let bad_rule = wire::Rule { max_quantity: Some(0), note: "\0".to_owned(), ..Default::default() };
    let fields = ["effect", "product", "place", "max_quantity", "note"].map(|field| format!("rule.{field}"));
    let create = wire::CreateRuleRequest { rule: Some(bad_rule) };
    assert_eq!(refused(client.create_rule(create).await), malformed(&fields.each_ref().map(String::as_str)));

    let update_mask = Some(prost_types::FieldMask { paths: vec!["product_id".to_owned()] });
    let update = wire::UpdateProductRequest { product: Some(wire::Product::default()), update_mask };
    let fields = ["update_mask.paths[0]", "product.product_id", "product.version"];
    assert_eq!(refused(client.update_product(update).await), malformed(&fields));
}

async fn what_is_not_there_is_named(service: &Service, shop: &Shop) {
    let (mut asking, mut writing) = (clients::product(service), clients::catalogue(service));
    let nothing = id();
    let missing = |kind: &str| {
        Refusal::new(Code::NotFound, &format!("{}_NOT_FOUND", kind.to_uppercase())).resource(kind, &nothing)
    };
    let all = || Some(prost_types::FieldMask { paths: vec!["*".to_owned()] });

    let get = wire::GetProductRequest { product_id: nothing.clone() };
    assert_eq!(refused(asking.get_product(get).await), missing("product"));
    let retire = wire::RetireProductRequest { product_id: nothing.clone(), version: 0 };
    assert_eq!(refused(writing.retire_product(retire).await), missing("product"));
    let changed = wire::Product { version: 1, ..product(&nothing, "nothing", &[]) };
    let update = wire::UpdateProductRequest { product: Some(changed), update_mask: all() };
    assert_eq!(refused(writing.update_product(update).await), missing("product"));

    let get = wire::GetLocationRequest { location_id: nothing.clone() };
    assert_eq!(refused(asking.get_location(get).await), missing("location"));
    let retire = wire::RetireLocationRequest { location_id: nothing.clone(), version: 0 };
    assert_eq!(refused(writing.retire_location(retire).await), missing("location"));
    let changed = wire::Location { version: 1, ..location(&nothing, None, "nowhere") };
    let update = wire::UpdateLocationRequest { location: Some(changed), update_mask: all() };
    assert_eq!(refused(writing.update_location(update).await), missing("location"));
    let resolve = wire::ResolveLocationRequest { country: "XX".to_owned(), ..Default::default() };
    let no_country = Refusal::new(Code::NotFound, "LOCATION_NOT_FOUND").resource("location", "XX");
    assert_eq!(refused(asking.resolve_location(resolve).await), no_country);

    let get = |version| wire::GetRuleRequest { rule_id: nothing.clone(), version };
    assert_eq!(refused(writing.get_rule(get(0)).await), missing("rule"));
    assert_eq!(refused(writing.get_rule(get(7)).await), missing("rule"));
    let get = wire::GetRuleRequest { rule_id: shop.land_rule.clone(), version: 2 };
    let no_version = Refusal::new(Code::NotFound, "RULE_VERSION_NOT_FOUND").resource("rule", &shop.land_rule);
    assert_eq!(refused(writing.get_rule(get).await), no_version.metadata("version", "1"));
    let delete = wire::DeleteRuleRequest { rule_id: nothing.clone(), version: 0 };
    assert_eq!(refused(writing.delete_rule(delete).await), missing("rule"));
    let changed = wire::Rule { version: 1, ..rule(&nothing, Effect::Deny, None, &nothing) };
    let update = wire::UpdateRuleRequest { rule: Some(changed), update_mask: all() };
    assert_eq!(refused(writing.update_rule(update).await), missing("rule"));
}

async fn what_has_ended_says_so(service: &Service, shop: &Shop) {
    let mut client = clients::catalogue(service);
    let all = || Some(prost_types::FieldMask { paths: vec!["*".to_owned()] });
    let ended =
        |state: &str| Refusal::new(Code::FailedPrecondition, "INVALID_STATE").metadata("state", state);

    let gone = id();
    questions::create_product(service, &gone, "fad").await.expect("the id is free");
    let retire = wire::RetireProductRequest { product_id: gone.clone(), version: 1 };
    client.retire_product(retire).await.expect("it is in use");
    let back = wire::Product { version: 2, ..product(&gone, "fad", &[]) };
    let update = wire::UpdateProductRequest { product: Some(back), update_mask: all() };
    assert_eq!(refused(client.update_product(update).await), ended("RETIRED"));

    let gone = id();
    let shore = location(&gone, Some(&shop.land), "shore");
    let create = wire::CreateLocationRequest { location: Some(shore.clone()) };
    client.create_location(create).await.expect("the id is free");
    let retire = wire::RetireLocationRequest { location_id: gone, version: 1 };
    client.retire_location(retire).await.expect("it is in use");
    let update = wire::UpdateLocationRequest {
        location: Some(wire::Location { version: 2, ..shore }),
        update_mask: all(),
    };
    assert_eq!(refused(client.update_location(update).await), ended("RETIRED"));

    let gone = id();
    let deny = rule(&gone, Effect::Deny, None, &shop.island);
    client.create_rule(wire::CreateRuleRequest { rule: Some(deny.clone()) }).await.expect("the id is free");
    client.delete_rule(wire::DeleteRuleRequest { rule_id: gone, version: 1 }).await.expect("it is in force");
    let update =
        wire::UpdateRuleRequest { rule: Some(wire::Rule { version: 2, ..deny }), update_mask: all() };
    assert_eq!(refused(client.update_rule(update).await), ended("DELETED"));
}

async fn what_is_other_says_so(service: &Service, shop: &Shop) {
    let mut client = clients::catalogue(service);
    let exists = |kind: &str, id: &str| {
        Refusal::new(Code::AlreadyExists, &format!("{}_EXISTS", kind.to_uppercase())).resource(kind, id)
    };
    let create =
        wire::CreateProductRequest { product: Some(product(&shop.milk, "other milk", &["perishable"])) };
    assert_eq!(refused(client.create_product(create).await), exists("product", &shop.milk));
    let create = wire::CreateLocationRequest { location: Some(location(&shop.city, None, "city")) };
    assert_eq!(refused(client.create_location(create).await), exists("location", &shop.city));
    let create =
        wire::CreateRuleRequest { rule: Some(rule(&shop.land_rule, Effect::Embargo, None, &shop.land)) };
    assert_eq!(refused(client.create_rule(create).await), exists("rule", &shop.land_rule));

    let mismatch = Refusal::new(Code::Aborted, "VERSION_MISMATCH").metadata("version", "1");
    let suspend = questions::set_state(service, &shop.milk, 7, State::Suspended).await;
    assert_eq!(Refusal::of(&suspend.expect_err("version 7 was never read")), mismatch);
    let retire = wire::RetireLocationRequest { location_id: shop.city.clone(), version: 7 };
    assert_eq!(refused(client.retire_location(retire).await), mismatch);
    let delete = wire::DeleteRuleRequest { rule_id: shop.land_rule.clone(), version: 7 };
    assert_eq!(refused(client.delete_rule(delete).await), mismatch);
}

async fn what_does_not_fit_names_the_field(service: &Service, shop: &Shop) {
    let mut client = clients::catalogue(service);
    let conflict =
        |reason: &str, field: &str| Refusal::new(Code::FailedPrecondition, reason).bad_fields(&[field]);

    let create = wire::CreateLocationRequest { location: Some(location(&id(), Some(&id()), "nowhere")) };
    assert_eq!(refused(client.create_location(create).await), conflict("INVALID_REFERENCE", "parent_id"));
    let create = wire::CreateRuleRequest { rule: Some(rule(&id(), Effect::Allow, None, &id())) };
    assert_eq!(refused(client.create_rule(create).await), conflict("INVALID_REFERENCE", "place.location_id"));

    let below_itself = wire::Location { version: 1, ..location(&shop.land, Some(&shop.city), "land") };
    let update_mask = Some(prost_types::FieldMask { paths: vec!["parent_id".to_owned()] });
    let update = wire::UpdateLocationRequest { location: Some(below_itself), update_mask };
    assert_eq!(refused(client.update_location(update).await), conflict("LOCATION_CYCLE", "parent_id"));

    let country = || wire::Location {
        kind: LocationKind::Country.into(),
        code: Some("NL".to_owned()),
        ..location(&id(), None, "country")
    };
    client
        .create_location(wire::CreateLocationRequest { location: Some(country()) })
        .await
        .expect("NL is free");
    let again = wire::CreateLocationRequest { location: Some(country()) };
    assert_eq!(refused(client.create_location(again).await), conflict("LOCATION_CODE_TAKEN", "code"));

    let area = || wire::Location {
        postal: Some(wire::PostalMatcher {
            matcher: Some(wire::postal_matcher::Matcher::Prefix("10".to_owned())),
        }),
        ..location(&id(), Some(&shop.city), "area")
    };
    client.create_location(wire::CreateLocationRequest { location: Some(area()) }).await.expect("10 is free");
    let again = wire::CreateLocationRequest { location: Some(area()) };
    assert_eq!(refused(client.create_location(again).await), conflict("POSTAL_OVERLAP", "postal"));
}

async fn every_line_about_revision_tokens(database: &impl AsyncFn() -> Throwaway) {
    let (database, other_database) = (database().await, database().await);
    // A question waits for its revision as long as its call may take.
    let service = services::product_with(&database.url(), None, &["--call-timeout-seconds", "1"]).await;
    let shop = open_shop(&service).await;
    let elsewhere = open_shop(&services::product(&other_database).await).await;

    let not_reached =
        Refusal::new(Code::FailedPrecondition, "REVISION_NOT_REACHED").metadata("revision", &shop.revision);
    let future = questions::far_ahead(&shop.revision);
    let mismatch = Refusal::new(Code::FailedPrecondition, "EPOCH_MISMATCH");
    for (token, refusal) in [(&future, &not_reached), (&elsewhere.revision, &mismatch)] {
        let asked = questions::decide(&service, &shop.milk, &shop.city, Some(token)).await;
        assert_eq!(&Refusal::of(&asked.expect_err("there is no such revision here")), refusal);
        let batch = wire::BatchCanDeliverRequest { items: Vec::new(), min_revision: Some(token.clone()) };
        assert_eq!(&refused(clients::product(&service).batch_can_deliver(batch).await), refusal);
        let watch = wire::WatchChangesRequest { after_revision: Some(token.clone()) };
        let watched = clients::product(&service).watch_changes(watch).await.map(|_| tonic::Response::new(()));
        assert_eq!(&refused(watched), refusal);
    }
}
