// SPDX-License-Identifier: MIT OR Apache-2.0
//! HAProxy's PROXY protocol, versions 1 and 2: what goes before the bytes of a connection to say whose they are.
//!
//! Source: haproxy's doc/proxy-protocol.txt (2020/03/05).

use std::fmt::Write;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// First bytes of version 2.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Longest line of version 1, with its end (§2.1).
const MAX_V1: usize = 107;
/// Longest header written: fixed part and IPv6 addresses, ALPN, server name, TLS parameters, client names, fingerprint.
pub const MAX_WRITTEN: usize =
    16 + 36 + (3 + 32) + (3 + 255) + (3 + 5 + 16 + 64) + 2 * (3 + MAX_CLIENT_NAME) + (3 + 36);
/// Client names are cut to this length, in bytes.
pub const MAX_CLIENT_NAME: usize = 512;

/// Types of version 2 (§2.2).
mod tlv {
    pub(super) const ALPN: u8 = 0x01;
    pub(super) const AUTHORITY: u8 = 0x02;
    pub(super) const SSL: u8 = 0x20;
    pub(super) const SSL_VERSION: u8 = 0x21;
    pub(super) const SSL_CN: u8 = 0x22;
    pub(super) const SSL_CIPHER: u8 = 0x23;
    pub(super) const CLIENT_SSL: u8 = 0x01;
    pub(super) const CLIENT_CERT_CONN: u8 = 0x02;
    pub(super) const CLIENT_CERT_SESS: u8 = 0x04;
}

/// Numbers of TLVs that the protocol leaves to applications (section 2.2.8), and so to the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// Of [`Tls::client_subject`].
    pub subject: u8,
    /// Of [`Tls::fingerprint`], which is sent if there is one.
    pub fingerprint: Option<u8>,
}

/// A header that is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

/// A header as received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its length in bytes, of which some may be still to come; the connection's own bytes follow.
    pub len: usize,
    /// Source and destination; `None` where the proxy speaks for itself (LOCAL, UNKNOWN).
    pub addresses: Option<(SocketAddr, SocketAddr)>,
}

/// Reads a header of either version from the first bytes of a connection; `None` if more are needed. What follows the addresses in
/// version 2 (TLVs, whatever a proxy says of itself) is not needed, however long it is.
///
/// # Errors
/// The bytes are not the beginning of a header.
pub fn parse(bytes: &[u8]) -> Result<Option<Header>, Invalid> {
    let begins = |magic: &[u8]| bytes.iter().zip(magic).all(|(a, b)| a == b);
    if begins(SIGNATURE) {
        return if bytes.len() < 16 { Ok(None) } else { parse_v2(bytes) };
    }
    if !begins(b"PROXY ") {
        return Err(Invalid);
    }
    match bytes.windows(2).take(MAX_V1 - 1).position(|pair| pair == b"\r\n") {
        Some(end) => parse_v1(bytes.get(..end).unwrap_or_default())
            .map(|addresses| Some(Header { len: end + 2, addresses })),
        None if bytes.len() < MAX_V1 => Ok(None),
        None => Err(Invalid),
    }
}

fn parse_v1(line: &[u8]) -> Result<Option<(SocketAddr, SocketAddr)>, Invalid> {
    let line = std::str::from_utf8(line).map_err(|_| Invalid)?;
    let mut words = line.split(' ').skip(1);
    let mut next = || words.next().ok_or(Invalid);
    let v4 = match next()? {
        "UNKNOWN" => return Ok(None),
        "TCP4" => true,
        "TCP6" => false,
        _ => return Err(Invalid),
    };
    let mut address = || {
        let address: IpAddr = next()?.parse().map_err(|_| Invalid)?;
        if address.is_ipv4() == v4 { Ok(address) } else { Err(Invalid) }
    };
    let (source, destination) = (address()?, address()?);
    let mut port = || {
        let word = next()?;
        let plain = word.bytes().all(|b| b.is_ascii_digit()) && (word.len() == 1 || !word.starts_with('0'));
        if plain { word.parse().map_err(|_| Invalid) } else { Err(Invalid) }
    };
    let addresses = (SocketAddr::new(source, port()?), SocketAddr::new(destination, port()?));
    if words.next().is_some() { Err(Invalid) } else { Ok(Some(addresses)) }
}

fn parse_v2(bytes: &[u8]) -> Result<Option<Header>, Invalid> {
    let Some((&[.., command, family, high, low], rest)) = bytes.split_first_chunk::<16>() else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let here = rest.get(..length).unwrap_or(rest);
    let addresses = match (command, family) {
        // LOCAL: the family and all that follows is to be ignored (§2.2).
        (0x20, _) => None,
        // TCP over IPv4
        (0x21, 0x11) if length < 12 => return Err(Invalid),
        (0x21, 0x11) => match addresses::<4>(here) {
            None => return Ok(None),
            addresses => addresses,
        },
        // TCP over IPv6
        (0x21, 0x21) if length < 36 => return Err(Invalid),
        (0x21, 0x21) => match addresses::<16>(here) {
            None => return Ok(None),
            addresses => addresses,
        },
        // Unspecified, Unix sockets: no address that would mean anything here.
        (0x21, 0x00 | 0x31) => None,
        _ => return Err(Invalid),
    };
    Ok(Some(Header { len: 16 + length, addresses }))
}

/// Two addresses of `N` bytes, and their ports; `None` if they have not come whole.
fn addresses<const N: usize>(payload: &[u8]) -> Option<(SocketAddr, SocketAddr)>
where
    IpAddr: From<[u8; N]>,
{
    let (source, rest) = payload.split_first_chunk::<N>()?;
    let (destination, rest) = rest.split_first_chunk::<N>()?;
    let &[a, b, c, d] = rest.first_chunk::<4>()?;
    let address = |ip: &[u8; N], port| SocketAddr::new(IpAddr::from(*ip), u16::from_be_bytes(port));
    Some((address(source, [a, b]), address(destination, [c, d])))
}

/// What version 2 says of the TLS connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tls<'a> {
    /// `TLSv1.3`
    pub version: &'a str,
    /// OpenSSL's name of the suite.
    pub cipher: &'a str,
    /// Negotiated protocol.
    pub alpn: Option<&'a [u8]>,
    /// Requested name.
    pub server_name: Option<&'a str>,
    /// The client presented a certificate, and it was verified, on this connection or on the one it resumes.
    pub client_verified: bool,
    /// This connection resumes a session: the certificate, if any, was seen earlier.
    pub resumed: bool,
    /// Common name in the client's certificate.
    pub client_cn: Option<&'a str>,
    /// Subject of the client's certificate (RFC 4514).
    pub client_subject: Option<&'a str>,
    /// JA4 fingerprint of the client.
    pub fingerprint: Option<&'a str>,
}

/// Writes a version 1 header to `out` and returns its length. `out` has at least [`MAX_WRITTEN`] bytes.
pub fn write_v1(source: SocketAddr, destination: SocketAddr, out: &mut [u8]) -> usize {
    let mut text = Writer { out, len: 0 };
    let (source, destination) = same_family(source, destination);
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.ip(), destination.ip());
    // Writing into MAX_WRITTEN bytes what has at most 107 can not fail.
    let _ = write!(text, "PROXY {family} {from} {to} {} {}\r\n", source.port(), destination.port());
    text.len
}

/// Writes a version 2 header to `out` and returns its length. `out` has at least [`MAX_WRITTEN`] bytes.
pub fn write_v2(
    source: SocketAddr,
    destination: SocketAddr,
    tls: &Tls<'_>,
    numbers: &Numbers,
    out: &mut [u8],
) -> usize {
    let mut w = Writer { out, len: 0 };
    w.put(SIGNATURE);
    w.put(&[0x21]);
    let (source, destination) = same_family(source, destination);
    w.put(&[if source.is_ipv4() { 0x11 } else { 0x21 }]);
    w.length(|w| {
        for address in [source, destination] {
            match address.ip() {
                IpAddr::V4(v4) => w.put(&v4.octets()),
                IpAddr::V6(v6) => w.put(&v6.octets()),
            }
        }
        w.put(&source.port().to_be_bytes());
        w.put(&destination.port().to_be_bytes());
        if let Some(alpn) = tls.alpn {
            w.tlv(tlv::ALPN, alpn);
        }
        if let Some(name) = tls.server_name {
            w.tlv(tlv::AUTHORITY, name.as_bytes());
        }
        w.put(&[tlv::SSL]);
        w.length(|w| {
            let certificate = match (tls.client_verified, tls.resumed) {
                (false, _) => 0,
                (true, false) => tlv::CLIENT_CERT_CONN | tlv::CLIENT_CERT_SESS,
                (true, true) => tlv::CLIENT_CERT_SESS,
            };
            w.put(&[tlv::CLIENT_SSL | certificate]);
            // Zero says "verified".
            w.put(&u32::from(!tls.client_verified).to_be_bytes());
            w.tlv(tlv::SSL_VERSION, tls.version.as_bytes());
            w.tlv(tlv::SSL_CIPHER, tls.cipher.as_bytes());
            if let Some(name) = tls.client_cn {
                w.tlv(tlv::SSL_CN, cut(name).as_bytes());
            }
        });
        if let Some(subject) = tls.client_subject {
            w.tlv(numbers.subject, cut(subject).as_bytes());
        }
        if let (Some(number), Some(fingerprint)) = (numbers.fingerprint, tls.fingerprint) {
            w.tlv(number, fingerprint.as_bytes());
        }
    });
    w.len
}

/// The first [`MAX_CLIENT_NAME`] bytes of a name, at a character's end.
fn cut(name: &str) -> &str {
    let end = (0..=MAX_CLIENT_NAME.min(name.len())).rev().find(|&at| name.is_char_boundary(at));
    name.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// Both addresses as IPv4 if they are, both as IPv6 otherwise.
fn same_family(source: SocketAddr, destination: SocketAddr) -> (SocketAddr, SocketAddr) {
    let canonical = |a: SocketAddr| SocketAddr::new(a.ip().to_canonical(), a.port());
    let (source, destination) = (canonical(source), canonical(destination));
    if source.is_ipv4() == destination.is_ipv4() {
        return (source, destination);
    }
    let as_v6 = |a: SocketAddr| match a.ip() {
        IpAddr::V4(v4) => SocketAddr::new(v4.to_ipv6_mapped().into(), a.port()),
        IpAddr::V6(_) => a,
    };
    (as_v6(source), as_v6(destination))
}

/// Stands for an address that is not known.
pub const UNKNOWN: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);

/// Appends to a slice. What does not fit is left out; [`MAX_WRITTEN`] makes everything fit.
struct Writer<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) {
        if let Some(space) = self.out.get_mut(self.len..self.len + bytes.len()) {
            space.copy_from_slice(bytes);
            self.len += bytes.len();
        }
    }

    /// Writes what `body` writes after its length.
    fn length(&mut self, body: impl FnOnce(&mut Self)) {
        let at = self.len;
        self.put(&[0; 2]);
        body(self);
        let len = u16::try_from(self.len - at - 2).unwrap_or(0);
        if let Some(place) = self.out.get_mut(at..at + 2) {
            place.copy_from_slice(&len.to_be_bytes());
        }
    }

    fn tlv(&mut self, kind: u8, value: &[u8]) {
        self.put(&[kind]);
        self.length(|w| w.put(value));
    }
}

impl Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.put(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address() -> impl Strategy<Value = SocketAddr> {
        (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
    }

    /// The TLVs of a version 2 header, nested ones after their parent.
    fn tlvs(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut all = Vec::new();
        while let [kind, high, low, rest @ ..] = bytes {
            let (value, after) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
            all.push((*kind, value.to_vec()));
            if *kind == tlv::SSL {
                all.extend(tlvs(&value[5..]));
            }
            bytes = after;
        }
        all
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            source in address(),
            destination in address(),
            name in "[a-z]{1,63}(\\.[a-z]{1,63}){0,2}",
            alpn in proptest::collection::vec(any::<u8>(), 1..32),
            subject in ".{0,600}",
            v2 in any::<bool>(),
            fingerprint in any::<bool>(),
            client_verified in any::<bool>(),
        ) {
            let tls = Tls {
                version: "TLSv1.3",
                cipher: "ECDHE-ECDSA-CHACHA20-POLY1305",
                alpn: Some(&alpn),
                server_name: Some(&name),
                client_verified,
                client_cn: Some(&subject),
                client_subject: Some(&subject),
                fingerprint: Some("t13d1516h2_8daaf6152771_02713d6af862"),
                ..Tls::default()
            };
            let numbers = Numbers { subject: 0xe4, fingerprint: fingerprint.then_some(0xf0) };
            let mut out = [0; MAX_WRITTEN];
            let len = if v2 { write_v2(source, destination, &tls, &numbers, &mut out) } else { write_v1(source, destination, &mut out) };
            let mut bytes = out[..len].to_vec();
            let whole = parse(&bytes).unwrap();
            for partial in 0..len {
                // TLVs are not waited for.
                let early = v2 && partial >= 16 + 12;
                let header = parse(&bytes[..partial]).unwrap();
                prop_assert!(header.is_none() || early && header == whole);
            }
            bytes.extend(b"\x16\x03\x01");
            let header = parse(&bytes).unwrap().unwrap();
            prop_assert_eq!(header.len, len);
            let (from, to) = header.addresses.unwrap();
            prop_assert_eq!(from.ip().to_canonical(), source.ip().to_canonical());
            prop_assert_eq!(to.ip().to_canonical(), destination.ip().to_canonical());
            prop_assert_eq!((from.port(), to.port()), (source.port(), destination.port()));
            if v2 {
                let start = 16 + if from.is_ipv4() { 12 } else { 36 };
                let tlvs = tlvs(&out[start..len]);
                prop_assert!(tlvs.contains(&(0x01, alpn)));
                prop_assert!(tlvs.contains(&(0x02, name.into_bytes())));
                prop_assert!(tlvs.contains(&(0x21, b"TLSv1.3".to_vec())));
                prop_assert!(tlvs.contains(&(0x23, b"ECDHE-ECDSA-CHACHA20-POLY1305".to_vec())));
                prop_assert!(tlvs.contains(&(0xe4, cut(&subject).as_bytes().to_vec())));
                let told = tlvs.iter().find(|(kind, _)| *kind == 0xf0).map(|(_, value)| value.as_slice());
                prop_assert_eq!(told, fingerprint.then_some(&b"t13d1516h2_8daaf6152771_02713d6af862"[..]));
                prop_assert!(tlvs.contains(&(0x22, cut(&subject).as_bytes().to_vec())));
                let ssl = &tlvs.iter().find(|(kind, _)| *kind == 0x20).unwrap().1;
                prop_assert_eq!(ssl[..5].to_vec(), if client_verified { vec![7, 0, 0, 0, 0] } else { vec![1, 0, 0, 0, 1] });
            }
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200), signed in any::<bool>()) {
            let mut all = if signed { SIGNATURE.to_vec() } else { b"PROXY ".to_vec() };
            all.extend(&bytes);
            if let Ok(Some(header)) = parse(&all) {
                prop_assert!(header.len <= 16 + 0xffff && (signed || header.len <= all.len()));
            }
            let _ = parse(&bytes);
        }
    }

    #[test]
    fn examples_of_the_specification() {
        let line = b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\nGET / HTTP/1.1\r\n";
        let addresses = Some(("192.168.0.1:56324".parse().unwrap(), "192.168.0.11:443".parse().unwrap()));
        assert_eq!(parse(line), Ok(Some(Header { len: 47, addresses })));
        assert_eq!(parse(b"PROXY UNKNOWN\r\n"), Ok(Some(Header { len: 15, addresses: None })));
        let long = b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n";
        assert_eq!(parse(long), Ok(Some(Header { len: 59, addresses: None })));
    }

    #[test]
    fn what_is_not_a_header_is_refused() {
        let too_long = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 100]].concat();
        for bad in [
            b"\x16\x03\x01".as_slice(),
            b"GET / HTTP/1.1\r\n",
            b"PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
            b"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
            &too_long,
            b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x04abcd",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c",
            b"\r\n\r\n\0\r\nQUIT\n\x22\x00\0\0",
        ] {
            assert_eq!(parse(bad), Err(Invalid), "{:?}", bad.escape_ascii().to_string());
        }
    }

    #[test]
    fn what_a_local_header_holds_is_ignored() {
        for (family, payload) in
            [(0, &b""[..]), (0x11, b""), (0x21, b"short"), (0x12, b"UDP"), (0x41, b"?"), (0x32, &[0; 216])]
        {
            let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
            let header = [&SIGNATURE[..], &[0x20, family], &length, payload].concat();
            let rest = [&header[..], b"rest"].concat();
            assert_eq!(parse(&rest), Ok(Some(Header { len: header.len(), addresses: None })), "{family:#x}");
            let early = parse(&header[..16]);
            assert_eq!(early, Ok(Some(Header { len: header.len(), addresses: None })), "{family:#x}");
        }
    }

    #[test]
    fn what_follows_the_addresses_is_not_waited_for() {
        let whole = |rest: &[u8]| [SIGNATURE, &b"\x21\x11\xff\xff"[..], rest].concat();
        assert_eq!(parse(&whole(&[1; 11])), Ok(None));
        let addresses = Some(("1.1.1.1:257".parse().unwrap(), "1.1.1.1:257".parse().unwrap()));
        assert_eq!(parse(&whole(&[1; 12])), Ok(Some(Header { len: 16 + 0xffff, addresses })));
    }
}
