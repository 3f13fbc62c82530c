//! What a service's metrics page tells, or why it could not be read.

use std::time::Duration;

use serde_json::{Value, json};

use super::digest::Digest;
use super::load::Load;
use super::product_client::ProductClient;
use crate::clients::{Service, Url, read_page};

/// The figures of one service.
pub struct Figures {
    service: Service,
    url: Url,
    /// Or a sentence that says why there are none.
    load: Result<Load, String>,
    /// Product's alone.
    catalogue: Option<Digest>,
    /// Delivery's alone.
    product_client: Option<ProductClient>,
}

// === impl Figures ===

impl Figures {
    /// Reads the page; that it can't be read is no failure, since a service need not have one.
    pub async fn read(service: Service, url: &Url, timeout: Duration) -> Self {
        let page = read_page(url, timeout).await;
        let product_client = match (&page, service) {
            (Ok(page), Service::Delivery) => ProductClient::read(page),
            _ => None,
        };
        let catalogue = page.as_ref().ok().and_then(Digest::read);
        let not_ours = || "it is the page of another program".to_owned();
        let load = page.and_then(|page| Load::read(&page).ok_or_else(not_ours));
        Self { service, url: url.clone(), load, catalogue, product_client }
    }

    /// A line each for people.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let load = match &self.load {
            Ok(load) => ("calls", load.text()),
            Err(problem) => ("metrics", self.advise(problem)),
        };
        let digest = self.catalogue.as_ref().map(|digest| ("digest", digest.text()));
        digest.into_iter().chain([load]).collect()
    }

    /// What takes more than a line.
    pub fn tables(&self) -> Option<String> {
        self.product_client.as_ref().map(ProductClient::text)
    }

    /// The same for programs.
    pub fn add_to_json(&self, line: &mut Value) {
        line["metrics"] = match &self.load {
            Ok(load) => load.json(),
            Err(problem) => json!({ "problem": problem }),
        };
        line["metrics"]["address"] = json!(self.url.to_string());
        if let Some(digest) = &self.catalogue {
            line["catalogue"] = digest.json();
        }
        if let Some(product_client) = &self.product_client {
            line["product_client"] = product_client.json();
        }
    }

    fn advise(&self, problem: &str) -> String {
        let (url, flag) = (&self.url, self.service.admin_flag());
        format!(
            "can't be read at {url} ({problem}): start the service with --admin-listen, say where with {flag}"
        )
    }
}
