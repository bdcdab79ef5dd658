// SPDX-License-Identifier: MIT OR Apache-2.0
//! `rustls-get CA ADDRESS NAME PATH`: fetches a page twice by TLS 1.3 and twice by 1.2 with rustls, and prints for each
//! connection version, group, kind of handshake and length of the response. For the kernel module's tests, in their guest.

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [ca, address, name, path] = arguments.as_slice() else {
        return Err("rustls-get CA ADDRESS NAME PATH".into());
    };
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca)?)?;
    for version in [&TLS13, &TLS12] {
        let config = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_protocol_versions(&[version])?
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        let config = Arc::new(config);
        for _ in 0..2 {
            let connection = ClientConnection::new(config.clone(), ServerName::try_from(name.clone())?)?;
            let mut tls = StreamOwned::new(connection, TcpStream::connect(address)?);
            write!(tls, "GET {path} HTTP/1.0\r\nHost: {name}\r\n\r\n")?;
            let mut response = String::new();
            tls.read_to_string(&mut response)?;
            let group = tls.conn.negotiated_key_exchange_group().map(|group| group.name());
            let kind = tls.conn.handshake_kind();
            println!("{:?} {group:?} {kind:?}: {} bytes", tls.conn.protocol_version(), response.len());
            if !response.starts_with("HTTP/1.") || !response.contains(" 200 ") {
                return Err(format!("an odd response: {response}").into());
            }
        }
    }
    Ok(())
}
