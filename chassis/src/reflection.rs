//! Server reflection, v1 and v1alpha: what this server offers, for clients that have no .proto files.

use tonic_reflection::pb::{v1, v1alpha};
use tonic_reflection::server::v1::{ServerReflection, ServerReflectionServer};
use tonic_reflection::server::v1alpha::{
    ServerReflection as ServerReflectionAlpha, ServerReflectionServer as ServerReflectionAlphaServer,
};
use tonic_reflection::server::{Builder, Error};

/// A question: a host, and the name of a file or a symbol.
const MAX_REQUEST_BYTES: usize = 4 * 1024;

/// The two services, each listing every service of `file_descriptor_sets`, health, and both of themselves. (Python's
/// client speaks only v1alpha, others begin with v1.)
///
/// # Errors
/// One of the sets is not an encoded FileDescriptorSet.
pub fn services(
    file_descriptor_sets: &[&'static [u8]],
) -> Result<
    (ServerReflectionServer<impl ServerReflection>, ServerReflectionAlphaServer<impl ServerReflectionAlpha>),
    Error,
> {
    let builder = || {
        let always = [
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            // tonic's builder would list its own version only.
            v1::FILE_DESCRIPTOR_SET,
            v1alpha::FILE_DESCRIPTOR_SET,
            // So that clients can show the details of an error.
            tonic_types::pb::FILE_DESCRIPTOR_SET,
        ];
        let sets = file_descriptor_sets.iter().copied().chain(always);
        sets.fold(Builder::configure(), Builder::register_encoded_file_descriptor_set)
            .include_reflection_service(false)
    };
    let (v1, v1alpha) = (builder().build_v1()?, builder().build_v1alpha()?);
    Ok((
        v1.max_decoding_message_size(MAX_REQUEST_BYTES),
        v1alpha.max_decoding_message_size(MAX_REQUEST_BYTES),
    ))
}
