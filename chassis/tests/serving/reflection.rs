//! Reflection on the wire: clients of both versions find everything.

use crate::harness::{Wire, listed_by};

const EVERYTHING: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

#[tokio::test]
async fn both_versions_list_every_service() {
    let wire = Wire::new();
    let client = wire.client().await;
    assert_eq!(listed_by!(v1, client).unwrap(), EVERYTHING);
    assert_eq!(listed_by!(v1alpha, client).unwrap(), EVERYTHING);
}
