//! Product and Delivery, each on its database, started and ready to be asked.

use std::net::SocketAddr;

use tonic_health::pb::health_check_response::ServingStatus;

use super::databases::Throwaway;
use super::port::Port;
use super::process::Service;
use super::{clients, eventually};

/// What health calls the service that answers questions.
pub const PRODUCT_SERVICE: &str = "candeliver.product.v1.ProductService";
/// What health calls the service that takes changes.
pub const CATALOGUE_SERVICE: &str = "candeliver.product.v1.CatalogueService";
/// What health calls Delivery's.
pub const DELIVERY_SERVICE: &str = "candeliver.delivery.v1.DeliveryService";

/// A Product with its catalogue loaded.
pub async fn product(database: &Throwaway) -> Service {
    product_with(&database.url(), None, &[]).await
}

/// A Product on the address that another had, which is how a fixed `--product-url` finds it again.
pub async fn product_back_at(address: SocketAddr, database: &Throwaway) -> Service {
    product_with(&database.url(), Some(address), &[]).await
}

/// A Product with more flags, its catalogue loaded.
pub async fn product_with(database_url: &str, listen: Option<SocketAddr>, flags: &[&str]) -> Service {
    let product =
        Service::start("product", listen, &[&["--database-url", database_url], flags].concat()).await;
    until_health_is(&product, ServingStatus::Serving).await;
    product
}

/// A Delivery that asks the Product at an address.
pub async fn delivery(database: &Throwaway, product: SocketAddr) -> Service {
    delivery_with(&database.url(), product, &[]).await
}

/// A Delivery with more flags.
pub async fn delivery_with(database_url: &str, product: SocketAddr, flags: &[&str]) -> Service {
    delivery_of(database_url, &[product], flags).await
}

/// A Delivery with more flags that asks several Products.
pub async fn delivery_of(database_url: &str, products: &[SocketAddr], flags: &[&str]) -> Service {
    delivery_at(None, database_url, products, flags).await
}

/// The same, on the address that another had.
pub async fn delivery_at(
    listen: Option<SocketAddr>,
    database_url: &str,
    products: &[SocketAddr],
    flags: &[&str],
) -> Service {
    let product_urls: Vec<_> = products.iter().map(|product| format!("http://{product}")).collect();
    let product_urls = product_urls.join(",");
    let arguments = ["--database-url", database_url, "--product-url", &product_urls];
    let delivery = Service::start("delivery", listen, &[&arguments, flags].concat()).await;
    until_health_is(&delivery, ServingStatus::Serving).await;
    delivery
}

/// A Product and a Delivery that asks it, each with the port of its metrics page.
pub async fn both_with_pages([product, delivery]: &[Throwaway; 2]) -> [(Service, Port); 2] {
    let pages = [Port::reserve(), Port::reserve()];
    let [first, second] = pages.each_ref().map(|page| page.address.to_string());
    let product = product_with(&product.url(), None, &["--admin-listen", &first]).await;
    let delivery = delivery_with(&delivery.url(), product.address, &["--admin-listen", &second]).await;
    let [product_page, delivery_page] = pages;
    [(product, product_page), (delivery, delivery_page)]
}

/// Waits until the process as a whole is SERVING, or is not.
pub async fn until_health_is(service: &Service, wanted: ServingStatus) {
    eventually("health", async || match clients::health(service, "").await {
        Ok(status) if status == wanted => Ok(()),
        other => Err(format!("{other:?}, and {wanted:?} is wanted")),
    })
    .await;
}
