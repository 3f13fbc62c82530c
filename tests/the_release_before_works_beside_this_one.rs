//! The release before this one and this one work side by side on one database, under load: while one replaces the other,
//! process by process, and when the old one comes back. No call fails, and each reads what the other has acknowledged.

use std::collections::BTreeSet;

use nix::sys::signal::Signal;
use proto::delivery::v1::Delivery;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::support::binaries::Release;
use crate::support::callers::{Answered, Callers, assert_all_ok};
use crate::support::catalogue::{Shop, open_shop};
use crate::support::databases::{Throwaway, on_postgres};
use crate::support::port::Port;
use crate::support::process::Service;
use crate::support::{deliveries, services};

on_postgres!(the_release_before_works_beside_this_one);

/// Creates through each Delivery between two replacements. At first they fill the budget for further attempts at Product.
const BETWEEN: usize = 150;

async fn the_release_before_works_beside_this_one(database: &impl AsyncFn() -> Throwaway) {
    if !Release::Before.is_here() {
        eprintln!("left out: this checkout has no history, and with it no release before");
        return;
    }
    // Nobody waits for a build while calls are under way.
    for release in [Release::Before, Release::This] {
        release.program("delivery");
    }
    let mut house = House::of(Release::Before, [database().await, database().await]).await;
    house.is_well().await;

    // As a rollout goes: the first new Delivery migrates what the old one is working on.
    house.replace_delivery(0, Release::This).await;
    house.agrees().await;
    house.replace_product(0, Release::This).await;
    house.agrees().await;
    house.replace_product(1, Release::This).await;
    house.replace_delivery(1, Release::This).await;
    house.agrees().await;

    // And as it goes back: the old one starts on what the new one has migrated.
    house.replace_delivery(0, Release::Before).await;
    house.replace_product(0, Release::Before).await;
    house.agrees().await;
}

/// Two Products on one database, two Deliveries on another, and callers of both.
struct House {
    databases: [Throwaway; 2],
    ports: Vec<Port>,
    products: Vec<Service>,
    deliveries: Vec<Service>,
    callers: Vec<Callers>,
    shop: Shop,
    acknowledged: BTreeSet<String>,
}

// === impl House ===

impl House {
    async fn of(release: Release, databases: [Throwaway; 2]) -> Self {
        let ports: Vec<_> = std::iter::repeat_with(Port::reserve).take(4).collect();
        let mut house = Self {
            databases,
            ports,
            products: Vec::new(),
            deliveries: Vec::new(),
            callers: Vec::new(),
            shop: Shop::plan(),
            acknowledged: BTreeSet::new(),
        };
        for index in 0..2 {
            let product = house.product(index, release).await;
            house.products.push(product);
        }
        house.shop = open_shop(&house.products[0]).await;
        for index in 0..2 {
            let delivery = house.delivery(index, release).await;
            house.callers.push(Callers::of(&delivery, &house.shop).await);
            house.deliveries.push(delivery);
        }
        house
    }

    async fn product(&self, index: usize, release: Release) -> Service {
        start(release, "product", &self.ports[index], &["--database-url", &self.databases[0].url()]).await
    }

    async fn delivery(&self, index: usize, release: Release) -> Service {
        let [first, second] = [0, 1].map(|index: usize| self.ports[index].address);
        let product_url = format!("http://{first},http://{second}");
        let arguments = ["--database-url", &self.databases[1].url(), "--product-url", &product_url];
        start(release, "delivery", &self.ports[2 + index], &arguments).await
    }

    /// Deliveries are created through each Delivery, and none fails.
    async fn is_well(&mut self) {
        let created = tokio::join!(self.callers[0].create(BETWEEN), self.callers[1].create(BETWEEN));
        self.acknowledge(created.0);
        self.acknowledge(created.1);
    }

    /// Another release takes the place of a Product while both Deliveries are called.
    async fn replace_product(&mut self, index: usize, release: Release) {
        let old = self.products.remove(index);
        let replacing = async {
            end(old).await;
            self.product(index, release).await
        };
        let ((product, first), second) =
            self.callers[1].create_during(Box::pin(self.callers[0].create_during(replacing))).await;
        self.products.insert(index, product);
        self.acknowledge(first);
        self.acknowledge(second);
        self.is_well().await;
    }

    /// The same of a Delivery, whose callers go elsewhere meanwhile.
    async fn replace_delivery(&mut self, index: usize, release: Release) {
        let old = self.deliveries.remove(index);
        let replacing = async {
            end(old).await;
            self.delivery(index, release).await
        };
        let (delivery, created) = self.callers[1 - index].create_during(replacing).await;
        self.callers[index] = Callers::of(&delivery, &self.shop).await;
        self.deliveries.insert(index, delivery);
        self.acknowledge(created);
        self.is_well().await;
    }

    fn acknowledge(&mut self, created: Vec<Answered>) {
        assert_all_ok(&created);
        self.acknowledged.extend(created.iter().map(|answered| deliveries::id_of(&answered.order)));
    }

    /// Each Delivery reads all that was acknowledged, and the same of it; what one has made the other changes.
    async fn agrees(&self) {
        let [first, second] = [&self.deliveries[0], &self.deliveries[1]];
        let (read, also_read) = (deliveries::all(first).await, deliveries::all(second).await);
        assert_eq!(read, also_read);
        let read: BTreeSet<_> = read.into_iter().map(|delivery| delivery.delivery_id).collect();
        assert!(self.acknowledged.is_subset(&read), "what was acknowledged is there");
        for (one, other) in [(first, second), (second, first)] {
            let created = deliveries::create(one, &deliveries::order(&self.shop.rock, &self.shop.city)).await;
            let Delivery { delivery_id, .. } = created.expect("a rock goes to the city");
            let dispatched = deliveries::dispatch(other, &delivery_id).await.expect("it is CONFIRMED");
            assert_eq!(deliveries::get(one, &delivery_id).await.expect("it is there"), dispatched);
        }
    }
}

async fn start(release: Release, name: &str, port: &Port, arguments: &[&str]) -> Service {
    let service = Service::start_program(&release.program(name), Some(port.address), arguments).await;
    services::until_health_is(&service, ServingStatus::Serving).await;
    service
}

/// As Kubernetes ends it.
async fn end(mut service: Service) {
    service.signal(Signal::SIGTERM);
    assert_eq!(service.ended().await.code(), Some(0));
}
