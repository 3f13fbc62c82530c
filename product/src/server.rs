//! The Product service on a listener, over a store.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use chassis::health::Health;
use chassis::metrics;
use chassis::reflection;
use chassis::server::Listeners;
use chassis::services::{LongMessages, Services};
use chassis::settings::ServerSettings;
use chassis::shutdown::Shutdown;
use proto::product::v1::catalogue_service_server::{self, CatalogueServiceServer};
use proto::product::v1::product_service_server::{self, ProductServiceServer};

use crate::follower;
use crate::grpc::{CatalogueHandlers, Imports, ProductHandlers, Watches};
use crate::index::Index;
use crate::metrics::{self as own_metrics, Decisions};
use crate::store::Store;

/// What probes ask for.
pub const SERVICE_NAMES: &[&str] =
    &[product_service_server::SERVICE_NAME, catalogue_service_server::SERVICE_NAME];

/// The largest request that is neither a batch nor an import, a rule with its note, is under 4 kB. As many calls as may be in
/// flight, each stopped before its end, hold 32 MiB.
const MAX_REQUEST_BYTES: usize = 16 * 1024;
/// The largest batch, of 1,000 items, is under 200 kB.
const MAX_BATCH_BYTES: usize = 512 * 1024;
/// A chunk of an import.
const MAX_IMPORT_BYTES: usize = 4 * 1024 * 1024;

const BATCH: &str = "/candeliver.product.v1.ProductService/BatchCanDeliver";
const IMPORT: &str = "/candeliver.product.v1.CatalogueService/ImportCatalogue";

/// Serves until `shutdown`, then drains. The store's runtime must outlive it.
///
/// # Errors
/// A listener does not work, or the system gives no threads.
pub fn serve(
    listeners: Listeners,
    settings: &ServerSettings,
    store: Store,
    max_index_age: Duration,
    shutdown: Shutdown,
) -> io::Result<()> {
    let health = Health::new(SERVICE_NAMES);
    let index = Arc::new(Index::new(max_index_age));
    let watches = Watches::new(shutdown.clone());
    let imports = Imports::new(shutdown.clone());
    let (reflection, reflection_alpha) =
        reflection::services(&[proto::product::FILE_DESCRIPTOR_SET]).map_err(io::Error::other)?;
    let following = follower::follow(store.clone(), Arc::clone(&index), health.clone());
    let follower = store.database().runtime().spawn(following);

    let decisions = Decisions::default();
    let mut registry = metrics::registry();
    own_metrics::register(&mut registry, &index, &decisions);
    store.database().register_metrics(&mut registry);

    let has_reflection = !settings.no_reflection;
    let make_services = {
        let (health, shutdown) = (health.clone(), shutdown.clone());
        move || {
            let product =
                ProductHandlers::new(store.clone(), Arc::clone(&index), watches.clone(), &decisions);
            let product = ProductServiceServer::new(product);
            let batch = product.clone().max_decoding_message_size(MAX_BATCH_BYTES);
            let product = product.max_decoding_message_size(MAX_REQUEST_BYTES);
            let catalogue = CatalogueHandlers::new(store.clone(), Arc::clone(&index), imports.clone());
            let catalogue = CatalogueServiceServer::new(catalogue);
            let import = catalogue.clone().max_decoding_message_size(MAX_IMPORT_BYTES);
            let catalogue = catalogue.max_decoding_message_size(MAX_REQUEST_BYTES);
            let services = Services::new()
                .add(LongMessages::on(BATCH, batch, product))
                .add(LongMessages::on(IMPORT, import, catalogue))
                .add_unlimited(health.service(shutdown.clone()));
            if !has_reflection {
                return services;
            }
            services.add_unlimited(reflection.clone()).add_unlimited(reflection_alpha.clone())
        }
    };
    let served = chassis::server::run(listeners, settings, make_services, health, registry, shutdown);
    follower.abort();
    served
}
