//! The Delivery service on a listener, over a store.

use std::io;
use std::time::Duration;

use chassis::health::Health;
use chassis::metrics::{self, Build};
use chassis::reflection;
use chassis::server::Listeners;
use chassis::services::Services;
use chassis::settings::ServerSettings;
use chassis::shutdown::Shutdown;
use proto::delivery::v1::delivery_service_server::{self, DeliveryServiceServer};

use crate::create::DeferLimits;
use crate::grpc::DeliveryHandlers;
use crate::metrics::{Admissions, Pending, Verified};
use crate::products::Product;
use crate::store::Store;
use crate::{readiness, verifier};

/// What probes ask for.
pub const SERVICE_NAMES: &[&str] = &[delivery_service_server::SERVICE_NAME];

/// The largest request, a create with all its fields, is under 1 kB.
const MAX_REQUEST_BYTES: usize = 16 * 1024;

/// What the service does by itself, as told at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How far DEFER goes.
    pub defer: DeferLimits,
    /// How old a decision may be when its delivery is dispatched.
    pub recheck_after: Duration,
}

/// Serves until `shutdown`, then drains. The store's runtime must outlive it.
///
/// # Errors
/// A listener does not work, or the system gives no threads.
pub fn serve(
    listeners: Listeners,
    settings: &ServerSettings,
    store: Store,
    product: Product,
    rules: Rules,
    shutdown: Shutdown,
) -> io::Result<()> {
    let health = Health::new(SERVICE_NAMES);
    let (reflection, reflection_alpha) =
        reflection::services(&[proto::delivery::FILE_DESCRIPTOR_SET]).map_err(io::Error::other)?;
    let runtime = store.database().runtime().clone();
    let (admissions, pending, verified) =
        (Admissions::default(), Pending::new(rules.defer.max_pending), Verified::default());
    let watching = runtime.spawn(readiness::watch(store.clone(), health.clone()));
    let counting = runtime.spawn(pending.clone().watch(store.clone()));
    let verifying =
        runtime.spawn(verifier::verify(store.clone(), product.verifying_client(), verified.clone()));

    // What is counted in this process and to be read on its metrics page is registered here.
    let mut registry = metrics::registry();
    Build { program: "delivery", version: env!("CARGO_PKG_VERSION") }.register(&mut registry);
    admissions.register(&mut registry);
    pending.register(&mut registry);
    verified.register(&mut registry);
    store.database().register_metrics(&mut registry);
    let of_product = registry.sub_registry_with_prefix("product_client");
    of_product.register_collector(Box::new(product.metrics()));
    if let Some(tls) = product.tls() {
        of_product.register_collector(Box::new(tls.clone()));
    }
    registry.sub_registry_with_prefix("store").register_collector(store.metrics());

    let has_reflection = !settings.no_reflection;
    let make_services = {
        let (health, shutdown) = (health.clone(), shutdown.clone());
        move || {
            // A connection stays on the runtime that made it: one for each.
            let handlers = DeliveryHandlers::new(store.clone(), product.client(), rules, &admissions);
            let services = Services::new()
                .add(DeliveryServiceServer::new(handlers).max_decoding_message_size(MAX_REQUEST_BYTES))
                .add_unlimited(health.service(shutdown.clone()));
            if !has_reflection {
                return services;
            }
            services.add_unlimited(reflection.clone()).add_unlimited(reflection_alpha.clone())
        }
    };
    let served = chassis::server::run(listeners, settings, make_services, health, registry, shutdown);
    // What a verifier has in hand is done to its end or claimed again when its lease is over.
    verifying.abort();
    watching.abort();
    counting.abort();
    served
}
