// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a CertificateVerify is checked over, and what a CertificateRequest offers. The verifier here takes as a signature
//! what was signed, so that the core's part can be seen.

use crate::converse;
use crate::support::Site;
use aws_lc_rs::digest;
use harness::raw::{
    Client, ClientHello, End, KeyShare, alert, content, extension, handshake, message, u16s, vector,
};
use ttls::config::{Chain, ClientCertificate, ClientVerifier};
use ttls::error::CertificateError;
use ttls::suite::Version;

const ED25519: u16 = 0x0807;
const PKCS1: [u16; 3] = [0x0401, 0x0501, 0x0601];
const ALL: [u16; 14] = [
    0x0403, 0x0503, 0x0603, ED25519, 0x0804, 0x0805, 0x0806, 0x0809, 0x080a, 0x080b, 0x0401, 0x0501, 0x0601,
    0x7777,
];
/// The last of them is known to nobody.
const KNOWN: &[u16] = ALL.split_at(13).0;

struct Mirror {
    schemes: &'static [u16],
    /// What it was given to keep, and most that it keeps.
    text: Vec<u8>,
    room: usize,
}

impl Mirror {
    const fn new(schemes: &'static [u16]) -> Self {
        Self { schemes, text: Vec::new(), room: usize::MAX }
    }
}

impl ClientVerifier for Mirror {
    fn authorities(&self) -> &[u8] {
        &[0, 3, 0x30, 1, 0]
    }

    fn schemes(&self, _: Version) -> &[u16] {
        self.schemes
    }

    fn certificate_schemes(&self) -> &[u16] {
        self.schemes
    }

    fn keep(&mut self, text: &[u8]) -> bool {
        self.text.extend_from_slice(text);
        self.text.len() <= self.room
    }

    fn verify_chain(&mut self, _: Chain<'_>, _: u64) -> Result<(), CertificateError> {
        Ok(())
    }

    fn verify_signature(
        &self,
        version: Version,
        scheme: u16,
        content: &[u8],
        signature: &[u8],
    ) -> Result<(), CertificateError> {
        let content = match (version, scheme) {
            (Version::Tls12, ED25519) => {
                assert!(content.is_empty());
                &self.text[..self.text.len().min(self.room)]
            }
            _ => content,
        };
        if content == signature { Ok(()) } else { Err(CertificateError::Bad) }
    }
}

fn site(verifier: fn() -> Box<dyn ClientVerifier>) -> Site {
    let mut site = Site::new();
    site.policy.client_certificate = ClientCertificate::Required;
    site.verifier = Some(verifier);
    site
}

/// The digest by the scheme's hash; the message itself for Ed25519.
fn signed(scheme: u16, content: &[u8]) -> Vec<u8> {
    let algorithm = match scheme {
        0x0401 | 0x0403 | 0x0804 | 0x0809 => &digest::SHA256,
        0x0501 | 0x0503 | 0x0805 | 0x080a => &digest::SHA384,
        ED25519 => return content.to_vec(),
        _ => &digest::SHA512,
    };
    digest::digest(algorithm, content).as_ref().to_vec()
}

fn certificate_verify(scheme: u16, signature: &[u8]) -> Vec<u8> {
    let body = [&scheme.to_be_bytes()[..], &vector::<2>(signature)].concat();
    handshake(message::CERTIFICATE_VERIFY, &body)
}

/// A CertificateVerify of TLS 1.2 with a suite; the schemes that were offered, and how it went on: with an alert for what
/// follows, if it was good.
fn prove12(client: &mut Client, suite: u16, scheme: u16, spoil: bool) -> (Vec<u16>, End) {
    let known = [0x0403, 0x0804, 0x0401, ED25519];
    prove12_with(client, &known, suite, scheme, spoil)
}

/// The same of a client that knows these schemes.
fn prove12_with(client: &mut Client, known: &[u16], suite: u16, scheme: u16, spoil: bool) -> (Vec<u16>, End) {
    let mut hello = ClientHello::tls12();
    hello.set(extension::SIGNATURE_ALGORITHMS, u16s(known));
    hello.suites = vec![suite];
    let flight = client.hello12(&hello);
    let request = flight.certificate_request.expect("a CertificateRequest");
    // Header, types, then the schemes (RFC 5246 §7.4.4).
    let types = usize::from(request[4]);
    let offered = list(&request[5 + types..]);
    client.send_message(&handshake(message::CERTIFICATE, &vector::<3>(&vector::<3>(b"a certificate"))));
    client.send_message(&Client::key_exchange12(&KeyShare::x25519()));
    let mut signature = signed(scheme, &client.transcript);
    signature[3] ^= u8::from(spoil);
    client.send_message(&certificate_verify(scheme, &signature));
    client.send_record(content::CHANGE_CIPHER_SPEC, &[2]);
    (offered, client.end())
}

fn list(list: &[u8]) -> Vec<u16> {
    let (length, list) = list.split_first_chunk::<2>().expect("a list");
    let list = &list[..usize::from(u16::from_be_bytes(*length))];
    list.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
}

#[test]
fn in_tls12_every_scheme_goes_with_every_suite() {
    let site = site(|| Box::new(Mirror::new(&ALL)));
    let good = End::Alert(2, alert::DECODE_ERROR);
    for suite in [0xc02b, 0xc02c, 0xcca9, 0xc02f, 0xc030] {
        for &scheme in KNOWN {
            let ((offered, end), ended) = converse(&site, |client| prove12(client, suite, scheme, false));
            assert_eq!(offered, KNOWN);
            assert_eq!(end, good, "{scheme:#x} with {suite:#x}: {:?}", ended.error);
            let ((_, end), _) = converse(&site, |client| prove12(client, suite, scheme, true));
            assert_eq!(end, End::Alert(2, alert::DECRYPT_ERROR));
        }
    }
}

/// The text that Ed25519 signs in TLS 1.2 is kept for clients that know it, if there is room for their ClientHello; others are not asked
/// for it, and may not use it.
#[test]
fn in_tls12_ed25519_is_for_those_whose_text_is_kept() {
    let without: Vec<u16> = KNOWN.iter().copied().filter(|&known| known != ED25519).collect();
    let kept = site(|| Box::new(Mirror::new(&ALL)));
    let full = site(|| Box::new(Mirror { room: 10, ..Mirror::new(&ALL) }));
    let soon_full = site(|| Box::new(Mirror { room: 300, ..Mirror::new(&ALL) }));
    let (knows, others) = (&[0x0403, ED25519][..], &[0x0403][..]);
    let (good, bad) = (End::Alert(2, alert::DECODE_ERROR), End::Alert(2, alert::DECRYPT_ERROR));
    for (site, known, offered, end) in [
        (&kept, knows, KNOWN, good),
        (&kept, others, &without, End::Alert(2, alert::ILLEGAL_PARAMETER)),
        (&full, knows, &without, End::Alert(2, alert::ILLEGAL_PARAMETER)),
        (&soon_full, knows, KNOWN, bad),
    ] {
        let (proven, _) = converse(site, |client| prove12_with(client, known, 0xc02b, ED25519, false));
        assert_eq!(proven, (offered.to_vec(), end));
        let (proven, _) = converse(site, |client| prove12_with(client, known, 0xc02b, 0x0403, false));
        assert_eq!(proven, (offered.to_vec(), End::Alert(2, alert::DECODE_ERROR)), "other keys do not care");
    }
}

/// The same in TLS 1.3: the schemes for handshakes, those for certificates, and how it ends: with close_notify where the
/// proof is good.
fn prove13(client: &mut Client, scheme: u16, spoil: bool) -> (Vec<u16>, Vec<u16>, End) {
    let share = KeyShare::x25519();
    let flight = client.hello13(&ClientHello::tls13(&[&share]), &share);
    let request = flight.certificate_request.as_ref().expect("a CertificateRequest");
    let extension_of = |wanted: u16| {
        let mut rest = &request[7..];
        while let [a, b, c, d, after @ ..] = rest {
            let (body, after) = after.split_at(usize::from(u16::from_be_bytes([*c, *d])));
            if u16::from_be_bytes([*a, *b]) == wanted {
                return list(body);
            }
            rest = after;
        }
        panic!("no extension {wanted} in CertificateRequest")
    };
    let (offered, for_certificates) = (extension_of(extension::SIGNATURE_ALGORITHMS), extension_of(50));
    let entry = [vector::<3>(b"a certificate"), vec![0, 0]].concat();
    client.send_message(&handshake(message::CERTIFICATE, &[vec![0], vector::<3>(&entry)].concat()));
    let hash = harness::raw::sha256(&client.transcript);
    let content = [&[b' '; 64][..], b"TLS 1.3, client CertificateVerify\0", &hash].concat();
    let mut signature = signed(scheme, &content);
    signature[3] ^= u8::from(spoil);
    client.send_message(&certificate_verify(scheme, &signature));
    client.finish13(&flight);
    client.send_record(content::ALERT, &[1, alert::CLOSE_NOTIFY]);
    (offered, for_certificates, client.end())
}

#[test]
fn in_tls13_the_message_is_short_enough_for_all_but_pkcs1() {
    let site = site(|| Box::new(Mirror::new(&ALL)));
    for &scheme in KNOWN {
        let ((offered, certificates, end), ended) = converse(&site, |client| prove13(client, scheme, false));
        let expected: Vec<u16> = KNOWN.iter().copied().filter(|known| !PKCS1.contains(known)).collect();
        assert_eq!((offered, certificates), (expected, KNOWN.to_vec()));
        if PKCS1.contains(&scheme) {
            assert_eq!(end, End::Alert(2, alert::ILLEGAL_PARAMETER));
            continue;
        }
        assert_eq!((end, ended.error), (End::Eof, None), "{scheme:#x}");
        let ((_, _, end), _) = converse(&site, |client| prove13(client, scheme, true));
        assert_eq!(end, End::Alert(2, alert::DECRYPT_ERROR));
    }
}

/// Is ready at the third question, every time anew.
struct Busy {
    asked: u32,
    mirror: Mirror,
}

impl ClientVerifier for Busy {
    fn authorities(&self) -> &[u8] {
        self.mirror.authorities()
    }

    fn schemes(&self, version: Version) -> &[u16] {
        self.mirror.schemes(version)
    }

    fn certificate_schemes(&self) -> &[u16] {
        self.mirror.certificate_schemes()
    }

    fn is_ready(&mut self) -> bool {
        self.asked += 1;
        self.asked.is_multiple_of(3)
    }

    fn verify_chain(&mut self, chain: Chain<'_>, now: u64) -> Result<(), CertificateError> {
        assert!(self.asked > 0 && self.asked.is_multiple_of(3), "judged at question {}", self.asked);
        self.mirror.verify_chain(chain, now)
    }

    fn verify_signature(
        &self,
        version: Version,
        scheme: u16,
        content: &[u8],
        signature: &[u8],
    ) -> Result<(), CertificateError> {
        assert!(self.asked > 0 && self.asked.is_multiple_of(3), "judged at question {}", self.asked);
        self.mirror.verify_signature(version, scheme, content, signature)
    }
}

#[test]
fn certificates_wait_until_the_verifier_has_time() {
    let site = site(|| Box::new(Busy { asked: 0, mirror: Mirror::new(&ALL) }));
    let ((_, _, end), ended) = converse(&site, |client| prove13(client, 0x0403, false));
    assert_eq!((end, ended.error), (End::Eof, None));
    let ((_, end), _) = converse(&site, |client| prove12(client, 0xc02b, 0x0403, false));
    assert_eq!(end, End::Alert(2, alert::DECODE_ERROR), "for what follows a good proof");
}

#[test]
fn a_certificate_request_is_never_without_schemes() {
    let nothing13 = site(|| Box::new(Mirror::new(&PKCS1)));
    let nothing12 = site(|| Box::new(Mirror::new(&[ED25519])));
    for (site, hello) in
        [(&nothing13, ClientHello::tls13(&[&KeyShare::x25519()])), (&nothing12, ClientHello::tls12())]
    {
        let ((), ended) = converse(site, |client| {
            client.send_message(&hello.encode());
            // In TLS 1.3 the alert is protected: it is not opened here.
            let _ = client.receive_record();
        });
        assert!(matches!(ended.error, Some(ttls::Error::Internal(_))), "{:?}", ended.error);
    }
}
