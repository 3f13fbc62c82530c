//! A delivery names the rules that decided, each with its version, and Product can say what they said and who wrote them,
//! whatever has become of them since.

use std::process::Command;

use proto::product::v1::{self as wire};

use crate::support::catalogue::{Shop, stock};
use crate::support::databases::{Throwaway, on_both};
use crate::support::pki::Pki;
use crate::support::process::Service;
use crate::support::{binaries, clients, deliveries, questions, secured};

const ANN: &str = "spiffe://example.org/ns/shop/sa/ann";
const BOB: &str = "spiffe://example.org/ns/shop/sa/bob";

on_both!(a_decision_is_explained_after_its_rules_have_changed);

async fn a_decision_is_explained_after_its_rules_have_changed(database: &impl AsyncFn() -> Throwaway) {
    let (pki, product_database, delivery_database) = (Pki::new(), database().await, database().await);
    let mut product = managed_product(&pki, &product_database).await;
    let shop = Shop::plan();
    stock(&product, &shop).await;
    let delivery = asking_delivery(&pki, &delivery_database, &product).await;
    let order = deliveries::order(&shop.milk, &shop.city);
    let created = deliveries::create(&delivery, &order).await.expect("milk goes to the city");

    product.tls = Some(secured::caller(&pki, Some(pki.issue("bob", &[BOB]))));
    let note = forbid(&product, &shop.city_rule).await;
    let delete = wire::DeleteRuleRequest { rule_id: shop.city_rule.clone(), version: 2 };
    clients::catalogue(&product).delete_rule(delete).await.expect("it is there");
    let decision = questions::decide(&product, &shop.milk, &shop.city, None).await.expect("a decision");
    assert_eq!(decision.reason(), wire::Reason::Denied, "the rule is gone");

    let stored = deliveries::get(&delivery, &created.delivery_id).await.expect("it is stored");
    let [decided] = deliveries::admission(&stored).deciding_rules.as_slice() else { panic!("{stored:?}") };
    assert_eq!((&decided.rule_id, decided.version), (&shop.city_rule, 1));
    let then = rule_at(&product, &decided.rule_id, decided.version).await;
    let rule = then.rule.expect("always present");
    assert_eq!((rule.effect(), rule.version, rule.deleted), (wire::Effect::Allow, 1, false));
    assert_eq!(then.changed_by, ANN);
    let second = rule_at(&product, &shop.city_rule, 2).await;
    let rule = second.rule.expect("always present");
    assert_eq!((rule.effect(), rule.note), (wire::Effect::Deny, note));
    assert_eq!(second.changed_by, BOB);
    let now = rule_at(&product, &shop.city_rule, 0).await;
    assert!(now.rule.as_ref().is_some_and(|rule| rule.deleted && rule.version == 3));
    assert_eq!(now, rule_at(&product, &shop.city_rule, 3).await);
    let times = [then.change_time, second.change_time, now.change_time].map(deliveries::instant);
    assert!(times.is_sorted(), "{times:?}");

    let milk = wire::GetProductRequest { product_id: shop.milk.clone() };
    let milk = clients::product(&product).get_product(milk).await.expect("it is there").into_inner();
    assert_eq!((milk.changed_by.as_str(), milk.change_time.is_some()), (ANN, true));
    the_command_line_explains_it(&pki, &product, &shop);
}

/// A Product that takes changes of two managers and shows itself to Delivery; the story speaks as the first.
async fn managed_product(pki: &Pki, database: &Throwaway) -> Service {
    let access = format!(
        "[allow]\n\"candeliver.product.v1.ProductService\" = [\"{ANN}\", \"{BOB}\", \"delivery\"]\n\
         \"candeliver.product.v1.CatalogueService\" = [\"{ANN}\", \"{BOB}\"]\n"
    );
    let access = pki.file("access.toml", &access);
    let mut flags = vec!["--database-url".to_owned(), database.url()];
    flags.extend(secured::server_flags(pki, &pki.issue("product", &[secured::HOST]), &access));
    secured::start("product", &flags, secured::caller(pki, Some(pki.issue("ann", &[ANN])))).await
}

async fn asking_delivery(pki: &Pki, database: &Throwaway, product: &Service) -> Service {
    let url = product.url();
    let mut flags = secured::product_flags(pki, &pki.issue("delivery", &["delivery"]));
    flags.extend(["--database-url", &database.url(), "--product-url", &url].map(str::to_owned));
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let delivery = Service::start("delivery", None, &flags).await;
    let serving = tonic_health::pb::health_check_response::ServingStatus::Serving;
    crate::support::services::until_health_is(&delivery, serving).await;
    delivery
}

/// Turns the rule into its opposite.
async fn forbid(product: &Service, rule_id: &str) -> String {
    let note = "recalled".to_owned();
    let rule = wire::Rule {
        rule_id: rule_id.to_owned(),
        version: 1,
        effect: wire::Effect::Deny.into(),
        note: note.clone(),
        ..Default::default()
    };
    let paths = ["effect", "note"].map(str::to_owned).to_vec();
    let update =
        wire::UpdateRuleRequest { rule: Some(rule), update_mask: Some(prost_types::FieldMask { paths }) };
    clients::catalogue(product).update_rule(update).await.expect("it was read at version 1");
    note
}

async fn rule_at(product: &Service, rule_id: &str, version: u32) -> wire::GetRuleResponse {
    let get = wire::GetRuleRequest { rule_id: rule_id.to_owned(), version };
    clients::catalogue(product).get_rule(get).await.expect("it is kept").into_inner()
}

fn the_command_line_explains_it(pki: &Pki, product: &Service, shop: &Shop) {
    let shown = pki.issue("operator", &[ANN]);
    let say = |version: &str| {
        let mut command = Command::new(binaries::path("candeliver"));
        command.args(["rule", &shop.city_rule, version, "--product", &product.url(), "--ca-file"]);
        command.arg(pki.ca()).arg("--cert-file").arg(&shown.cert).arg("--key-file").arg(&shown.key);
        let done = command.output().expect("the program runs");
        let said = [done.stdout, done.stderr].concat();
        (done.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    let (exit, said) = say("1");
    assert!(exit == Some(0) && said.contains("ALLOW") && said.contains(ANN), "{exit:?}: {said}");
    let (exit, said) = say("3");
    assert!(exit == Some(0) && said.contains("deleted, was DENY") && said.contains(BOB), "{exit:?}: {said}");
    let (exit, said) = say("4");
    assert!(exit == Some(4) && said.contains("RULE_VERSION_NOT_FOUND"), "{exit:?}: {said}");
}
