//! A small catalogue to tell stories with: milk and rock, and a land with a city and an island.

use proto::product::v1::{self as wire, import_row, place_selector, product_selector};
use tokio_stream::iter;
use uuid::Uuid;

use super::process::Service;
use super::{clients, eventually, questions};

/// What was imported.
#[derive(Clone, Debug)]
pub struct Shop {
    /// Goes to the city only.
    pub milk: String,
    /// Goes anywhere in the land.
    pub rock: String,
    /// The root.
    pub land: String,
    /// Below the land.
    pub city: String,
    /// Below the land; milk does not go there.
    pub island: String,
    /// Allows everything in the land.
    pub land_rule: String,
    /// Denies what is perishable in the land.
    pub milk_rule: String,
    /// Allows it in the city.
    pub city_rule: String,
    /// The revision token of the import.
    pub revision: String,
}

/// A fresh id, as a client makes one.
pub fn id() -> String {
    Uuid::now_v7().to_string()
}

/// An active product.
pub fn product(product_id: &str, name: &str, classes: &[&str]) -> wire::Product {
    let classes = classes.iter().map(ToString::to_string).collect();
    wire::Product { product_id: product_id.to_owned(), name: name.to_owned(), classes, ..Default::default() }
}

/// An active location.
pub fn location(location_id: &str, parent_id: Option<&str>, name: &str) -> wire::Location {
    wire::Location {
        location_id: location_id.to_owned(),
        parent_id: parent_id.map(str::to_owned),
        kind: wire::LocationKind::Region.into(),
        name: name.to_owned(),
        ..Default::default()
    }
}

/// A rule without limits or dates.
pub fn rule(rule_id: &str, effect: wire::Effect, class: Option<&str>, location_id: &str) -> wire::Rule {
    let product = match class {
        Some(class) => product_selector::Selector::Class(class.to_owned()),
        None => product_selector::Selector::Any(true),
    };
    wire::Rule {
        rule_id: rule_id.to_owned(),
        effect: effect.into(),
        product: Some(wire::ProductSelector { selector: Some(product) }),
        place: Some(wire::PlaceSelector {
            selector: Some(place_selector::Selector::LocationId(location_id.to_owned())),
        }),
        ..Default::default()
    }
}

/// Imports rows as one chunk and expects all to be good.
pub async fn import(service: &Service, rows: Vec<import_row::Row>) -> wire::ImportCatalogueResponse {
    let rows = rows.into_iter().map(|row| wire::ImportRow { row: Some(row) }).collect();
    let chunk = wire::ImportCatalogueRequest { rows, validate_only: false };
    let mut answers = clients::catalogue(service)
        .import_catalogue(iter([chunk]))
        .await
        .expect("an import starts")
        .into_inner();
    let answer = answers.message().await.expect("a chunk is answered").expect("one answer for one chunk");
    assert_eq!(answer.errors, [], "every row is good");
    answer
}

/// Imports the small catalogue.
pub async fn open_shop(service: &Service) -> Shop {
    let mut shop = Shop::plan();
    shop.revision = stock(service, &shop).await;
    shop
}

/// Imports a shop that was planned, and gives back the revision token. Several Products can have the same one.
pub async fn stock(service: &Service, shop: &Shop) -> String {
    let Shop { milk, rock, land, city, island, land_rule, milk_rule, city_rule, .. } = shop;
    let rows = vec![
        import_row::Row::Location(location(land, None, "land")),
        import_row::Row::Location(location(city, Some(land), "city")),
        import_row::Row::Location(location(island, Some(land), "island")),
        import_row::Row::Product(product(milk, "milk", &["perishable"])),
        import_row::Row::Product(product(rock, "rock", &[])),
        import_row::Row::Rule(rule(land_rule, wire::Effect::Allow, None, land)),
        import_row::Row::Rule(rule(milk_rule, wire::Effect::Deny, Some("perishable"), land)),
        import_row::Row::Rule(rule(city_rule, wire::Effect::Allow, Some("perishable"), city)),
    ];
    import(service, rows).await.revision
}

/// Waits until a Product has read the shop that was imported through another one.
pub async fn until_stocked(service: &Service, shop: &Shop) {
    eventually("it has read what another wrote", async || {
        let decision = questions::decide(service, &shop.milk, &shop.city, None).await;
        let decision = decision.expect("a decision");
        if decision.reason() == wire::Reason::Allowed { Ok(()) } else { Err(decision) }
    })
    .await;
}

// === impl Shop ===

impl Shop {
    /// Fresh ids, and nothing imported yet.
    pub fn plan() -> Self {
        let [milk, rock, land, city, island, land_rule, milk_rule, city_rule] = std::array::from_fn(|_| id());
        let revision = String::new();
        Self { milk, rock, land, city, island, land_rule, milk_rule, city_rule, revision }
    }
}
