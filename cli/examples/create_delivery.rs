//! Creates a delivery and survives what may happen on the way:
//! `cargo run -p cli --example create_delivery http://HOST:PORT PRODUCT LOCATION`. Exit code 2: the product can't be delivered
//! there.

use std::process::ExitCode;
use std::time::Duration;

use proto::delivery::v1::CreateDeliveryRequest;
use proto::delivery::v1::delivery_service_client::DeliveryServiceClient;
use tonic::transport::Endpoint;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

const DEADLINE: Duration = Duration::from_secs(2);
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, product_id, location_id] = &arguments[..] else {
        eprintln!("create_delivery http://HOST:PORT PRODUCT LOCATION");
        return ExitCode::FAILURE;
    };
    // One channel for the whole program: it keeps its connection, and makes another when the server sends it away.
    let channel = match Endpoint::from_shared(url.clone()) {
        Ok(endpoint) => endpoint.connect_lazy(),
        Err(error) => {
            eprintln!("{url}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut delivery = DeliveryServiceClient::new(channel);
    let order = CreateDeliveryRequest {
        // Made here, so that sending it again is safe: the same content under one id is one delivery.
        delivery_id: Some(Uuid::now_v7().to_string()),
        product_id: product_id.clone(),
        location_id: location_id.clone(),
        external_reference: "order-1".to_owned(),
        ..Default::default()
    };
    for attempt in 1.. {
        let mut request = Request::new(order.clone());
        request.set_timeout(DEADLINE);
        let error = match delivery.create_delivery(request).await {
            Ok(answer) => {
                let created = answer.into_inner().delivery.unwrap_or_default();
                let state = created.state().as_str_name();
                println!("{} {}", created.delivery_id, state.trim_start_matches("DELIVERY_STATE_"));
                return ExitCode::SUCCESS;
            }
            Err(error) => error,
        };
        let details = error.get_error_details();
        let info = details.error_info();
        if let Some(info) = info.filter(|info| info.reason == "NOT_DELIVERABLE") {
            println!("not deliverable: {}", info.metadata.get("verdict_reason").map_or("", String::as_str));
            return ExitCode::from(2);
        }
        if !is_worth_retrying(&error, details.retry_info().is_some()) || attempt == ATTEMPTS {
            eprintln!("{:?} {} {}", error.code(), info.map_or("", |info| &info.reason), error.message());
            return ExitCode::FAILURE;
        }
        // As long as the server says, or longer each time; and by chance, so that callers don't come back together.
        let told = details.retry_info().and_then(|retry| retry.retry_delay).unwrap_or_default();
        let chance = f64::from(Uuid::new_v4().as_bytes()[0]) / 255.0;
        tokio::time::sleep(told.max(FIRST_PAUSE * 2_u32.pow(attempt)).mul_f64(1.0 + chance / 2.0)).await;
    }
    ExitCode::FAILURE
}

/// tonic tells an expired deadline of its own as CANCELLED. Too much at once will be less when the server says; what is too much
/// for ever comes without a time.
fn is_worth_retrying(error: &Status, has_time: bool) -> bool {
    match error.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => true,
        Code::ResourceExhausted => has_time,
        _ => false,
    }
}
