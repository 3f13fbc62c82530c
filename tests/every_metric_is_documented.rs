//! What `docs/metrics.md` tells is what the pages of both programs tell, name by name and label by label, and the other way
//! round.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::support::catalogue::open_shop;
use crate::support::databases::{Throwaway, on_both};
use crate::support::{deliveries, eventually, metrics, services};

on_both!(every_metric_is_documented);

const DOCUMENT: &str = include_str!("../docs/metrics.md");
/// What a page has only under a flag that it was not started with, though its name is there.
const WITHOUT_SAMPLES: &[&str] = &["candeliver_product_client_endpoint_limit"];

/// What is told of a metric: its type and its labels.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    kind: String,
    labels: BTreeSet<String>,
}

type Metrics = BTreeMap<String, Told>;

async fn every_metric_is_documented(database: &impl AsyncFn() -> Throwaway) {
    let databases = [database().await, database().await];
    let [(product, product_page), (delivery, delivery_page)] = services::both_with_pages(&databases).await;
    let shop = open_shop(&product).await;
    deliveries::create(&delivery, &deliveries::order(&shop.milk, &shop.city))
        .await
        .expect("it is deliverable");
    the_page_is_as_documented(product_page.address, "Product").await;
    the_page_is_as_documented(delivery_page.address, "Delivery").await;
}

async fn the_page_is_as_documented(page: SocketAddr, program: &str) {
    let documented: Metrics =
        [documented("Both programs"), documented(program)].into_iter().flatten().collect();
    // What waits is counted a moment after the start.
    eventually("the page and docs/metrics.md", async || {
        let told = told(&metrics::read(page).await);
        let differ: Vec<_> = documented
            .keys()
            .chain(told.keys())
            .filter(|name| documented.get(*name) != told.get(*name))
            .map(|name| (name.clone(), documented.get(name), told.get(name)))
            .map(|difference| format!("{program}: documented against told: {difference:?}"))
            .collect();
        if differ.is_empty() { Ok(()) } else { Err(differ) }
    })
    .await;
}

/// The table of one chapter.
fn documented(chapter: &str) -> Metrics {
    let (_, text) = DOCUMENT.split_once(&format!("\n## {chapter}\n")).expect("the chapter is there");
    let text = text.split("\n## ").next().unwrap_or(text);
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let labels = cells[2].split(',').map(str::trim).filter(|label| !label.is_empty());
        let told = Told { kind: cells[1].to_owned(), labels: labels.map(str::to_owned).collect() };
        (cells[0].trim_end_matches('`').to_owned(), told)
    })
    .collect()
}

/// What a page tells. A metric without samples has whatever labels are documented.
fn told(page: &str) -> Metrics {
    let mut metrics = Metrics::new();
    for line in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (family, kind) = line.split_once(' ').expect("a name and a type");
        let name = if kind == "counter" { format!("{family}_total") } else { family.to_owned() };
        let sample = if kind == "histogram" { format!("{name}_count") } else { name.clone() };
        let labels = page.lines().find_map(|line| {
            let rest = line.strip_prefix(&sample)?;
            Some(rest.strip_prefix('{').map_or_else(BTreeSet::new, label_names)).filter(|_| {
                // Another metric's name may begin with this one's.
                rest.starts_with(['{', ' '])
            })
        });
        let labels = match labels {
            Some(labels) => labels,
            None if WITHOUT_SAMPLES.contains(&name.as_str()) => BTreeSet::from(["endpoint".to_owned()]),
            None => BTreeSet::from(["no samples".to_owned()]),
        };
        metrics.insert(name, Told { kind: kind.to_owned(), labels });
    }
    metrics
}

/// No value of a label in our pages holds a comma or a brace.
fn label_names(labels: &str) -> BTreeSet<String> {
    let labels = labels.split('}').next().unwrap_or_default().split(',');
    labels.filter_map(|label| Some(label.split_once('=')?.0.to_owned())).collect()
}
