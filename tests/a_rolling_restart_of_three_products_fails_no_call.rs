//! Three Products are restarted one after the other, as for an upgrade, while deliveries are created: none fails.

use nix::sys::signal::Signal;

use crate::support::callers::{Callers, assert_all_ok};
use crate::support::catalogue::Shop;
use crate::support::databases::{Throwaway, on_both};
use crate::support::port::Port;
use crate::support::process::Service;
use crate::support::{catalogue, services};

on_both!(a_rolling_restart_of_three_products_fails_no_call);

const PRODUCTS: usize = 3;
/// Calls while all is well: they fill the budget for further attempts.
const WARM_UP: usize = 500;
/// Calls between a restart and the next.
const BETWEEN: usize = 300;

async fn a_rolling_restart_of_three_products_fails_no_call(database: &impl AsyncFn() -> Throwaway) {
    let (shop, delivery_database) = (Shop::plan(), database().await);
    let databases = three_of(database).await;
    let ports: [_; PRODUCTS] = std::array::from_fn(|_| Port::reserve());
    let mut products = Vec::new();
    for (port, database) in ports.iter().zip(&databases) {
        products.push(services::product_with(&database.url(), Some(port.address), &[]).await);
    }
    stock(&products, &databases, &shop).await;
    let addresses = ports.each_ref().map(|port| port.address);
    let delivery = services::delivery_of(&delivery_database.url(), &addresses, &[]).await;
    let callers = Callers::crowd_of(&delivery, &shop).await;
    assert_all_ok(&callers.create(WARM_UP).await);

    for (product, database) in products.iter_mut().zip(&databases) {
        let ((), during) = callers.create_during(restart(product, database)).await;
        println!("{} were created during a restart", during.len());
        assert_all_ok(&during);
        assert_all_ok(&callers.create(BETWEEN).await);
    }
}

/// PostgreSQL is one for all Products; an SQLite file has one process, so each has a file with the same in it.
async fn three_of(database: &impl AsyncFn() -> Throwaway) -> [Throwaway; PRODUCTS] {
    match database().await {
        Throwaway::Postgres { ref url } => std::array::from_fn(|_| Throwaway::Postgres { url: url.clone() }),
        first @ Throwaway::Sqlite { .. } => [first, database().await, database().await],
    }
}

async fn stock(products: &[Service], databases: &[Throwaway], shop: &Shop) {
    for (index, product) in products.iter().enumerate() {
        let is_shared = databases[..index].iter().any(|database| database.url() == databases[index].url());
        if is_shared {
            catalogue::until_stocked(product, shop).await;
        } else {
            catalogue::stock(product, shop).await;
        }
    }
}

async fn restart(product: &mut Service, database: &Throwaway) {
    product.signal(Signal::SIGTERM);
    assert_eq!(product.ended().await.code(), Some(0));
    *product = services::product_back_at(product.address, database).await;
}
