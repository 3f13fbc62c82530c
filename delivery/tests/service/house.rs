//! The service, running in this process, and a client of it.

use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;
use std::time::Duration;

use chassis::settings::ServerSettings;
use chassis::shutdown::{Shutdown, Trigger};
use chassis::status;
use delivery::products::{Product, ProductSettings};
use delivery::store::Store;
use delivery::{DeferLimits, Rules};
use proto::delivery::v1 as wire;
use proto::delivery::v1::delivery_service_client::DeliveryServiceClient;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The longest that Product is waited for in these tests.
pub const PRODUCT_TIMEOUT: Duration = Duration::from_millis(300);

pub struct House {
    pub client: DeliveryServiceClient<Channel>,
    pub channel: Channel,
    stop: Trigger,
    serving: JoinHandle<std::io::Result<()>>,
}

/// Rules under which nothing runs out.
pub fn rules() -> Rules {
    let day = Duration::from_secs(86_400);
    Rules { defer: DeferLimits { verify_within: day, max_pending: 1_000 }, recheck_after: day }
}

/// Product is waited for shortly, asked once a question, and asked again however often it failed.
pub fn product_settings() -> ProductSettings {
    ProductSettings {
        product_timeout_ms: u64::try_from(PRODUCT_TIMEOUT.as_millis()).unwrap(),
        product_max_attempts: 1,
        product_breaker_failure_percent: 101,
        product_breaker_slow_percent: 101,
        ..ProductSettings::default()
    }
}

/// A request for a new delivery, with an id of its own.
pub fn wanted(policy: wire::AdmissionPolicy) -> wire::CreateDeliveryRequest {
    wire::CreateDeliveryRequest {
        delivery_id: Some(uuid::Uuid::now_v7().to_string()),
        product_id: "0190b0a0-0000-7000-8000-00000000000a".to_owned(),
        location_id: "0190b0a0-0000-7000-8000-00000000000b".to_owned(),
        quantity: Some(2),
        external_reference: "order-1".to_owned(),
        admission_policy: policy.into(),
        min_revision: None,
    }
}

// === impl House ===

impl House {
    /// Serves, and asks Product at `product`.
    pub fn open(store: &Store, product: SocketAddr, rules: Rules) -> Self {
        let product_url = format!("http://{product}").parse().unwrap();
        let settings = ProductSettings { product_url, ..product_settings() };
        Self::open_with(store, Product::new(&settings).unwrap(), rules)
    }

    /// Serves, and asks Product as it is told.
    pub fn open_with(store: &Store, product: Product, rules: Rules) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::from_shared(format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let (stop, shutdown) = Shutdown::new();
        let store = store.clone();
        let serving = std::thread::spawn(move || {
            let settings = ServerSettings { threads: Some(1), drain_seconds: 1, ..ServerSettings::default() };
            delivery::serve(listener.into(), &settings, store, product, rules, shutdown)
        });
        let channel = endpoint.connect_lazy();
        Self { client: DeliveryServiceClient::new(channel.clone()), channel, stop, serving }
    }

    /// Ends serving, which works.
    pub async fn close(self) {
        self.stop.start();
        drop((self.client, self.channel));
        tokio::task::spawn_blocking(|| self.serving.join()).await.unwrap().unwrap().unwrap();
    }

    pub async fn create(&mut self, wanted: &wire::CreateDeliveryRequest) -> Result<wire::Delivery, Status> {
        let response = self.client.create_delivery(wanted.clone()).await?;
        Ok(response.into_inner().delivery.unwrap())
    }

    pub async fn get(&mut self, delivery_id: &str) -> Result<wire::Delivery, Status> {
        let request = wire::GetDeliveryRequest { delivery_id: delivery_id.to_owned() };
        let response = self.client.get_delivery(request).await?;
        Ok(response.into_inner().delivery.unwrap())
    }

    pub async fn dispatch(&mut self, delivery_id: &str, version: u32) -> Result<wire::Delivery, Status> {
        let request = wire::DispatchDeliveryRequest { delivery_id: delivery_id.to_owned(), version };
        let response = self.client.dispatch_delivery(request).await?;
        Ok(response.into_inner().delivery.unwrap())
    }

    /// Asks again and again, each time over the wire, until a delivery is in a state; the test's own timeout ends it.
    pub async fn until(&mut self, delivery_id: &str, state: wire::DeliveryState) -> wire::Delivery {
        loop {
            let delivery = self.get(delivery_id).await.unwrap();
            if delivery.state() == state {
                return delivery;
            }
            tokio::task::yield_now().await;
        }
    }

    pub async fn is_stored(&mut self, wanted: &wire::CreateDeliveryRequest) -> bool {
        match self.get(wanted.delivery_id.as_ref().unwrap()).await {
            Ok(_) => true,
            Err(status) => {
                assert_failed(&status, Code::NotFound, "DELIVERY_NOT_FOUND");
                false
            }
        }
    }
}

/// The status has a code and a reason.
#[track_caller]
pub fn assert_failed(status: &Status, code: Code, reason: &str) {
    let found = status::reason(status);
    assert_eq!((status.code(), found.as_deref()), (code, Some(reason)), "{status:?}");
}

/// One entry of the ErrorInfo's metadata.
pub fn metadata(status: &Status, key: &str) -> Option<String> {
    status.get_details_error_info().unwrap().metadata.get(key).cloned()
}

/// When the status says to try again.
pub fn retry_after(status: &Status) -> Option<Duration> {
    status.get_details_retry_info().and_then(|info| info.retry_delay)
}
