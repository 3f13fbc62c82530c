//! The contract between the services, generated from the .proto files beside this file.
#![allow(missing_docs, clippy::all, clippy::pedantic)]

pub mod codec;

/// What the Product service speaks.
pub mod product {
    /// The only version there is.
    pub mod v1 {
        tonic::include_proto!("candeliver.product.v1");
    }

    /// This part of the contract as an encoded `FileDescriptorSet`, for server reflection and for JSON.
    pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/product.bin"));
}

/// What the Delivery service speaks.
pub mod delivery {
    /// The only version there is.
    pub mod v1 {
        tonic::include_proto!("candeliver.delivery.v1");
    }

    /// This part of the contract as an encoded `FileDescriptorSet`, for server reflection and for JSON.
    pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/delivery.bin"));
}
