//! The contract between the services, generated from the .proto files beside this file.
#![allow(missing_docs, clippy::all, clippy::pedantic)]

pub mod product {
    pub mod v1 {
        tonic::include_proto!("candeliver.product.v1");
    }
}

pub mod delivery {
    pub mod v1 {
        tonic::include_proto!("candeliver.delivery.v1");
    }
}

/// Every file of the contract as an encoded `FileDescriptorSet`, for server reflection and JSON.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/candeliver.bin"));
