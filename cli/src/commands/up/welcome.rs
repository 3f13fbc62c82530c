//! What `up` says when both services serve: where they are, what to try, how to break them.

use std::fmt::Write as _;
use std::path::Path;

use super::sample::{AMSTERDAM, BERLIN, MILK, PAPERBACK};
use super::worker::Worker;
use crate::clients::{Service, Url};
use crate::exit::Failure;
use crate::progress;
use crate::tables;
use crate::words::program;

/// What there is to say.
pub struct Welcome<'a> {
    pub product: &'a Worker,
    pub delivery: &'a Worker,
    pub data: &'a Path,
    /// How many rows were loaded just now.
    pub rows_loaded: Option<u64>,
    /// Whether the sample's ids name something.
    pub has_sample: bool,
}

// === impl Welcome ===

impl Welcome<'_> {
    /// The text.
    ///
    /// # Errors
    /// A service has no address.
    pub fn text(&self) -> Result<String, Failure> {
        let (product_url, delivery_url) = (self.product.url()?, self.delivery.url()?);
        let catalogue = match self.rows_loaded {
            Some(rows) => format!("the sample, {} loaded just now", progress::rows(rows)),
            None => "as it was".to_owned(),
        };
        let service = |url: &Url, worker: &Worker| {
            format!("{:<24} process {:<8} log {}", url.to_string(), worker.id(), worker.log().display())
        };
        let (product_admin, delivery_admin) = (self.product.admin_url()?, self.delivery.admin_url()?);
        let facts = tables::facts(&[
            ("  Product", service(&product_url, self.product)),
            ("  Delivery", service(&delivery_url, self.delivery)),
            ("  metrics", format!("{product_admin}/metrics (Product), {delivery_admin}/metrics (Delivery)")),
            ("  data", self.data.display().to_string()),
            ("  catalogue", catalogue),
        ]);
        let mut text = format!("candeliver is up.\n\n{facts}\n\nTry in another terminal:\n\n");
        let admin = format!(
            "{}{}",
            admin_place(Service::Product, &product_admin),
            admin_place(Service::Delivery, &delivery_admin)
        );
        for (command, meaning) in self.commands(&product_url, &delivery_url, &admin) {
            let _ = writeln!(text, "  # {meaning}\n  {command}");
        }
        let id = self.product.id();
        let _ = write!(
            text,
            "\nTo see Product fall silent: kill -STOP {id}   and come back: kill -CONT {id}\nCtrl-C ends both."
        );
        Ok(text)
    }

    /// Commands that work as they stand, each with what it shows.
    fn commands(&self, product_url: &Url, delivery_url: &Url, admin: &str) -> Vec<(String, &'static str)> {
        let program = program();
        let product = place(Service::Product, product_url);
        let delivery = place(Service::Delivery, delivery_url);
        if !self.has_sample {
            return vec![
                (format!("{program} import --help"), "how to bring products, locations and rules in"),
                (format!("{program} watch{product}"), "the catalogue's changes as they happen"),
                (
                    format!("{program} status{product}{delivery}{admin}"),
                    "are both services there and serving?",
                ),
            ];
        }
        vec![
            (
                format!("{program} check {MILK} {BERLIN} --explain{product}"),
                "can fresh milk be delivered to Berlin, and why not?",
            ),
            (
                format!("{program} deliver {PAPERBACK} {AMSTERDAM} --reference order-1{delivery}"),
                "deliver a paperback to Amsterdam",
            ),
            (format!("{program} deliveries{delivery}"), "what is on its way?"),
        ]
    }
}

/// The flag that a command needs if the service is not where it is looked for.
fn place(service: Service, url: &Url) -> String {
    flag_unless_default(service.flag(), service.default_url(), url)
}

/// The same for its metrics.
fn admin_place(service: Service, url: &Url) -> String {
    flag_unless_default(service.admin_flag(), service.default_admin_url(), url)
}

fn flag_unless_default(flag: &str, default_url: &str, url: &Url) -> String {
    let url = url.to_string();
    if url == default_url { String::new() } else { format!(" {flag} {url}") }
}
