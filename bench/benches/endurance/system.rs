//! Real processes: Products with one small catalogue, and a Delivery that asks them.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proto::delivery::v1::delivery_service_client::DeliveryServiceClient;
use proto::product::v1::catalogue_service_client::CatalogueServiceClient;
use proto::product::v1::{self as wire, place_selector, product_selector};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};
use uuid::Uuid;

const PRODUCT: &str = "0190b0a0-0000-7000-8000-00000000000a";
const LOCATION: &str = "0190b0a0-0000-7000-8000-00000000000b";
const RULE: &str = "0190b0a0-0000-7000-8000-00000000000c";
const ATTEMPTS: &str = "candeliver_product_client_attempts_total";
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// One process, at one address however often it is started.
pub struct Service {
    program: &'static str,
    flags: Vec<String>,
    port: u16,
    child: Option<Child>,
}

/// A Delivery and its Products.
pub struct System {
    pub products: Vec<Service>,
    pub delivery: Service,
    admin_port: u16,
    folder: PathBuf,
}

// === impl System ===

impl System {
    /// Starts so many Products, and a Delivery with further flags.
    pub async fn start(products: usize, flags: &[&str]) -> Self {
        let folder = std::env::temp_dir().join(format!("candeliver-bench-{}", Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        let url = |name: &str| format!("--database-url=sqlite://{}/{name}.db", folder.display());
        let mut started = Vec::new();
        for number in 0..products {
            let mut product = Service::new("product", vec![url(&format!("product-{number}"))]);
            product.start().await;
            fill(&product).await;
            started.push(product);
        }
        let admin_port = free_port();
        let urls: Vec<_> = started.iter().map(Service::url).collect();
        let mut all = vec![
            url("delivery"),
            format!("--product-url={}", urls.join(",")),
            format!("--admin-listen=127.0.0.1:{admin_port}"),
        ];
        all.extend(flags.iter().map(ToString::to_string));
        let mut delivery = Service::new("delivery", all);
        delivery.start().await;
        Self { products: started, delivery, admin_port, folder }
    }

    /// A client of Delivery, on a connection of its own.
    pub fn client(&self) -> DeliveryServiceClient<Channel> {
        DeliveryServiceClient::new(self.delivery.channel())
    }

    /// How Delivery's attempts on Product ended, all endpoints together.
    pub async fn outcomes(&self) -> String {
        let page = self.metrics().await;
        let mut sums = std::collections::BTreeMap::<&str, f64>::new();
        for line in page.lines().filter(|line| line.starts_with(ATTEMPTS)) {
            let outcome = line.split("outcome=\"").nth(1).and_then(|rest| rest.split('"').next());
            let number = line.rsplit(' ').next().and_then(|number| number.parse::<f64>().ok());
            if let (Some(outcome), Some(number)) = (outcome, number.filter(|number| *number > 0.0)) {
                *sums.entry(outcome).or_default() += number;
            }
        }
        let told: Vec<_> = sums.iter().map(|(outcome, number)| format!("{number} {outcome}")).collect();
        told.join(", ")
    }

    /// Attempts that Delivery made on any endpoint.
    pub async fn attempts(&self) -> f64 {
        let page = self.metrics().await;
        let of_it = page.lines().filter(|line| line.starts_with(ATTEMPTS));
        of_it.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    async fn metrics(&self) -> String {
        let mut page = String::new();
        let mut stream = TcpStream::connect(("127.0.0.1", self.admin_port)).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        stream.read_to_string(&mut page).await.unwrap();
        page
    }
}

impl Drop for System {
    fn drop(&mut self) {
        self.products.iter_mut().for_each(Service::kill);
        self.delivery.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What can be delivered, in every Product alike.
pub fn wanted() -> proto::delivery::v1::CreateDeliveryRequest {
    proto::delivery::v1::CreateDeliveryRequest {
        product_id: PRODUCT.to_owned(),
        location_id: LOCATION.to_owned(),
        ..Default::default()
    }
}

async fn fill(product: &Service) {
    let mut client = CatalogueServiceClient::new(product.channel());
    let milk =
        wire::Product { product_id: PRODUCT.to_owned(), name: "milk".to_owned(), ..Default::default() };
    client.create_product(wire::CreateProductRequest { product: Some(milk) }).await.unwrap();
    let land = wire::Location {
        location_id: LOCATION.to_owned(),
        kind: wire::LocationKind::Country.into(),
        name: "land".to_owned(),
        ..Default::default()
    };
    client.create_location(wire::CreateLocationRequest { location: Some(land) }).await.unwrap();
    let place = place_selector::Selector::LocationId(LOCATION.to_owned());
    let rule = wire::Rule {
        rule_id: RULE.to_owned(),
        effect: wire::Effect::Allow.into(),
        product: Some(wire::ProductSelector { selector: Some(product_selector::Selector::Any(true)) }),
        place: Some(wire::PlaceSelector { selector: Some(place) }),
        ..Default::default()
    };
    client.create_rule(wire::CreateRuleRequest { rule: Some(rule) }).await.unwrap();
}

// === impl Service ===

impl Service {
    fn new(program: &'static str, flags: Vec<String>) -> Self {
        Self { program, flags, port: free_port(), child: None }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A connection of its own.
    fn channel(&self) -> Channel {
        Endpoint::from_shared(self.url()).unwrap().tcp_nodelay(true).connect_lazy()
    }

    /// Starts it and waits until it serves.
    pub async fn start(&mut self) {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/").to_owned() + self.program;
        let child = Command::new(program)
            .arg(format!("--listen=127.0.0.1:{}", self.port))
            .args(&self.flags)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("cargo build --release --bins comes first");
        self.child = Some(child);
        let serving = async {
            while !self.is_serving().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(START_TIMEOUT, serving).await.expect("it serves in time");
    }

    async fn is_serving(&self) -> bool {
        use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
        let service = match self.program {
            "product" => "candeliver.product.v1.ProductService",
            _ => "candeliver.delivery.v1.DeliveryService",
        };
        let checked =
            HealthClient::new(self.channel()).check(HealthCheckRequest { service: service.to_owned() }).await;
        checked.is_ok_and(|checked| checked.into_inner().status == 1)
    }

    pub fn signal(&self, signal: Signal) {
        let pid = self.child.as_ref().expect("it runs").id();
        kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Ends it as Kubernetes does, and waits for that.
    pub async fn end(&mut self) {
        self.signal(Signal::SIGTERM);
        let mut child = self.child.take().unwrap();
        tokio::task::spawn_blocking(move || child.wait()).await.unwrap().unwrap();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
