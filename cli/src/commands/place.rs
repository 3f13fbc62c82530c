//! A place as people name it: a location's id, or an address that Product finds the location of.

use clap::Args;
use proto::product::v1::product_service_client::ProductServiceClient;
use proto::product::v1::{ResolveLocationRequest, ResolveLocationResponse};
use uuid::Uuid;

use crate::clients::{CallError, Peer};

/// A location's id, or an address instead.
#[derive(Args, Clone, Debug)]
pub struct Place {
    /// The location's id (a UUID). Or leave it out and give an address: --country and whatever else is known.
    #[arg(value_name = "LOCATION", required_unless_present = "country", conflicts_with = "country")]
    pub location: Option<Uuid>,

    #[command(flatten)]
    pub address: Address,
}

/// An address, as far as it is known.
#[derive(Args, Clone, Debug)]
pub struct Address {
    /// The country's ISO 3166-1 code, such as NL.
    #[arg(long, value_name = "CODE", help_heading = "Address")]
    pub country: Option<String>,

    /// The region: its ISO 3166-2 code (NL-NH or NH) or its name.
    #[arg(
        long,
        requires = "country",
        default_value = "",
        hide_default_value = true,
        help_heading = "Address"
    )]
    pub region: String,

    /// The city's name.
    #[arg(
        long,
        requires = "country",
        default_value = "",
        hide_default_value = true,
        help_heading = "Address"
    )]
    pub city: String,

    /// The postcode, as people write it: "1012 LG".
    #[arg(
        long,
        requires = "country",
        default_value = "",
        hide_default_value = true,
        help_heading = "Address"
    )]
    pub postcode: String,
}

// === impl Place ===

impl Place {
    /// The location's id; asks Product if it is an address.
    ///
    /// # Errors
    /// Product did not say where the address lies.
    pub async fn location_id(&self, product: &Peer) -> Result<String, CallError> {
        match self.location {
            Some(id) => Ok(id.to_string()),
            None => Ok(self.address.resolve(product).await?.location_id),
        }
    }
}

// === impl Address ===

impl Address {
    /// Where the address lies.
    ///
    /// # Errors
    /// Product did not say.
    pub async fn resolve(&self, product: &Peer) -> Result<ResolveLocationResponse, CallError> {
        let request = ResolveLocationRequest {
            country: self.country.clone().unwrap_or_default(),
            region: self.region.clone(),
            city: self.city.clone(),
            postcode: self.postcode.clone(),
        };
        let resolve =
            async |channel, request| ProductServiceClient::new(channel).resolve_location(request).await;
        product.call(request, resolve).await
    }
}
