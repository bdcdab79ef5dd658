// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TLS 1.2 handshake with ephemeral key exchange (RFC 5246 §7.4, RFC 8422 §5).

use super::client_auth::{self, Content, Proof, Signed};
use super::context::{Agreed, Awaits, Context, Link, STRAY_RESULT, check_finished};
use super::job::Job;
use super::negotiation::{self, Offer, RecordLimit, Signer};
use super::server_hello;
use super::session::Session;
use crate::config::{Chain, ServerName};
use crate::error::Error;
use crate::inline::Inline;
use crate::prf::{self, MASTER, WriteKeys};
use crate::suite::{Group, KeyKind, Suite, Version, group_code, scheme_code};
use crate::ticket::TicketState;
use crate::transcript::Transcripts;
use crate::wire::codes::{self, extension, message};
use crate::wire::{Message, Reader, U16List, Writer};
use ttls_crypto::hash::{Digest, Hash};
use ttls_crypto::job::{KeyExchange, Output, PeerShare, Share, SharedSecret, SignRequest, Signature};
use ttls_crypto::secret::Secret;

/// The end of the server's random where TLS 1.3 was possible (RFC 8446 §4.1.3).
const DOWNGRADE: &[u8; 8] = b"DOWNGRD\x01";
/// curve_type named_curve (RFC 8422 §5.4).
const NAMED_CURVE: u8 = 3;
/// The uncompressed point format (RFC 8422 §5.1.2).
const UNCOMPRESSED: u8 = 0;

/// What the handshake waits for.
#[allow(clippy::large_enum_variant)] // lives in a connection's slot
pub(super) enum State {
    Generation(AwaitGeneration),
    Signature(AwaitSignature),
    Certificate(ExpectCertificate),
    ClientKeyExchange(ExpectClientKeyExchange),
    Agreement(AwaitAgreement),
    CertificateVerify(ExpectCertificateVerify),
    ChangeCipherSpec(ExpectChangeCipherSpec),
    Finished(ExpectFinished),
    Established(Agreed),
}

impl State {
    pub(super) const fn awaits(&self) -> Awaits {
        match self {
            Self::Generation(_) | Self::Signature(_) | Self::Agreement(_) => Awaits::Job,
            Self::Certificate(_) | Self::CertificateVerify(_) => Awaits::Proof,
            Self::ClientKeyExchange(_) | Self::ChangeCipherSpec(_) | Self::Finished(_) => Awaits::Message,
            Self::Established(_) => Awaits::Nothing,
        }
    }

    pub(super) fn handle(self, cx: &mut Context<'_, '_, '_>, message: Message<'_>) -> Result<Self, Error> {
        match self {
            Self::Certificate(state) => state.handle(cx, message),
            Self::ClientKeyExchange(state) => state.handle(cx, message),
            Self::CertificateVerify(state) => state.handle(cx, message),
            Self::Finished(state) => state.handle(cx, message),
            Self::ChangeCipherSpec(_) => Err(Error::Unexpected("change_cipher_spec")),
            _ => Err(Error::Unexpected("no handshake message")),
        }
    }

    pub(super) fn resume(self, cx: &mut Context<'_, '_, '_>, output: &Output) -> Result<Self, Error> {
        match (self, output) {
            (Self::Generation(state), Output::Generated { share, private }) => {
                state.resume(cx, share, private.clone())
            }
            (Self::Signature(state), Output::Signed(signature)) => state.resume(cx, signature),
            (Self::Agreement(state), Output::Agreed(shared)) => state.resume(cx, shared),
            _ => Err(STRAY_RESULT),
        }
    }
}

/// Extensions and secrets that both the full and the abbreviated handshake carry along.
struct Hello {
    session: Session,
    transcript: Transcripts,
    server_random: [u8; 32],
    record_limit: RecordLimit,
    extended_master_secret: bool,
    /// The client sent ec_point_formats.
    point_formats: bool,
    /// The client signalled secure renegotiation.
    renegotiation_info: bool,
    name_known: bool,
    /// A NewSessionTicket will be sent.
    ticket: bool,
    /// The verifier of the client's certificate keeps the text of the handshake.
    text_kept: bool,
}

/// Answers a ClientHello that chose TLS 1.2.
pub(super) fn start(cx: &mut Context<'_, '_, '_>, offer: Offer<'_>) -> Result<State, Error> {
    check(&offer, cx)?;
    let record_limit = negotiation::limit_records(cx.link, &offer.hello, Version::Tls12)?;
    let mut server_random = cx.env.random::<32>();
    if cx.env.policy.tls13 {
        server_random[24..].copy_from_slice(DOWNGRADE);
    }
    let asked = negotiation::asks_for_certificate(cx.env);
    let parts = |session: Session, ticket: bool, name_known: bool| Hello {
        transcript: Transcripts::new(session.suite.hash(), asked),
        session,
        server_random,
        record_limit,
        extended_master_secret: offer.hello.extended_master_secret,
        point_formats: offer.hello.point_formats.is_some(),
        renegotiation_info: offer.hello.renegotiation_info.is_some()
            || offer.hello.suites.contains(codes::RENEGOTIATION_SCSV),
        name_known,
        ticket,
        text_kept: false,
    };
    let tickets = cx.env.tickets.is_some() && offer.hello.session_ticket.is_some() && !asked;

    let (set, name_known) = negotiation::certificates_for(cx.env, &offer)?;
    if let Some(resumed) = tickets.then(|| accept_ticket(cx, &offer)).flatten() {
        // Tickets are only issued with it; without it now, someone may be in between (RFC 7627 §5.3).
        if !offer.hello.extended_master_secret {
            return Err(Error::NoCommonParameters("extended master secret"));
        }
        let mut session = offer.session(resumed.suite);
        session.resumed = true;
        offer.admit(cx.env, true)?;
        // The ticket is not renewed: its master secret is good for its lifetime from the full handshake on.
        return resume(cx, &offer, parts(session, false, false), &resumed.secret);
    }

    let group = choose_group(cx, offer.hello.groups)?;
    let (suite, signer) = choose_suite(cx, &offer, set)?;
    let mut session = offer.session(suite);
    session.group = Some(group);
    let issue = tickets && offer.hello.extended_master_secret;
    let mut parts = parts(session, issue, name_known);
    parts.transcript.add(offer.raw);
    offer.admit(cx.env, false)?;
    parts.text_kept = asked && client_auth::keep_text(cx.env, &offer.hello, offer.raw);
    let job = Job::KeyExchange(KeyExchange::Generate { group, seed: cx.env.secret() });
    let state = AwaitGeneration { hello: parts, group, signer, ocsp: offer.hello.wants_ocsp };
    cx.ask(job);
    Ok(State::Generation(state))
}

/// What a TLS 1.2 ClientHello must have.
fn check(offer: &Offer<'_>, cx: &Context<'_, '_, '_>) -> Result<(), Error> {
    let hello = &offer.hello;
    if !hello.compression.contains(&0) {
        return Err(Error::Illegal("no null compression method"));
    }
    if hello.renegotiation_info.is_some_and(|info| !info.is_empty()) {
        // RFC 5746 §3.6 names the alert.
        return Err(Error::Refused("renegotiation_info of a first handshake is not empty"));
    }
    if hello.point_formats.is_some_and(|formats| !formats.contains(&UNCOMPRESSED)) {
        return Err(Error::Illegal("ec_point_formats lacks uncompressed"));
    }
    if !hello.extended_master_secret {
        if cx.env.policy.extended_master_secret_required {
            return Err(Error::NoCommonParameters("extended master secret"));
        }
        // Without it a client certificate could be relayed to another connection (RFC 7627 §1).
        if negotiation::asks_for_certificate(cx.env) {
            return Err(Error::NoCommonParameters("extended master secret, which client certificates need,"));
        }
    }
    Ok(())
}

/// The most preferred common group. A client that names none can do secp256r1 (RFC 8422 §4).
fn choose_group(cx: &Context<'_, '_, '_>, offered: Option<U16List<'_>>) -> Result<Group, Error> {
    let mut usable = cx.env.policy.groups.iter().filter(|&group| group != Group::X25519MlKem768);
    let common = |group: &Group| match offered {
        Some(offered) => offered.contains(group_code(*group)),
        None => *group == Group::Secp256r1,
    };
    usable.find(common).ok_or(Error::NoCommonParameters("key-exchange group"))
}

/// The suite, and the certificate that goes with it: ECDSA first, unless the client's order rules.
fn choose_suite(
    cx: &Context<'_, '_, '_>,
    offer: &Offer<'_>,
    set: crate::config::CertificateSet,
) -> Result<(Suite, Signer), Error> {
    // The default of RFC 5246 §7.4.1.4.1 is SHA-1, which is not supported.
    let verifiable = offer.hello.signature_algorithms.ok_or(Error::NoCommonParameters("signature scheme"))?;
    // An ECDSA certificate needs its own curve among the client's (RFC 8422 §5.3).
    let knows_p256 = offer.hello.groups.is_none_or(|groups| groups.contains(group_code(Group::Secp256r1)));
    let signer = |kind| match kind {
        KeyKind::EcdsaP256 if !knows_p256 => None,
        kind => negotiation::signer(set, kind, Version::Tls12, verifiable),
    };
    let suites = negotiation::acceptable_suites(cx.env.policy, offer.hello.suites, Version::Tls12);
    if suites.clone().next().is_none() {
        return Err(Error::NoCommonParameters("cipher suite"));
    }
    let usable = suites.filter_map(|suite| Some((suite, signer(suite.key_kind()?)?)));
    let of_kind = |kind| usable.clone().find(move |(suite, _)| suite.key_kind() == Some(kind));
    if cx.env.policy.client_order {
        usable.clone().next()
    } else {
        of_kind(KeyKind::EcdsaP256).or_else(|| of_kind(KeyKind::Rsa))
    }
    .ok_or(Error::NoCommonParameters("signature scheme or certificate type"))
}

/// The session of the client's ticket, if it is ours, fresh, for this name, and its suite is offered and allowed.
fn accept_ticket(cx: &Context<'_, '_, '_>, offer: &Offer<'_>) -> Option<TicketState> {
    let env = &*cx.env;
    let ticket = offer.hello.session_ticket?;
    let name = offer.server_name.as_ref();
    let state = env.tickets?.open(ticket, Version::Tls12, name, env.policy.ticket_lifetime, env.now)?;
    let mut suites = negotiation::acceptable_suites(env.policy, offer.hello.suites, Version::Tls12);
    suites.any(|suite| suite == state.suite).then_some(state)
}

impl Hello {
    /// ServerHello (RFC 5246 §7.4.1.3).
    fn write(&mut self, session_id: &[u8], staple: bool, out: &mut Writer<'_>) -> Result<(), Error> {
        let Self { session, transcript, server_random, .. } = self;
        transcript.write(message::SERVER_HELLO, out, |out| {
            server_hello::write(out, server_random, session_id, session.suite, |out| {
                if self.renegotiation_info {
                    out.extension(extension::RENEGOTIATION_INFO, |out| out.u8(0))?;
                }
                if self.extended_master_secret {
                    out.extension(extension::EXTENDED_MASTER_SECRET, |_| Ok(()))?;
                }
                if self.name_known {
                    out.extension(extension::SERVER_NAME, |_| Ok(()))?;
                }
                if self.point_formats {
                    out.extension(extension::EC_POINT_FORMATS, |out| {
                        out.vec::<1>(|out| out.u8(UNCOMPRESSED))
                    })?;
                }
                if self.ticket {
                    out.extension(extension::SESSION_TICKET, |_| Ok(()))?;
                }
                if staple {
                    out.extension(extension::STATUS_REQUEST, |_| Ok(()))?;
                }
                server_hello::write_agreed(out, session, self.record_limit)
            })
        })
    }
}

/// The abbreviated handshake (RFC 5077 §3.1): ServerHello, change_cipher_spec, Finished.
fn resume(
    cx: &mut Context<'_, '_, '_>,
    offer: &Offer<'_>,
    mut hello: Hello,
    secret: &Digest,
) -> Result<State, Error> {
    let mut master = Secret::<MASTER>::zero();
    master.expose_mut().copy_from_slice(
        secret.as_bytes().first_chunk::<MASTER>().ok_or(Error::Internal("ticket without a master secret"))?,
    );
    hello.transcript.add(offer.raw);
    cx.begin_flight()?;
    hello.write(offer.hello.session_id, false, cx.out.draft())?;
    cx.end_flight()?;
    let random = cx.link.client_random;
    cx.env.log_secret("CLIENT_RANDOM", &random, master.expose());
    let (client, server) = prf::write_keys(hello.session.suite, &master, &random, &hello.server_random)?;
    let closing = Closing { session: hello.session, transcript: hello.transcript, master, ticket: false };
    let closing = closing.write_finished(cx, server)?;
    let state = ExpectChangeCipherSpec { closing, client, server: None };
    Ok(State::ChangeCipherSpec(state))
}

/// Waits for the server's key pair.
pub(super) struct AwaitGeneration {
    hello: Hello,
    group: Group,
    signer: Signer,
    ocsp: bool,
}

impl AwaitGeneration {
    /// Writes ServerHello and Certificate, and asks for the signature of ServerKeyExchange (RFC 8422 §5.4).
    pub(super) fn resume(
        mut self,
        cx: &mut Context<'_, '_, '_>,
        share: &Share,
        private: Secret<32>,
    ) -> Result<State, Error> {
        cx.begin_flight()?;
        let credential = cx.env.credential(self.signer.certificate)?;
        let staple = credential.ocsp.filter(|_| self.ocsp);
        self.hello.write(&[], staple.is_some(), cx.out.draft())?;
        let transcript = &mut self.hello.transcript;
        transcript.write(message::CERTIFICATE, cx.out.draft(), |out| credential.chain.write_tls12(out))?;
        if let Some(staple) = staple {
            transcript.write(message::CERTIFICATE_STATUS, cx.out.draft(), |out| {
                crate::config::write_status(staple, out)
            })?;
        }
        let params = params(self.group, share)?;
        let mut content = Hash::new(self.signer.scheme.hash());
        content.update(&cx.link.client_random);
        content.update(&self.hello.server_random);
        content.update(params.as_bytes());
        let request =
            SignRequest { scheme: self.signer.scheme, digest: content.finish(), entropy: cx.env.secret() };
        let job = Job::Sign { certificate: self.signer.certificate, request };
        let state = AwaitSignature { generation: self, params, private };
        cx.ask(job);
        Ok(State::Signature(state))
    }
}

/// ServerECDHParams (RFC 8422 §5.4).
type Params = Inline<{ 4 + 65 }>;

fn params(group: Group, share: &Share) -> Result<Params, Error> {
    let mut bytes = [0; 4 + 65];
    let mut out = Writer::new(&mut bytes);
    out.u8(NAMED_CURVE)?;
    out.u16(group_code(group))?;
    out.vec::<1>(|out| out.put(share.as_bytes()))?;
    Inline::new(out.written()).ok_or(Error::Internal("ServerECDHParams length"))
}

/// Waits for the signature.
pub(super) struct AwaitSignature {
    generation: AwaitGeneration,
    params: Params,
    private: Secret<32>,
}

impl AwaitSignature {
    /// Writes ServerKeyExchange, [CertificateRequest] and ServerHelloDone.
    pub(super) fn resume(self, cx: &mut Context<'_, '_, '_>, signature: &Signature) -> Result<State, Error> {
        let AwaitGeneration { mut hello, group, signer, .. } = self.generation;
        hello.transcript.write(message::SERVER_KEY_EXCHANGE, cx.out.draft(), |out| {
            out.put(self.params.as_bytes())?;
            out.u16(scheme_code(signer.scheme))?;
            out.vec::<2>(|out| out.put(signature.as_bytes()))
        })?;
        let asked = negotiation::asks_for_certificate(cx.env);
        if asked {
            write_certificate_request(cx, &mut hello)?;
        }
        hello.transcript.write(message::SERVER_HELLO_DONE, cx.out.draft(), |_| Ok(()))?;
        if hello.text_kept {
            client_auth::keep_more(cx.env, cx.out.drafted(cx.link.sealer.as_ref()));
        }
        cx.end_flight()?;
        let state = ExpectClientKeyExchange { hello, group, private: self.private, prove: false };
        let state = match asked {
            true => State::Certificate(ExpectCertificate(state)),
            false => State::ClientKeyExchange(state),
        };
        Ok(state)
    }
}

/// CertificateRequest (RFC 5246 §7.4.4).
fn write_certificate_request(cx: &mut Context<'_, '_, '_>, hello: &mut Hello) -> Result<(), Error> {
    /// ClientCertificateType rsa_sign and ecdsa_sign.
    const TYPES: [u8; 2] = [1, 64];
    let (env, proof) = (&*cx.env, Proof::Tls12 { text: hello.text_kept });
    hello.transcript.write(message::CERTIFICATE_REQUEST, cx.out.draft(), |out| {
        out.vec::<1>(|out| out.put(&TYPES))?;
        client_auth::write_schemes(env, proof, out)?;
        let names = env.clients.as_ref().map(|clients| clients.authorities()).unwrap_or_default();
        out.vec::<2>(|out| out.put(names))
    })
}

/// Waits for the client's Certificate.
pub(super) struct ExpectCertificate(ExpectClientKeyExchange);

impl ExpectCertificate {
    pub(super) fn handle(mut self, cx: &mut Context<'_, '_, '_>, m: Message<'_>) -> Result<State, Error> {
        let body = m.expect(message::CERTIFICATE, "the client's Certificate")?;
        let mut r = Reader::new(body, "Certificate");
        let list = r.vec24()?;
        r.finish()?;
        // The verifier takes the encoding of TLS 1.3: give each certificate an empty extension list.
        let mut entries = [0; MAX_CLIENT_CHAIN];
        let mut certificates = list;
        let iterator = core::iter::from_fn(|| {
            (!certificates.is_empty()).then(|| certificates.vec24().map(|certificate| certificate.rest()))
        });
        let mut out = Writer::new(&mut entries);
        for certificate in iterator {
            let certificate = certificate?;
            out.vec::<3>(|out| out.put(certificate))
                .and_then(|()| out.u16(0))
                .map_err(|_| Error::ClientCertificate(crate::error::CertificateError::NotAcceptable))?;
        }
        self.0.prove = client_auth::verify_chain(cx, Chain::new(out.written())?).map_err(|e| match e {
            // certificate_required is an alert of TLS 1.3 only (RFC 5246 §7.4.6).
            Error::CertificateRequired => Error::Refused("client sent no certificate, but one is required"),
            other => other,
        })?;
        let hello = &mut self.0.hello;
        hello.transcript.add(m.raw);
        if hello.text_kept {
            client_auth::keep_more(cx.env, m.raw);
        }
        Ok(State::ClientKeyExchange(self.0))
    }
}

/// Longest chain of client certificates in TLS 1.2, in bytes.
const MAX_CLIENT_CHAIN: usize = 16_384;

/// Waits for ClientKeyExchange.
pub(super) struct ExpectClientKeyExchange {
    hello: Hello,
    group: Group,
    private: Secret<32>,
    /// A CertificateVerify must follow.
    prove: bool,
}

impl ExpectClientKeyExchange {
    pub(super) fn handle(mut self, cx: &mut Context<'_, '_, '_>, m: Message<'_>) -> Result<State, Error> {
        let body = m.expect(message::CLIENT_KEY_EXCHANGE, "ClientKeyExchange")?;
        let mut r = Reader::new(body, "ClientKeyExchange");
        let point = r.vec8()?.rest();
        r.finish()?;
        let peer = PeerShare::new(self.group, point)
            .ok_or(Error::Illegal("the client's key share is not of its group's length"))?;
        self.hello.transcript.add(m.raw);
        if self.hello.text_kept {
            client_auth::keep_more(cx.env, m.raw);
        }
        let job = Job::KeyExchange(KeyExchange::Agree { private: self.private, peer });
        let state = AwaitAgreement { hello: self.hello, prove: self.prove };
        cx.ask(job);
        Ok(State::Agreement(state))
    }
}

/// Waits for the premaster secret.
pub(super) struct AwaitAgreement {
    hello: Hello,
    prove: bool,
}

impl AwaitAgreement {
    pub(super) fn resume(
        self,
        cx: &mut Context<'_, '_, '_>,
        premaster: &SharedSecret,
    ) -> Result<State, Error> {
        let Hello { session, transcript, server_random, extended_master_secret, ticket, text_kept, .. } =
            self.hello;
        let (suite, random) = (session.suite, cx.link.client_random);
        let master = match extended_master_secret {
            true => prf::extended_master_secret(suite.hash(), premaster.expose(), &transcript.hash())?,
            false => prf::master_secret(suite.hash(), premaster.expose(), &random, &server_random)?,
        };
        cx.env.log_secret("CLIENT_RANDOM", &random, master.expose());
        let (client, server) = prf::write_keys(suite, &master, &random, &server_random)?;
        let closing = Closing { session, transcript, master, ticket };
        let state = ExpectChangeCipherSpec { closing, client, server: Some(server) };
        let state = match self.prove {
            true => State::CertificateVerify(ExpectCertificateVerify { next: state, text_kept }),
            false => State::ChangeCipherSpec(state),
        };
        Ok(state)
    }
}

/// Waits for the client's CertificateVerify.
pub(super) struct ExpectCertificateVerify {
    next: ExpectChangeCipherSpec,
    text_kept: bool,
}

impl ExpectCertificateVerify {
    pub(super) fn handle(mut self, cx: &mut Context<'_, '_, '_>, m: Message<'_>) -> Result<State, Error> {
        let body = m.expect(message::CERTIFICATE_VERIFY, "the client's CertificateVerify")?;
        let closing = &mut self.next.closing;
        let proof = Proof::Tls12 { text: self.text_kept };
        client_auth::verify_signature(cx, body, proof, |signed| match signed {
            Signed::Digest(hash) => Content::new(closing.transcript.hash_by(hash)?.as_bytes()),
            // The verifier has it.
            Signed::Message => Some(Content::EMPTY),
        })?;
        closing.session.client_authenticated = true;
        closing.transcript.add(m.raw);
        Ok(State::ChangeCipherSpec(self.next))
    }
}

/// What the last messages of both sides need.
struct Closing {
    session: Session,
    transcript: Transcripts,
    master: Secret<MASTER>,
    ticket: bool,
}

impl Closing {
    /// Writes [NewSessionTicket], change_cipher_spec and Finished. From here on `server` seals.
    fn write_finished(mut self, cx: &mut Context<'_, '_, '_>, server: WriteKeys) -> Result<Self, Error> {
        if self.ticket {
            cx.begin_flight()?;
            self.write_ticket(cx)?;
            cx.end_flight()?;
        }
        cx.out.change_cipher_spec()?;
        let proof = prf::verify_data(
            self.session.suite.hash(),
            &self.master,
            "server finished",
            &self.transcript.hash(),
        )?;
        cx.link.sealer = Some(server.into_protection());
        cx.begin_flight()?;
        self.transcript.write(message::FINISHED, cx.out.draft(), |out| out.put(proof.as_bytes()))?;
        cx.end_flight()?;
        Ok(self)
    }

    /// NewSessionTicket (RFC 5077 §3.3).
    fn write_ticket(&mut self, cx: &mut Context<'_, '_, '_>) -> Result<(), Error> {
        let keys = cx.env.tickets.ok_or(Error::Internal("the ticket keys vanished"))?;
        let state = TicketState {
            version: Version::Tls12,
            suite: self.session.suite,
            issued: cx.env.now,
            secret: Digest::new(self.master.expose()).ok_or(Error::Internal("master secret length"))?,
        };
        let nonce = cx.env.random();
        let lifetime = cx.env.policy.ticket_lifetime;
        let name: Option<&ServerName> = self.session.server_name.as_ref();
        self.transcript.write(message::NEW_SESSION_TICKET, cx.out.draft(), |out| {
            out.u32(lifetime)?;
            out.vec::<2>(|out| keys.seal(&state, 0, name, nonce, out))
        })
    }
}

/// Waits for the client's change_cipher_spec.
pub(super) struct ExpectChangeCipherSpec {
    closing: Closing,
    client: WriteKeys,
    /// Set in a full handshake, where the server's Finished is yet to be sent.
    server: Option<WriteKeys>,
}

impl ExpectChangeCipherSpec {
    pub(super) fn handle(self, link: &mut Link) -> State {
        link.opener.protect(self.client.into_protection());
        State::Finished(ExpectFinished { closing: self.closing, server: self.server })
    }
}

/// Waits for the client's Finished.
pub(super) struct ExpectFinished {
    closing: Closing,
    server: Option<WriteKeys>,
}

impl ExpectFinished {
    pub(super) fn handle(self, cx: &mut Context<'_, '_, '_>, m: Message<'_>) -> Result<State, Error> {
        let body = m.expect_last(message::FINISHED, "the client's Finished")?;
        let Self { mut closing, server } = self;
        let suite = closing.session.suite;
        let transcript = closing.transcript.hash();
        let proof = prf::verify_data(suite.hash(), &closing.master, "client finished", &transcript)?;
        check_finished(body, &proof)?;
        closing.transcript.add(m.raw);
        if let Some(server) = server {
            closing = closing.write_finished(cx, server)?;
        }
        let agreed = Agreed { session: closing.session, secrets: None };
        Ok(State::Established(agreed))
    }
}
