//! Both sides of TLS as the tests set them up: a server called server.test, and clients by the names in their certificates.

use chassis::tls::client::{ClientTls, NoTls, ServerHost};
use chassis::tls::{PemFile, ServerTls, TlsSettings};
use prost::Message;
use prost_types::{FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto, ServiceDescriptorProto};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::client::TlsStream;

use super::pki::{Pair, Pki};
use super::{Client, soon};

pub const SERVER: &str = "server.test";

/// The settings of a server that shows a certificate and asks for none.
pub fn settings(pki: &Pki) -> TlsSettings {
    let pair = pki.issue("server", &[SERVER]);
    TlsSettings { tls_cert_file: Some(pair.cert), tls_key_file: Some(pair.key), ..TlsSettings::default() }
}

/// The settings of a server that asks clients for certificates, and allows them what `allow` says.
pub fn mutual(pki: &Pki, allow: &str) -> TlsSettings {
    let access = pki.file("access.toml", &format!("[allow]\n{allow}"));
    TlsSettings { tls_client_ca_file: Some(pki.ca()), access_file: Some(access), ..settings(pki) }
}

pub fn load(settings: &TlsSettings) -> ServerTls {
    settings.load(&[&descriptors()]).unwrap().expect("the settings ask for TLS")
}

/// What the scripted service's .proto file would come to.
pub fn descriptors() -> Vec<u8> {
    let method = |name: &str| MethodDescriptorProto { name: Some(name.to_owned()), ..Default::default() };
    let service = ServiceDescriptorProto {
        name: Some("Script".to_owned()),
        method: vec![method("Say"), method("Tell")],
        ..Default::default()
    };
    let file = FileDescriptorProto {
        package: Some("test".to_owned()),
        service: vec![service],
        ..Default::default()
    };
    FileDescriptorSet { file: vec![file] }.encode_to_vec()
}

/// A client that believes an authority, and may show a certificate.
pub fn client_tls(pki: &Pki, shown: Option<Pair>) -> ClientTls {
    let (cert, key) = shown.map(|pair| (pair.cert, pair.key)).unzip();
    let file = |path| PemFile::new("test-file", path);
    ClientTls::new(Some(file(pki.ca())), cert.map(file), key.map(file)).unwrap()
}

/// A client over TLS on a connection.
pub async fn client(
    tls: &ClientTls,
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<Client, NoTls> {
    Ok(Client::over(secure(tls, io).await?).await)
}

/// A connection to server.test with its handshake done.
pub async fn secure<IO: AsyncRead + AsyncWrite + Unpin>(
    tls: &ClientTls,
    io: IO,
) -> Result<TlsStream<IO>, NoTls> {
    soon(tls.connect(io, &ServerHost::parse(SERVER).unwrap())).await
}

/// Whether the server ends a connection because of the certificate that it was shown. In TLS 1.3 the client's side of the
/// handshake is done by then, so that the alert comes with the first thing that it reads.
pub async fn refused(tls: &ClientTls, io: impl AsyncRead + AsyncWrite + Unpin) -> bool {
    let Ok(mut stream) = secure(tls, io).await else { return true };
    // HTTP/2's preface with empty settings: a server that takes it answers with its own.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let answer = async {
        stream.write_all(preface).await?;
        stream.read(&mut [0; 64]).await
    };
    match soon(answer).await {
        Ok(count) => count == 0,
        Err(error) => error.to_string().contains("alert"),
    }
}
