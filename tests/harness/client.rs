// SPDX-License-Identifier: MIT OR Apache-2.0
//! rustls clients that any test may use.

use crate::pki::{NAME, pki};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;

/// A connection.
pub type Tls = StreamOwned<ClientConnection, TcpStream>;

/// The root that signed the servers' certificates.
pub fn roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(pki().path("root.pem")).expect("a certificate")).expect("a root");
    roots
}

/// A client's configuration.
pub fn config(provider: CryptoProvider, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    ClientConfig::builder_with_provider(provider.into())
        .with_protocol_versions(versions)
        .expect("versions")
        .with_root_certificates(roots())
        .with_no_client_auth()
}

/// The same with rustls's defaults.
pub fn default_config() -> Arc<ClientConfig> {
    config(aws_lc_rs::default_provider(), rustls::DEFAULT_VERSIONS).into()
}

/// Connects; the handshake happens with the first read or write.
///
/// # Errors
/// The address does not answer.
pub fn try_connect(address: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<Tls> {
    let name = ServerName::try_from(NAME).expect("a name");
    let connection = ClientConnection::new(config.clone(), name).expect("a client");
    Ok(StreamOwned::new(connection, TcpStream::connect(address)?))
}

/// The same, where it has to succeed.
#[track_caller]
pub fn connect(address: SocketAddr, config: &Arc<ClientConfig>) -> Tls {
    try_connect(address, config).unwrap_or_else(|e| panic!("connect to {address}: {e}"))
}

/// `GET path` and the body of the response, up to its length; the connection stays open.
///
/// # Errors
/// The connection broke, or the response is not 200.
pub fn get(tls: &mut Tls, path: &str) -> io::Result<Vec<u8>> {
    write!(tls, "GET {path} HTTP/1.1\r\n\r\n")?;
    response(tls)
}

/// The body of a response with a Content-Length.
///
/// # Errors
/// The connection broke, or the response is not 200.
pub fn response(tls: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        tls.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    let length = head.lines().find_map(|l| l.strip_prefix("Content-Length: ")).and_then(|l| l.parse().ok());
    let Some(length) = length.filter(|_| head.starts_with("HTTP/1.1 200")) else {
        return Err(io::Error::other(format!("an odd response: {head}")));
    };
    let mut body = vec![0; length];
    tls.read_exact(&mut body)?;
    Ok(body)
}

/// Sends close_notify and FIN: the client will send nothing more, but still reads.
///
/// # Errors
/// The connection broke.
pub fn half_close(tls: &mut Tls) -> io::Result<()> {
    tls.conn.send_close_notify();
    tls.flush()?;
    tls.sock.shutdown(Shutdown::Write)
}
