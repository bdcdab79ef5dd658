// SPDX-License-Identifier: MIT OR Apache-2.0
//! A server in memory: the core with fixed keys, scalar jobs, and buffers of a chosen size.
#![allow(dead_code, missing_docs, unreachable_pub)] // each test uses a part

use ttls::config::{
    CertificateId, CertificateSet, Chain, ClientVerifier, Credential, Credentials, KeyLog, Random,
};
use ttls::suite::KeyKind;
use ttls::ticket::TicketKeys;
use ttls::{
    Environment, Established, Handshake, Inbound, Opened, Outbound, Policy, Session, Step, Traffic, Window,
};
use ttls_crypto::sign::{Encoding, SigningKey};

/// What lies in send storage before anything is written there: another connection's bytes, for instance.
pub const STALE: &[u8] = b"another client's plaintext";
pub const NOW: u64 = 1_800_000_000_000;
const P256: &[u8] = include_bytes!("../../../vectors/keys/p256.pkcs8.der");
const RSA: &[u8] = include_bytes!("../../../vectors/keys/rsa-2048.pkcs8.der");

/// A counter stretched by SHA-256: the same in every run.
pub struct Fixed(u64);

impl Random for Fixed {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            self.0 += 1;
            let digest = ttls_crypto::hash::Algorithm::Sha256.digest(&self.0.to_be_bytes());
            chunk.copy_from_slice(&digest.as_bytes()[..chunk.len()]);
        }
    }
}

pub struct Certificates {
    entries: Vec<(KeyKind, Vec<u8>, SigningKey)>,
    pub ocsp: Option<Vec<u8>>,
    pub set: CertificateSet,
    /// Names that it answers to.
    pub names: Vec<&'static [u8]>,
}

impl Certificates {
    pub fn new() -> Self {
        let entries = [(KeyKind::EcdsaP256, P256), (KeyKind::Rsa, RSA)]
            .map(|(kind, der)| {
                let pki = rustls::pki_types::PrivatePkcs8KeyDer::from(der);
                let algorithm = match kind {
                    KeyKind::EcdsaP256 => &rcgen::PKCS_ECDSA_P256_SHA256,
                    KeyKind::Rsa => &rcgen::PKCS_RSA_SHA256,
                };
                let pair = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&pki, algorithm).unwrap();
                let params = rcgen::CertificateParams::new(vec!["one.example".into()]).unwrap();
                let certificate = params.self_signed(&pair).unwrap();
                let mut chain = vec![0; Chain::encoded_len([&certificate.der()[..]])];
                Chain::encode([&certificate.der()[..]], &mut chain).unwrap();
                (kind, chain, SigningKey::from_der(Encoding::Pkcs8, der).unwrap())
            })
            .into();
        let set = CertificateSet { ecdsa: Some(CertificateId(0)), rsa: Some(CertificateId(1)) };
        Self { entries, ocsp: None, set, names: vec![b"one.example", b"*.wild.example"] }
    }
}

impl Credentials for Certificates {
    fn by_name(&self, name: &[u8]) -> Option<CertificateSet> {
        self.names.contains(&name).then_some(self.set)
    }

    fn default_set(&self) -> CertificateSet {
        self.set
    }

    fn get(&self, id: CertificateId) -> Option<Credential<'_>> {
        let (kind, chain, _) = self.entries.get(usize::from(id.0))?;
        Some(Credential { kind: *kind, chain: Chain::new(chain).unwrap(), ocsp: self.ocsp.as_deref() })
    }
}

/// Configuration that outlives connections.
pub struct Site {
    pub policy: Policy,
    pub certificates: Certificates,
    pub tickets: Option<TicketKeys>,
    pub now: u64,
    /// Makes who judges clients' certificates.
    pub verifier: Option<fn() -> Box<dyn ClientVerifier>>,
    /// Bytes of send storage.
    pub room: usize,
}

impl Site {
    pub fn new() -> Self {
        Self {
            policy: Policy::default(),
            certificates: Certificates::new(),
            tickets: Some(TicketKeys::new(&[7; 32], None, 43_200, NOW).unwrap()),
            now: NOW,
            verifier: None,
            room: 16_384,
        }
    }
}

/// Send storage as a pool gives it.
pub fn stale(len: usize) -> Vec<u8> {
    STALE.iter().copied().cycle().take(len).collect()
}

pub struct NoLog;

impl KeyLog for NoLog {
    fn log(&mut self, _: &str, _: &[u8; 32], _: &[u8]) {}
}

/// One server-side connection in memory.
pub struct Server<'s> {
    site: &'s Site,
    random: Fixed,
    verifier: Option<Box<dyn ClientVerifier>>,
    handshake: Handshake,
    storage: Vec<u8>,
    window: Window,
    pub traffic: Option<Traffic>,
    pub session: Option<Session>,
    /// What is to be sent.
    pub output: Vec<u8>,
    /// Application data received.
    pub received: Vec<u8>,
    pub error: Option<ttls::Error>,
    pub closed: bool,
    pub jobs: usize,
    /// Milliseconds, for the records of an established connection.
    pub now: u64,
}

impl<'s> Server<'s> {
    pub fn new(site: &'s Site) -> Self {
        Self {
            site,
            random: Fixed(0),
            verifier: site.verifier.map(|make| make()),
            handshake: Handshake::new(),
            storage: vec![0; 512],
            window: Window::default(),
            traffic: None,
            session: None,
            output: Vec::new(),
            received: Vec::new(),
            error: None,
            closed: false,
            jobs: 0,
            now: site.now,
        }
    }

    /// Receives `bytes`, as much at a time as the storage has room for.
    pub fn receive(&mut self, mut bytes: &[u8]) {
        while self.error.is_none() && !self.closed {
            let mut inbound = Inbound::new(&mut self.storage, &mut self.window);
            let free = inbound.free();
            let count = free.len().min(bytes.len());
            free[..count].copy_from_slice(&bytes[..count]);
            inbound.received(count);
            bytes = &bytes[count..];
            if self.traffic.is_some() {
                self.established()
            } else {
                self.handshake()
            }
            if bytes.is_empty() {
                return;
            }
        }
    }

    fn enlarge(&mut self, needed: usize) {
        let mut larger = vec![0; needed];
        Inbound::new(&mut self.storage, &mut self.window).move_to(&mut larger).unwrap();
        self.storage = larger;
    }

    fn handshake(&mut self) {
        let mut result = None;
        let (mut flight, mut len) = (stale(self.site.room), 0);
        let step = loop {
            let mut env = Environment {
                policy: &self.site.policy,
                credentials: &self.site.certificates,
                clients: match &mut self.verifier {
                    Some(verifier) => Some(&mut **verifier),
                    None => None,
                },
                tickets: self.site.tickets.as_ref(),
                admission: None,
                random: &mut self.random,
                now: self.site.now,
                keylog: None,
            };
            let mut inbound = Inbound::new(&mut self.storage, &mut self.window);
            let mut out = Outbound::new(&mut flight, &mut len);
            let step = match result.take() {
                None => self.handshake.receive(&mut env, &mut inbound, &mut out),
                Some(done) => self.handshake.resume(&mut env, &done, &mut inbound, &mut out),
            };
            let Step::Work(job) = step else { break step };
            self.jobs += 1;
            let entries = &self.site.certificates.entries;
            let work = job.into_work(|id| entries.get(usize::from(id.0)).map(|entry| &entry.2));
            result = Some(work.unwrap().run());
        };
        self.output.extend_from_slice(&flight[..len]);
        match step {
            Step::Receive => {}
            Step::Enlarge { needed } => {
                assert!(needed > self.storage.len());
                self.enlarge(needed);
            }
            Step::Established => {
                let Established { traffic, session } = self.handshake.take_established().unwrap();
                assert!(self.handshake.take_established().is_none());
                self.traffic = Some(traffic);
                self.session = Some(session);
                self.established();
            }
            Step::Failed(error) => self.error = Some(error),
            Step::Work(_) => unreachable!(),
        }
    }

    fn established(&mut self) {
        let (mut answer, mut len) = (stale(16_384), 0);
        let traffic = self.traffic.as_mut().unwrap();
        loop {
            let mut inbound = Inbound::new(&mut self.storage, &mut self.window);
            let mut out = Outbound::new(&mut answer, &mut len);
            match traffic.open(&mut inbound, &mut out, self.now) {
                Ok(Opened::Data(range)) => self.received.extend_from_slice(inbound.bytes(range)),
                Ok(Opened::Handled) => {}
                Ok(Opened::Incomplete { needed }) => {
                    self.output.extend_from_slice(&answer[..len]);
                    if needed > self.storage.len() {
                        self.enlarge(needed);
                    }
                    return;
                }
                Ok(Opened::CloseNotify) => {
                    self.closed = true;
                    self.output.extend_from_slice(&answer[..len]);
                    return;
                }
                Err(error) => {
                    traffic.alert(error, &mut out).unwrap();
                    self.output.extend_from_slice(&answer[..len]);
                    self.error = Some(error);
                    return;
                }
            }
        }
    }

    /// Sends application data.
    pub fn send(&mut self, data: &[u8]) {
        let traffic = self.traffic.as_mut().unwrap();
        for chunk in data.chunks(traffic.record_limit()) {
            let mut record = vec![0; chunk.len() + traffic.overhead()];
            record[traffic.headroom()..][..chunk.len()].copy_from_slice(chunk);
            let len = traffic.seal(&mut record, chunk.len()).unwrap();
            assert_eq!(len, record.len());
            self.output.extend_from_slice(&record);
        }
    }

    pub fn with_traffic(&mut self, f: impl FnOnce(&mut Traffic, &mut Outbound<'_>)) {
        let (mut answer, mut len) = (stale(1024), 0);
        f(self.traffic.as_mut().unwrap(), &mut Outbound::new(&mut answer, &mut len));
        self.output.extend_from_slice(&answer[..len]);
    }
}
