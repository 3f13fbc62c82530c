//! Whatever SQL stands in whichever string of whichever rpc, it is stored letter by letter or refused as a bad field, and the
//! tables are as they were.

use std::collections::BTreeMap;

use prost_reflect::{DynamicMessage, Value};
use proto::delivery::v1 as delivery_wire;
use proto::product::v1 as wire;
use tonic::Code;

use crate::support::catalogue::{Shop, id, open_shop, product};
use crate::support::clients::code_and_reason;
use crate::support::databases::{Throwaway, on_both};
use crate::support::process::Service;
use crate::support::raw::Raw;
use crate::support::strange::{Injected, Known, Method, injected, methods};
use crate::support::{catalogue, clients, deliveries, questions, services};

/// What has broken out of a string in one program or another.
const TEXTS: &[&str] = &[
    "'; DROP TABLE products; --",
    "'); DELETE FROM deliveries; --",
    "\"; DROP TABLE locations; --",
    "' OR '1'='1",
    "\\'; UPDATE rules SET deleted = TRUE; --",
    "'||(SELECT epoch FROM catalogue_head)||'",
    "'; SELECT pg_sleep(30); --",
    "1; ATTACH DATABASE 'x' AS y",
    "%' OR name LIKE '%",
    "$1 ?1 :name @p",
    "E'\\047 $$ $tag$",
    "/* */ --",
    "[\"a\"],\"b\":[",
    "\u{2bc}; DROP TABLE rules; --",
    "NULL)",
];

/// Strings that may hold any text, by the rpcs that store them.
const STORED: &[(&str, &[&str])] = &[
    ("CreateProduct", &["product.name"]),
    ("UpdateProduct", &["product.name"]),
    ("CreateLocation", &["location.name"]),
    ("UpdateLocation", &["location.name"]),
    ("CreateRule", &["rule.note"]),
    ("UpdateRule", &["rule.note"]),
    ("ImportCatalogue", &["rows.product.name", "rows.location.name", "rows.rule.note"]),
    ("CreateDelivery", &["external_reference"]),
];

on_both!(no_string_is_taken_for_sql_by_product, no_string_is_taken_for_sql_by_delivery);

async fn no_string_is_taken_for_sql_by_product(database: &impl AsyncFn() -> Throwaway) {
    let database = database().await;
    let service = services::product(&database).await;
    let witness = open_shop(&service).await;
    let before = catalogue_of(&service).await;
    let used = open_shop(&service).await;
    inject_everywhere(&service, proto::product::FILE_DESCRIPTOR_SET, &used).await;

    let after = catalogue_of(&service).await;
    for text in TEXTS {
        let letter_by_letter = format!("{text:?}");
        let holding = after.values().filter(|object| object.contains(&letter_by_letter)).count();
        assert_eq!(holding, 9, "{text}: created, updated and imported, each as product, location and rule");
    }
    let ids = [&witness.milk, &witness.rock, &witness.land, &witness.city, &witness.land_rule];
    for id in ids {
        assert_eq!(after.get(id), before.get(id), "what nobody asked to change");
    }
    let revision = questions::create_product(&service, &id(), "cheese").await.expect("a good write works");
    questions::decide(&service, &witness.milk, &witness.city, Some(&revision))
        .await
        .expect("and is followed");
}

async fn no_string_is_taken_for_sql_by_delivery(database: &impl AsyncFn() -> Throwaway) {
    let (product_database, database) = (database().await, database().await);
    let product = services::product(&product_database).await;
    let service = services::delivery(&database, product.address).await;
    let shop = open_shop(&product).await;
    let order = deliveries::order(&shop.rock, &shop.city);
    let witness = deliveries::create(&service, &order).await.expect("rock goes to the city");
    inject_everywhere(&service, proto::delivery::FILE_DESCRIPTOR_SET, &shop).await;

    assert_eq!(deliveries::get(&service, &witness.delivery_id).await.expect("it is there"), witness);
    for text in TEXTS {
        let named = delivery_wire::ListDeliveriesRequest {
            external_reference: (*text).to_owned(),
            ..Default::default()
        };
        let page = clients::delivery(&service).list_deliveries(named).await.expect("a page").into_inner();
        let named: Vec<_> = page.deliveries.iter().map(|found| found.external_reference.as_str()).collect();
        assert_eq!(named, [*text], "the one that was made with it, and no other");
    }
    let order = deliveries::order(&shop.rock, &shop.city);
    deliveries::create(&service, &order).await.expect("a good request works");
}

/// Sends each text in each string of each rpc of a service.
async fn inject_everywhere(service: &Service, descriptors: &[u8], shop: &Shop) {
    let connection = Raw::connect(service.address).await;
    let (mut sent, mut stored) = (0, BTreeMap::<String, usize>::new());
    for method in methods(descriptors) {
        for text in TEXTS {
            // An update wants the version that was read: each text finds an object of its own at its first.
            let known = known(service, &method, shop).await;
            for request in injected(&method, &known, text) {
                sent += 1;
                if is_stored(&connection, &method, &request, text).await {
                    *stored.entry(name(&method).to_owned()).or_default() += 1;
                }
            }
        }
    }
    println!("{sent} requests, stored: {stored:?}");
    for (rpc, fields) in STORED {
        let all = fields.len() * TEXTS.len();
        let found = stored.remove(*rpc);
        assert!(found.is_none() || found == Some(all), "{rpc}: {found:?} of {all} were stored");
    }
    assert_eq!(stored, BTreeMap::new(), "nothing else is");
    let log = service.log();
    assert!(!log.contains("panic") && !log.contains("\"ERROR\""), "nothing went wrong inside");
}

/// Whether a text was taken for what it is; else it was refused as a bad field.
async fn is_stored(connection: &Raw, method: &Method, request: &Injected, text: &str) -> bool {
    let told = format!("{} {}: {text}", method.path, request.field);
    let answer = connection.call(&method.path, &[], request.body.clone(), method.is_stream).await;
    let answer = answer.unwrap_or_else(|error| panic!("{told}: {error}"));
    let may_hold_it =
        STORED.iter().any(|(rpc, fields)| *rpc == name(method) && fields.contains(&request.field.as_str()));
    if answer.status.code() != Code::Ok {
        let refusal = code_and_reason(&answer.status);
        // An address may have any name, and none of ours has such a one.
        let is_unknown_place = refusal == (Code::NotFound, "LOCATION_NOT_FOUND".to_owned());
        let is_bad_field = refusal == (Code::InvalidArgument, "INVALID_FIELD".to_owned());
        assert!(
            is_bad_field || (is_unknown_place && name(method) == "ResolveLocation"),
            "{told}: {refusal:?}"
        );
        assert!(!may_hold_it, "{told}: refused");
        return false;
    }
    let message = answer.body.get(5..).unwrap_or_default();
    let message = DynamicMessage::decode(method.output.clone(), message).expect("it keeps the contract");
    if name(method) == "ImportCatalogue" {
        let errors = message.get_field_by_name("errors").expect("the contract has errors").into_owned();
        let is_bad = errors.as_list().is_some_and(|errors| !errors.is_empty());
        assert!(!is_bad || strings(&message).contains(&"INVALID_FIELD".to_owned()), "{told}: {message:?}");
        assert_ne!(is_bad, may_hold_it, "{told}: {message:?}");
        return !is_bad;
    }
    if may_hold_it {
        assert!(
            strings(&message).iter().any(|found| found == text),
            "{told}: not letter by letter: {message:?}"
        );
    }
    may_hold_it
}

fn name(method: &Method) -> &str {
    method.path.rsplit('/').next().unwrap_or_default()
}

/// Objects for a good request to refer to.
async fn known(service: &Service, method: &Method, shop: &Shop) -> Known {
    let mut known = Known {
        products: vec![shop.rock.clone()],
        locations: vec![shop.city.clone()],
        rules: vec![shop.land_rule.clone()],
        deliveries: vec![id()],
        revision: shop.revision.clone(),
        page_tokens: Vec::new(),
    };
    let mut writing = clients::catalogue(service);
    match name(method) {
        "UpdateProduct" => {
            known.products = vec![id()];
            let product = Some(product(&known.products[0], "new", &[]));
            writing.create_product(wire::CreateProductRequest { product }).await.expect("a new product");
        }
        "UpdateLocation" => {
            let new = id();
            let location = Some(catalogue::location(&new, None, "new"));
            writing.create_location(wire::CreateLocationRequest { location }).await.expect("a new location");
            known.locations = vec![new];
        }
        "UpdateRule" => {
            known.rules = vec![id()];
            let rule = Some(catalogue::rule(&known.rules[0], wire::Effect::Allow, None, &shop.city));
            writing.create_rule(wire::CreateRuleRequest { rule }).await.expect("a new rule");
        }
        _ => {}
    }
    known
}

/// Every string in a message.
fn strings(message: &DynamicMessage) -> Vec<String> {
    fn of(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::String(text) => found.push(text.clone()),
            Value::Message(message) => message.fields().for_each(|(_, value)| of(value, found)),
            Value::List(list) => list.iter().for_each(|value| of(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    message.fields().for_each(|(_, value)| of(value, &mut found));
    found
}

/// All objects by their ids, as text.
async fn catalogue_of(service: &Service) -> BTreeMap<String, String> {
    let (mut asking, mut managing) = (clients::product(service), clients::catalogue(service));
    let mut all = BTreeMap::new();
    let page_size = 1_000;
    let request = wire::ListProductsRequest { page_size, ..Default::default() };
    let page = asking.list_products(request).await.expect("a page").into_inner();
    all.extend(page.products.into_iter().map(|object| (object.product_id.clone(), format!("{object:?}"))));
    let request = wire::ListLocationsRequest { page_size, ..Default::default() };
    let page = asking.list_locations(request).await.expect("a page").into_inner();
    all.extend(page.locations.into_iter().map(|object| (object.location_id.clone(), format!("{object:?}"))));
    let request = wire::ListRulesRequest { page_size, ..Default::default() };
    let page = managing.list_rules(request).await.expect("a page").into_inner();
    all.extend(page.rules.into_iter().map(|object| (object.rule_id.clone(), format!("{object:?}"))));
    all
}
