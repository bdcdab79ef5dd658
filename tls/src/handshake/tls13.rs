// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TLS 1.3 handshake (RFC 8446 §2, §4).

use super::client_auth::{self, Content, Proof, Signed};
use super::context::{Agreed, Awaits, Context, STRAY_RESULT, check_finished};
use super::job::Job;
use super::negotiation::{self, Offer, RecordLimit, Signer};
use super::server_hello;
use super::session::Session;
use crate::config::{CertificateSet, Chain, Environment};
use crate::error::Error;
use crate::inline::Inline;
use crate::key_schedule::{self, EarlySecret, FinishedKey, HandshakeSecret, MasterSecret};
use crate::record;
use crate::suite::{Group, KeyKind, Suite, Version, group_code, scheme_code};
use crate::ticket::TicketState;
use crate::traffic::Secrets;
use crate::transcript::Transcript;
use crate::wire::codes::{self, content_type, extension, message};
use crate::wire::{ClientHello, Message, Reader, Writer};
use ttls_crypto::hash::Digest;
use ttls_crypto::job::{KeyExchange, Output, PeerShare, Share, SharedSecret, SignRequest, Signature};

/// PSK identities that are tried before a full handshake is made.
const MAX_IDENTITIES: usize = 2;
/// Length of a ticket_nonce: the index of the ticket.
const TICKET_NONCE: usize = 1;
/// The random of a HelloRetryRequest (RFC 8446 §4.1.3).
const RETRY_RANDOM: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// What the handshake waits for.
#[allow(clippy::large_enum_variant)] // lives in a connection's slot
pub(super) enum State {
    /// The ClientHello that answers a HelloRetryRequest.
    ClientHello(Retry),
    KeyExchange(AwaitKeyExchange),
    Signature(AwaitSignature),
    Certificate(ExpectCertificate),
    CertificateVerify(ExpectCertificateVerify),
    Finished(ExpectFinished),
    Established(Agreed),
}

impl State {
    pub(super) const fn awaits(&self) -> Awaits {
        match self {
            Self::KeyExchange(_) | Self::Signature(_) => Awaits::Job,
            Self::Certificate(_) | Self::CertificateVerify(_) => Awaits::Proof,
            Self::ClientHello(_) | Self::Finished(_) => Awaits::Message,
            Self::Established(_) => Awaits::Nothing,
        }
    }

    pub(super) fn handle(self, cx: &mut Context<'_, '_, '_>, message: Message<'_>) -> Result<Self, Error> {
        match self {
            Self::ClientHello(retry) => {
                let offer = Offer::read(cx, message)?;
                match offer.version {
                    Version::Tls13 => start(cx, offer, Some(retry)),
                    Version::Tls12 => Err(Error::Illegal("the version changed after HelloRetryRequest")),
                }
            }
            Self::Certificate(state) => state.handle(cx, message),
            Self::CertificateVerify(state) => state.handle(cx, message),
            Self::Finished(state) => state.handle(cx, message),
            _ => Err(Error::Unexpected("no handshake message")),
        }
    }

    pub(super) fn resume(self, cx: &mut Context<'_, '_, '_>, output: &Output) -> Result<Self, Error> {
        match (self, output) {
            (Self::KeyExchange(state), Output::Exchanged { share, shared }) => {
                state.resume(cx, share, shared)
            }
            (Self::Signature(state), Output::Signed(signature)) => state.resume(cx, signature),
            _ => Err(STRAY_RESULT),
        }
    }
}

/// What a HelloRetryRequest demanded.
pub(super) struct Retry {
    suite: Suite,
    group: Group,
    /// message_hash of the first ClientHello, then the HelloRetryRequest.
    transcript: Transcript,
}

/// legacy_session_id, to be echoed.
type SessionId = Inline<32>;

/// How the server proves who it is.
enum Authentication {
    Certificate {
        signer: Signer,
        ocsp: bool,
    },
    /// The accepted PSK and its place in the client's list.
    Psk {
        early: EarlySecret,
        index: u16,
    },
}

/// Answers a ClientHello that chose TLS 1.3.
pub(super) fn start(
    cx: &mut Context<'_, '_, '_>,
    offer: Offer<'_>,
    retry: Option<Retry>,
) -> Result<State, Error> {
    let hello = &offer.hello;
    check(hello, retry.is_some())?;
    let suite = negotiation::acceptable_suites(cx.env.policy, hello.suites, Version::Tls13)
        .next()
        .ok_or(Error::NoCommonParameters("cipher suite"))?;
    if retry.as_ref().is_some_and(|retry| retry.suite != suite) {
        return Err(Error::Illegal("the cipher suite changed after HelloRetryRequest"));
    }
    cx.link.opener.set_tls13();
    // Early data that follows a second ClientHello is already refused by `check`.
    match hello.early_data {
        true => cx.link.opener.skip_early_data(),
        false => cx.link.opener.skip_nothing(),
    }

    let wanted = retry.as_ref().map(|retry| retry.group);
    let (group, share) = match choose_share(hello, cx.env, wanted)? {
        (group, Some(share)) => (group, share),
        (group, None) => return request_retry(cx, &offer, suite, group),
    };
    let mut transcript = retry.map_or_else(|| Transcript::new(suite.hash()), |retry| retry.transcript);
    let (set, name_known) = negotiation::certificates_for(cx.env, &offer)?;
    let authentication = match accept_psk(cx.env, &offer, suite, &transcript)? {
        Some((early, index)) => Authentication::Psk { early, index },
        None => choose_certificate(set, &offer)?,
    };
    let record_limit = negotiation::limit_records(cx.link, hello, Version::Tls13)?;
    transcript.add(offer.raw);

    let mut session = offer.session(suite);
    session.group = Some(group);
    session.resumed = matches!(authentication, Authentication::Psk { .. });
    let state = AwaitKeyExchange {
        session,
        transcript,
        authentication,
        session_id: session_id(hello)?,
        retried: wanted.is_some(),
        record_limit,
        name_known,
        tickets: accepts_psk_with_dhe(hello),
    };
    offer.admit(cx.env, state.session.resumed)?;
    let peer =
        PeerShare::new(group, share).ok_or(Error::Illegal("a key share is not of its group's length"))?;
    let job = Job::KeyExchange(KeyExchange::Respond { peer, seed: cx.env.secret() });
    cx.ask(job);
    Ok(State::KeyExchange(state))
}

/// What a TLS 1.3 ClientHello must have (RFC 8446 §4.1.2, §9.2).
fn check(hello: &ClientHello<'_>, retried: bool) -> Result<(), Error> {
    if hello.compression != [0] {
        return Err(Error::Illegal("TLS 1.3 with compression"));
    }
    if hello.pre_shared_key.is_some() && hello.psk_modes.is_none() {
        return Err(Error::MissingExtension("psk_key_exchange_modes"));
    }
    if hello.signature_algorithms.is_none() && hello.pre_shared_key.is_none() {
        return Err(Error::MissingExtension("signature_algorithms"));
    }
    // Without (EC)DHE a PSK would not be forward secret: key shares are always needed here.
    if hello.groups.is_none() {
        return Err(Error::MissingExtension("supported_groups"));
    }
    if hello.key_shares.is_none() {
        return Err(Error::MissingExtension("key_share"));
    }
    if hello.early_data && retried {
        return Err(Error::Illegal("early_data after HelloRetryRequest"));
    }
    Ok(())
}

fn session_id(hello: &ClientHello<'_>) -> Result<SessionId, Error> {
    Inline::new(hello.session_id).ok_or(Error::Malformed("ClientHello session_id"))
}

/// psk_dhe_ke is among the client's modes.
fn accepts_psk_with_dhe(hello: &ClientHello<'_>) -> bool {
    hello.psk_modes.is_some_and(|modes| modes.contains(&1))
}

/// The group to use with the client's share in it, or without one if it is to be asked for.
fn choose_share<'m>(
    hello: &ClientHello<'m>,
    env: &Environment<'_>,
    wanted: Option<Group>,
) -> Result<(Group, Option<&'m [u8]>), Error> {
    if wanted.is_some() && hello.key_share_count()? != 1 {
        // RFC 8446 §4.1.2.
        return Err(Error::Illegal("after HelloRetryRequest there is to be the one key share that it named"));
    }
    let offered = hello.groups.unwrap_or_default();
    let mut first_common = None;
    for group in env.policy.groups.iter().filter(|&group| wanted.is_none_or(|wanted| wanted == group)) {
        let code = group_code(group);
        if let Some(share) = hello.key_share(code)? {
            return Ok((group, Some(share)));
        }
        if offered.contains(code) {
            first_common.get_or_insert(group);
        }
    }
    match (first_common, wanted) {
        (_, Some(_)) => Err(Error::Illegal("no key share for the group that HelloRetryRequest named")),
        (Some(group), None) => Ok((group, None)),
        (None, None) => Err(Error::NoCommonParameters("key-exchange group")),
    }
}

/// HelloRetryRequest (RFC 8446 §4.1.4).
fn request_retry(
    cx: &mut Context<'_, '_, '_>,
    offer: &Offer<'_>,
    suite: Suite,
    group: Group,
) -> Result<State, Error> {
    let mut transcript = Transcript::new(suite.hash());
    transcript.add(offer.raw);
    let mut transcript = transcript.into_message_hash();
    let session_id = session_id(&offer.hello)?;
    write_hello(cx, &mut transcript, suite, &session_id, &RETRY_RANDOM, |out| {
        out.extension(extension::KEY_SHARE, |out| out.u16(group_code(group)))
    })?;
    if !session_id.as_bytes().is_empty() {
        cx.out.change_cipher_spec()?;
    }
    let retry = Retry { suite, group, transcript };
    Ok(State::ClientHello(retry))
}

/// ServerHello or HelloRetryRequest, as a record.
fn write_hello(
    cx: &mut Context<'_, '_, '_>,
    transcript: &mut Transcript,
    suite: Suite,
    session_id: &SessionId,
    random: &[u8; 32],
    extensions: impl FnOnce(&mut Writer<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    cx.out.begin(None)?;
    transcript.write(message::SERVER_HELLO, cx.out.draft(), |out| {
        server_hello::write(out, random, session_id.as_bytes(), suite, |out| {
            out.extension(extension::SUPPORTED_VERSIONS, |out| out.u16(codes::TLS13))?;
            extensions(out)
        })
    })?;
    // Before the ServerHello no limit is agreed on: record_size_limit is for protected records (RFC 8449 §4).
    cx.out.seal(content_type::HANDSHAKE, record::MAX_PLAINTEXT, None)
}

/// The first PSK that is a ticket of ours, for this name and a suite with this hash, with its binder verified.
fn accept_psk(
    env: &Environment<'_>,
    offer: &Offer<'_>,
    suite: Suite,
    before: &Transcript,
) -> Result<Option<(EarlySecret, u16)>, Error> {
    let (Some(keys), Some(offered)) = (env.tickets, &offer.hello.pre_shared_key) else { return Ok(None) };
    if !accepts_psk_with_dhe(&offer.hello) || negotiation::asks_for_certificate(env) {
        return Ok(None);
    }
    let (mut identities, mut binders) = (offered.identities.clone(), offered.binders.clone());
    for index in 0..MAX_IDENTITIES {
        if identities.is_empty() {
            break;
        }
        let identity = identities.vec16()?.rest();
        identities.u32()?;
        let binder = binders.vec8()?.rest();
        let name = offer.server_name.as_ref();
        let ticket = keys.open(identity, Version::Tls13, name, env.policy.ticket_lifetime, env.now);
        let Some(ticket) = ticket.filter(|ticket| ticket.suite.hash() == suite.hash()) else { continue };

        let early = EarlySecret::new(suite.hash(), ticket.secret.as_bytes())?;
        let covered = offer.raw.len().checked_sub(offered.uncovered);
        let covered = offer.raw.get(..covered.unwrap_or(0)).unwrap_or_default();
        let mut transcript = before.clone();
        transcript.add(covered);
        if !early.binder(suite.hash(), &transcript.hash())?.matches(binder) {
            return Err(Error::BadProof("a PSK binder"));
        }
        let index = u16::try_from(index).map_err(|_| Error::Internal("PSK index"))?;
        return Ok(Some((early, index)));
    }
    Ok(None)
}

fn choose_certificate(set: CertificateSet, offer: &Offer<'_>) -> Result<Authentication, Error> {
    let verifiable =
        offer.hello.signature_algorithms.ok_or(Error::MissingExtension("signature_algorithms"))?;
    let signer = [KeyKind::EcdsaP256, KeyKind::Rsa]
        .into_iter()
        .find_map(|kind| negotiation::signer(set, kind, Version::Tls13, verifiable))
        .ok_or(Error::NoCommonParameters("signature scheme"))?;
    Ok(Authentication::Certificate { signer, ocsp: offer.hello.wants_ocsp })
}

/// Waits for the shared secret.
pub(super) struct AwaitKeyExchange {
    session: Session,
    /// Over ClientHello.
    transcript: Transcript,
    authentication: Authentication,
    session_id: SessionId,
    retried: bool,
    record_limit: RecordLimit,
    name_known: bool,
    tickets: bool,
}

impl AwaitKeyExchange {
    pub(super) fn resume(
        self,
        cx: &mut Context<'_, '_, '_>,
        share: &Share,
        shared: &SharedSecret,
    ) -> Result<State, Error> {
        let Self { session, mut transcript, authentication, session_id, .. } = self;
        let suite = session.suite;
        let group = session.group.ok_or(Error::Internal("key exchange without a group"))?;
        let random = cx.env.random();
        write_hello(cx, &mut transcript, suite, &session_id, &random, |out| {
            out.extension(extension::KEY_SHARE, |out| {
                out.u16(group_code(group))?;
                out.vec::<2>(|out| out.put(share.as_bytes()))
            })?;
            match &authentication {
                Authentication::Psk { index, .. } => {
                    out.extension(extension::PRE_SHARED_KEY, |out| out.u16(*index))
                }
                Authentication::Certificate { .. } => Ok(()),
            }
        })?;
        // Middlebox compatibility mode (RFC 8446 §D.4); after a HelloRetryRequest it is already sent.
        if !session_id.as_bytes().is_empty() && !self.retried {
            cx.out.change_cipher_spec()?;
        }

        let early = match &authentication {
            Authentication::Psk { early, .. } => Some(early),
            Authentication::Certificate { .. } => None,
        };
        let secret = HandshakeSecret::new(suite.hash(), early, shared.expose())?;
        let (client, server) = secret.traffic(&transcript.hash())?;
        cx.env.log_secret("CLIENT_HANDSHAKE_TRAFFIC_SECRET", &cx.link.client_random, client.as_bytes());
        cx.env.log_secret("SERVER_HANDSHAKE_TRAFFIC_SECRET", &cx.link.client_random, server.as_bytes());
        let (protection, client_finished) = key_schedule::handshake_keys(suite, &client)?;
        cx.link.opener.protect(protection);
        let (sealer, server_finished) = key_schedule::handshake_keys(suite, &server)?;
        cx.link.sealer = Some(sealer);

        cx.begin_flight()?;
        write_encrypted_extensions(cx, &mut transcript, &session, self.record_limit, self.name_known)?;
        let asked = matches!(authentication, Authentication::Certificate { .. })
            && negotiation::asks_for_certificate(cx.env);
        if asked {
            write_certificate_request(cx, &mut transcript)?;
        }
        let flight = Flight {
            session,
            transcript,
            client_finished,
            server_finished,
            master: secret.master()?,
            asked,
            tickets: self.tickets,
        };
        match authentication {
            Authentication::Psk { .. } => flight.finish(cx),
            Authentication::Certificate { signer, ocsp } => flight.certify(cx, signer, ocsp),
        }
    }
}

/// EncryptedExtensions (RFC 8446 §4.3.1).
fn write_encrypted_extensions(
    cx: &mut Context<'_, '_, '_>,
    transcript: &mut Transcript,
    session: &Session,
    record_limit: RecordLimit,
    name_known: bool,
) -> Result<(), Error> {
    transcript.write(message::ENCRYPTED_EXTENSIONS, cx.out.draft(), |out| {
        out.vec::<2>(|out| {
            // A resumed handshake does not acknowledge the name (RFC 6066 §3).
            if name_known && !session.resumed {
                out.extension(extension::SERVER_NAME, |_| Ok(()))?;
            }
            server_hello::write_agreed(out, session, record_limit)
        })
    })
}

/// CertificateRequest (RFC 8446 §4.3.2).
fn write_certificate_request(cx: &mut Context<'_, '_, '_>, transcript: &mut Transcript) -> Result<(), Error> {
    let env = &*cx.env;
    transcript.write(message::CERTIFICATE_REQUEST, cx.out.draft(), |out| {
        out.u8(0)?;
        out.vec::<2>(|out| {
            out.extension(extension::SIGNATURE_ALGORITHMS, |out| {
                client_auth::write_schemes(env, Proof::Tls13, out)
            })?;
            // Clients look here for the algorithms of their chain.
            out.extension(extension::SIGNATURE_ALGORITHMS_CERT, |out| {
                client_auth::write_certificate_schemes(env, out)
            })?;
            match env.clients.as_ref().map(|clients| clients.authorities()).unwrap_or_default() {
                [] => Ok(()),
                names => out
                    .extension(extension::CERTIFICATE_AUTHORITIES, |out| out.vec::<2>(|out| out.put(names))),
            }
        })
    })
}

/// The server's flight while it is being written.
struct Flight {
    session: Session,
    transcript: Transcript,
    client_finished: FinishedKey,
    server_finished: FinishedKey,
    master: MasterSecret,
    /// A CertificateRequest is in it.
    asked: bool,
    /// The client can use tickets.
    tickets: bool,
}

impl Flight {
    /// Writes Certificate and asks for the signature of CertificateVerify (RFC 8446 §4.4.2, §4.4.3).
    fn certify(mut self, cx: &mut Context<'_, '_, '_>, signer: Signer, ocsp: bool) -> Result<State, Error> {
        let credential = cx.env.credential(signer.certificate)?;
        let staple = credential.ocsp.filter(|_| ocsp);
        self.transcript.write(message::CERTIFICATE, cx.out.draft(), |out| {
            out.u8(0)?;
            credential.chain.write_tls13(staple, out)
        })?;
        let hash = signer.scheme.hash();
        let content = proof_content(b"TLS 1.3, server CertificateVerify", &self.transcript.hash())?;
        let digest = hash.digest(content.as_bytes());
        let request = SignRequest { scheme: signer.scheme, digest, entropy: cx.env.secret() };
        let job = Job::Sign { certificate: signer.certificate, request };
        let state = AwaitSignature { flight: self, signer };
        cx.ask(job);
        Ok(State::Signature(state))
    }

    /// Writes Finished, seals the flight and derives the application traffic secrets.
    fn finish(mut self, cx: &mut Context<'_, '_, '_>) -> Result<State, Error> {
        let suite = self.session.suite;
        let proof = self.server_finished.proof(&self.transcript.hash())?;
        self.transcript.write(message::FINISHED, cx.out.draft(), |out| out.put(proof.as_bytes()))?;
        cx.end_flight()?;

        let until_finished = self.transcript.hash();
        let (client, server) = self.master.traffic(&until_finished)?;
        let random = cx.link.client_random;
        cx.env.log_secret("CLIENT_TRAFFIC_SECRET_0", &random, client.as_bytes());
        cx.env.log_secret("SERVER_TRAFFIC_SECRET_0", &random, server.as_bytes());
        if cx.env.keylog.is_some() {
            let exporter = self.master.exporter(&until_finished)?;
            cx.env.log_secret("EXPORTER_SECRET", &random, exporter.as_bytes());
        }
        let sealer = key_schedule::protection(suite, &server)?;
        cx.link.sealer = Some(sealer);
        let state = ExpectFinished {
            session: self.session,
            transcript: self.transcript,
            client_finished: self.client_finished,
            master: self.master,
            secrets: Secrets { client, server },
            tickets: self.tickets,
        };
        let state = match self.asked {
            true => State::Certificate(ExpectCertificate(state)),
            false => State::Finished(state),
        };
        Ok(state)
    }
}

/// What CertificateVerify signs (RFC 8446 §4.4.3).
fn proof_content(context: &[u8; 33], transcript: &Digest) -> Result<Content, Error> {
    let mut content = Content::EMPTY;
    let parts = [&[b' '; 64][..], context, &[0], transcript.as_bytes()];
    let put = parts.into_iter().try_for_each(|part| content.push(part));
    put.map(|()| content).ok_or(Error::Internal("the content of CertificateVerify"))
}

/// Waits for the signature.
pub(super) struct AwaitSignature {
    flight: Flight,
    signer: Signer,
}

impl AwaitSignature {
    pub(super) fn resume(
        mut self,
        cx: &mut Context<'_, '_, '_>,
        signature: &Signature,
    ) -> Result<State, Error> {
        self.flight.transcript.write(message::CERTIFICATE_VERIFY, cx.out.draft(), |out| {
            out.u16(scheme_code(self.signer.scheme))?;
            out.vec::<2>(|out| out.put(signature.as_bytes()))
        })?;
        self.flight.finish(cx)
    }
}

/// Waits for the client's Certificate.
pub(super) struct ExpectCertificate(ExpectFinished);

impl ExpectCertificate {
    pub(super) fn handle(mut self, cx: &mut Context<'_, '_, '_>, m: Message<'_>) -> Result<State, Error> {
        let body = m.expect(message::CERTIFICATE, "the client's Certificate")?;
        let mut r = Reader::new(body, "Certificate");
        if !r.vec8()?.is_empty() {
            return Err(Error::Illegal("certificate_request_context was not asked for"));
        }
        let chain = Chain::new(r.vec24()?.rest())?;
        r.finish()?;
        // CertificateRequest asks for no extension of a certificate (RFC 8446 §4.4.2).
        if chain.has_extensions() {
            return Err(Error::UnsupportedExtension("the client's Certificate"));
        }
        let proof_follows = client_auth::verify_chain(cx, chain)?;
        self.0.transcript.add(m.raw);
        let state = match proof_follows {
            true => State::CertificateVerify(ExpectCertificateVerify(self.0)),
            false => State::Finished(self.0),
        };
        Ok(state)
    }
}

/// Waits for the client's CertificateVerify.
pub(super) struct ExpectCertificateVerify(ExpectFinished);

impl ExpectCertificateVerify {
    pub(super) fn handle(mut self, cx: &mut Context<'_, '_, '_>, m: Message<'_>) -> Result<State, Error> {
        let body = m.expect(message::CERTIFICATE_VERIFY, "the client's CertificateVerify")?;
        let transcript = self.0.transcript.hash();
        let content = proof_content(b"TLS 1.3, client CertificateVerify", &transcript)?;
        client_auth::verify_signature(cx, body, Proof::Tls13, |signed| match signed {
            Signed::Digest(hash) => Content::new(hash.digest(content.as_bytes()).as_bytes()),
            Signed::Message => Some(content),
        })?;
        self.0.session.client_authenticated = true;
        self.0.transcript.add(m.raw);
        Ok(State::Finished(self.0))
    }
}

/// Waits for the client's Finished.
pub(super) struct ExpectFinished {
    session: Session,
    transcript: Transcript,
    client_finished: FinishedKey,
    master: MasterSecret,
    secrets: Secrets,
    tickets: bool,
}

impl ExpectFinished {
    pub(super) fn handle(mut self, cx: &mut Context<'_, '_, '_>, m: Message<'_>) -> Result<State, Error> {
        let body = m.expect_last(message::FINISHED, "the client's Finished")?;
        let suite = self.session.suite;
        let proof = self.client_finished.proof(&self.transcript.hash())?;
        check_finished(body, &proof)?;
        self.transcript.add(m.raw);
        self.write_tickets(cx)?;
        cx.link.opener.protect(key_schedule::protection(suite, &self.secrets.client)?);
        cx.link.opener.finished();
        let agreed = Agreed { session: self.session, secrets: Some(self.secrets) };
        Ok(State::Established(agreed))
    }

    /// NewSessionTicket messages in one record (RFC 8446 §4.6.1).
    fn write_tickets(&self, cx: &mut Context<'_, '_, '_>) -> Result<(), Error> {
        let Some(keys) = cx.env.tickets else { return Ok(()) };
        let count = if self.session.resumed { 1.min(cx.env.policy.tickets) } else { cx.env.policy.tickets };
        if !self.tickets
            || count == 0
            || self.session.client_authenticated
            || negotiation::asks_for_certificate(cx.env)
        {
            return Ok(());
        }
        let hash = self.session.suite.hash();
        let resumption = self.master.resumption(&self.transcript.hash())?;
        cx.begin_flight()?;
        for index in 0..count {
            let ticket_nonce: [u8; TICKET_NONCE] = [index];
            let state = TicketState {
                version: Version::Tls13,
                suite: self.session.suite,
                issued: cx.env.now,
                secret: key_schedule::resumption_psk(hash, &resumption, &ticket_nonce)?,
            };
            let age_add = u32::from_be_bytes(cx.env.random());
            let nonce = cx.env.random();
            let lifetime = cx.env.policy.ticket_lifetime;
            cx.out.draft().message(message::NEW_SESSION_TICKET, |out| {
                out.u32(lifetime)?;
                out.u32(age_add)?;
                out.vec::<1>(|out| out.put(&ticket_nonce))?;
                out.vec::<2>(|out| {
                    keys.seal(&state, age_add, self.session.server_name.as_ref(), nonce, out)
                })?;
                out.u16(0)
            })?;
        }
        cx.end_flight()
    }
}
