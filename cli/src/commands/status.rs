//! `status`: is everything there, and serving, and how busy.

mod digest;
mod figures;
mod load;
mod product_client;
mod seen;

use clap::Args as ClapArgs;
use proto::delivery::v1::delivery_service_server::SERVICE_NAME as DELIVERY_SERVICE;
use proto::product::v1::catalogue_service_server::SERVICE_NAME as CATALOGUE_SERVICE;
use proto::product::v1::product_service_server::SERVICE_NAME as PRODUCT_SERVICE;

use crate::clients::{AdminFlags, ConnectionFlags, DeliveryFlags, OutputFlags, Peer, ProductFlags, Service};
use crate::exit::{Exit, Failure};
use crate::tables;
use figures::Figures;

/// Show whether the services answer and serve, and how busy they are.
///
/// Tells for each how fast it answers and what it says of its health; for Product also how fresh its catalogue is. From their
/// metrics (--admin-listen) it tells the calls in flight; the digest of Product's catalogue, which is the same in each of its
/// processes that has read the same; and Product as Delivery sees it: each endpoint with its breaker, its latency and its failed
/// attempts, and for each kind of calls (live ones, and those that verify deferred deliveries) how many are in flight, the
/// retries that its budget still allows, and what was refused.
///
/// Ends with 0 if everything is SERVING, else 5; whether metrics can be read makes no difference. With --json: one line for
/// each service; what its metrics tell is under metrics, catalogue and product_client.
#[derive(ClapArgs, Debug)]
pub struct Args {
    #[command(flatten)]
    product: ProductFlags,
    #[command(flatten)]
    delivery: DeliveryFlags,
    #[command(flatten)]
    admin: AdminFlags,
    #[command(flatten)]
    connection: ConnectionFlags,
    #[command(flatten)]
    output: OutputFlags,
}

/// Looks at everything at the same time.
pub async fn run(args: Args) -> Result<Exit, Failure> {
    let product = Peer::product(&args.product, &args.connection)?;
    let delivery = Peer::delivery(&args.delivery, &args.connection)?;
    let timeout = args.connection.timeout;
    let (product, product_figures, delivery, delivery_figures) = tokio::join!(
        seen::look(&product, Service::Product, &[PRODUCT_SERVICE, CATALOGUE_SERVICE]),
        Figures::read(Service::Product, &args.admin.product_admin, timeout),
        seen::look(&delivery, Service::Delivery, &[DELIVERY_SERVICE]),
        Figures::read(Service::Delivery, &args.admin.delivery_admin, timeout),
    );
    let services = [(product, product_figures), (delivery, delivery_figures)];
    if args.output.json {
        for (seen, figures) in &services {
            let mut line = seen.json();
            figures.add_to_json(&mut line);
            tables::say(line)?;
        }
    } else {
        let mut parts: Vec<_> = services.iter().map(|(seen, figures)| seen.text(figures.facts())).collect();
        parts.extend(services.iter().filter_map(|(_, figures)| figures.tables()));
        tables::say(parts.join("\n\n"))?;
    }
    let all_serve = services.iter().all(|(seen, _)| seen.is_serving());
    Ok(if all_serve { Exit::Done } else { Exit::Silent })
}
