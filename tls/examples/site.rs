// SPDX-License-Identifier: MIT OR Apache-2.0
//! What both examples serve with: a certificate, its key, randomness; and a connection's storage.

use std::fs::File;
use std::io::{self, Read};
use std::time::{SystemTime, UNIX_EPOCH};
use ttls::config::{CertificateId, CertificateSet, Chain, Credential, Credentials, Random};
use ttls::record::MAX_RECORD;
use ttls::suite::KeyKind;
use ttls::{Environment, Handshake, Inbound, Opened, Outbound, Policy, Step, Traffic, Window};
use ttls_crypto::job::{Failed, Output, Work};
use ttls_crypto::sign::{Encoding, SigningKey};

/// One certificate, for whatever name is asked for.
pub(crate) struct Site {
    policy: Policy,
    chain: Vec<u8>,
    key: SigningKey,
}

impl Site {
    /// A certificate that signs itself, made at each start.
    pub(crate) fn new() -> Result<Self, Box<dyn std::error::Error>> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let certificates = [&made.cert.der()[..]];
        let mut chain = vec![0; Chain::encoded_len(certificates)];
        Chain::encode(certificates, &mut chain)?;
        let key = SigningKey::from_der(Encoding::Pkcs8, &made.signing_key.serialize_der())?;
        Ok(Self { policy: Policy::default(), chain, key })
    }

    /// The private key of a certificate, for a job that signs.
    pub(crate) fn key(&self, id: CertificateId) -> Option<&SigningKey> {
        (id == CertificateId(0)).then_some(&self.key)
    }

    fn environment<'a>(&'a self, random: &'a mut Urandom) -> Environment<'a> {
        Environment {
            policy: &self.policy,
            credentials: self,
            clients: None,
            tickets: None,
            admission: None,
            random,
            now: now(),
            keylog: None,
        }
    }
}

impl Credentials for Site {
    fn by_name(&self, _: &[u8]) -> Option<CertificateSet> {
        None
    }

    fn default_set(&self) -> CertificateSet {
        CertificateSet { ecdsa: Some(CertificateId(0)), rsa: None }
    }

    fn get(&self, id: CertificateId) -> Option<Credential<'_>> {
        self.key(id)?;
        Some(Credential { kind: KeyKind::EcdsaP256, chain: Chain::new(&self.chain).ok()?, ocsp: None })
    }
}

/// The kernel's randomness.
pub(crate) struct Urandom(File);

impl Urandom {
    pub(crate) fn new() -> io::Result<Self> {
        File::open("/dev/urandom").map(Self)
    }
}

impl Random for Urandom {
    fn fill(&mut self, out: &mut [u8]) {
        self.0.read_exact(out).expect("a server without randomness has to end");
    }
}

/// Unix time in milliseconds.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A connection without its socket. It answers the first HTTP request with that request.
pub(crate) struct Connection {
    handshake: Handshake,
    traffic: Option<Traffic>,
    storage: Vec<u8>,
    window: Window,
    flight: Vec<u8>,
    /// Bytes of `flight` that are to be sent.
    written: usize,
    request: Vec<u8>,
    /// Nothing more is to be received.
    pub(crate) over: bool,
}

/// Room for a whole handshake message and a record behind it.
const STORAGE: usize = 16_384 + MAX_RECORD;
/// Longest request that is answered: the response fits one record.
const MAX_REQUEST: usize = 8192;

impl Connection {
    pub(crate) fn new() -> Self {
        Self {
            handshake: Handshake::new(),
            traffic: None,
            storage: vec![0; STORAGE],
            window: Window::default(),
            flight: vec![0; 2 * MAX_RECORD],
            written: 0,
            request: Vec::new(),
            over: false,
        }
    }

    /// Takes received bytes in; none are the end of the stream. Returns the work that is due, if any.
    pub(crate) fn receive<'s>(
        &mut self,
        site: &'s Site,
        random: &mut Urandom,
        bytes: &[u8],
    ) -> Option<Work<'s>> {
        let mut inbound = Inbound::new(&mut self.storage, &mut self.window);
        let free = inbound.free();
        if bytes.is_empty() || bytes.len() > free.len() {
            self.over = true;
            return None;
        }
        free[..bytes.len()].copy_from_slice(bytes);
        inbound.received(bytes.len());
        if self.traffic.is_some() {
            self.open();
            return None;
        }
        let mut out = Outbound::new(&mut self.flight, &mut self.written);
        let step = self.handshake.receive(&mut site.environment(random), &mut inbound, &mut out);
        self.step(site, step)
    }

    /// Goes on with the result of the work. Returns the next work, if there is any.
    pub(crate) fn resume<'s>(
        &mut self,
        site: &'s Site,
        random: &mut Urandom,
        result: &Result<Output, Failed>,
    ) -> Option<Work<'s>> {
        let mut inbound = Inbound::new(&mut self.storage, &mut self.window);
        let mut out = Outbound::new(&mut self.flight, &mut self.written);
        let step = self.handshake.resume(&mut site.environment(random), result, &mut inbound, &mut out);
        self.step(site, step)
    }

    fn step<'s>(&mut self, site: &'s Site, step: Step) -> Option<Work<'s>> {
        match step {
            Step::Work(job) => {
                let work = job.into_work(|id| site.key(id));
                self.over |= work.is_none();
                return work;
            }
            Step::Established => {
                self.traffic = self.handshake.take_established().map(|established| established.traffic);
                self.open();
            }
            Step::Receive => {}
            // What is to be sent ends with the alert. The storage holds any record.
            Step::Failed(_) | Step::Enlarge { .. } => self.over = true,
        }
        None
    }

    /// Opens the records that have arrived, and answers once the request's head is complete.
    fn open(&mut self) {
        let Some(traffic) = &mut self.traffic else { return };
        let mut inbound = Inbound::new(&mut self.storage, &mut self.window);
        let mut out = Outbound::new(&mut self.flight, &mut self.written);
        while !self.over {
            match traffic.open(&mut inbound, &mut out, now()) {
                Ok(Opened::Data(range)) => self.request.extend_from_slice(inbound.bytes(range)),
                Ok(Opened::Handled) => {}
                Ok(Opened::Incomplete { .. }) => break,
                Ok(Opened::CloseNotify) => self.over = true,
                Err(error) => {
                    let _ = traffic.alert(error, &mut out);
                    self.over = true;
                }
            }
            self.over |= self.request.len() > MAX_REQUEST;
        }
        if !self.over && self.request.windows(4).any(|end| end == b"\r\n\r\n") {
            self.answer();
        }
    }

    fn answer(&mut self) {
        let Some(traffic) = &mut self.traffic else { return };
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", self.request.len());
        let body = [head.as_bytes(), &self.request].concat();
        // The client may take smaller records than the longest.
        for part in body.chunks(traffic.record_limit()) {
            let start = traffic.headroom();
            let Some(record) = self.flight.get_mut(self.written..) else { break };
            record[start..start + part.len()].copy_from_slice(part);
            match traffic.seal(record, part.len()) {
                Ok(len) => self.written += len,
                Err(_) => break,
            }
        }
        let _ = traffic.close_notify(&mut Outbound::new(&mut self.flight, &mut self.written));
        self.over = true;
    }

    /// What is to be sent; it counts as sent then.
    pub(crate) fn take_output(&mut self) -> &[u8] {
        let len = std::mem::take(&mut self.written);
        &self.flight[..len]
    }
}
