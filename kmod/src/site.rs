// SPDX-License-Identifier: MIT OR Apache-2.0
//! A network namespace's configuration: policy, certificates, keys and names, in one block of memory.

use crate::abi::{Advance, Certificate, Configuration, Flag, Refusal};
use crate::arena::Arena;
use core::ffi::c_int;
use core::mem::{MaybeUninit, size_of};
use ttls::Policy;
use ttls::config::{
    CertificateId, CertificateSet, Chain, Credential, Credentials, List, Protocol, UnknownName,
};
use ttls::handshake::flight_size;
use ttls::suite::{self, KeyKind, Suite};
use ttls::ticket::TicketKeys;
use ttls_crypto::job::Group;
use ttls_crypto::sign::{Encoding, SigningKey};

/// Most server names: they are sorted in one call.
const MAX_NAMES: usize = 16_384;

/// A namespace's configuration. Never changes, but for the ticket keys, which move with time.
pub struct Site<'m> {
    pub policy: Policy,
    pub tickets: Option<TicketKeys>,
    entries: &'m [Entry<'m>],
    names: &'m [Name<'m>],
    default: CertificateSet,
}

struct Entry<'m> {
    kind: KeyKind,
    chain: &'m [u8],
    ocsp: Option<&'m [u8]>,
    key: SigningKey,
}

impl<'m> Entry<'m> {
    /// `None` cannot occur: the chain was read when the entry was made.
    fn credential(&self) -> Option<Credential<'m>> {
        Some(Credential { kind: self.kind, chain: Chain::new(self.chain).ok()?, ocsp: self.ocsp })
    }
}

/// A name and its certificates; sorted by name.
#[derive(Clone, Copy)]
struct Name<'m> {
    name: &'m [u8],
    set: CertificateSet,
}

impl Site<'_> {
    /// The private key of a certificate.
    pub fn key(&self, id: CertificateId) -> Option<&SigningKey> {
        self.entries.get(usize::from(id.0)).map(|entry| &entry.key)
    }
}

impl Credentials for Site<'_> {
    fn by_name(&self, name: &[u8]) -> Option<CertificateSet> {
        let index = self.names.binary_search_by(|known| known.name.cmp(name)).ok()?;
        Some(self.names[index].set)
    }

    fn default_set(&self) -> CertificateSet {
        self.default
    }

    fn get(&self, id: CertificateId) -> Option<Credential<'_>> {
        self.entries.get(usize::from(id.0)).and_then(Entry::credential)
    }
}

fn names(certificate: &Certificate) -> impl Iterator<Item = &[u8]> {
    // SAFETY: C points at the netlink message, which outlives the call.
    let names = unsafe { certificate.names.get() };
    names.split(|&byte| byte == 0).filter(|name| !name.is_empty())
}

/// # Safety
/// The pointers in `configuration` are valid during `'a`.
unsafe fn certificates<'a>(configuration: &Configuration) -> &'a [Certificate] {
    if configuration.certificate_count == 0 {
        return &[];
    }
    // SAFETY: promised by the caller.
    unsafe { core::slice::from_raw_parts(configuration.certificates, configuration.certificate_count) }
}

/// Writes the bytes of memory that [`build`] needs to `memory_size`. Returns 0 or a [`Refusal`].
///
/// # Safety
/// The pointers in `configuration` are valid for the call.
#[inline(never)]
pub unsafe fn measure(configuration: &mut Configuration) -> c_int {
    // SAFETY: promised by the caller.
    let certificates = unsafe { certificates(configuration) };
    let bytes: usize = certificates
        .iter()
        .map(|certificate| {
            [certificate.chain.len, certificate.ocsp.len, certificate.names.len].iter().sum::<usize>()
        })
        .sum();
    let count = certificates.iter().map(|certificate| names(certificate).count()).sum();
    if count > MAX_NAMES {
        return Refusal::ManyNames as c_int;
    }
    configuration.memory_size = bytes
        + Arena::slice_size::<Site<'_>>(1)
        + Arena::slice_size::<Entry<'_>>(certificates.len())
        + Arena::slice_size::<Name<'_>>(count);
    0
}

/// Builds the site in `memory`, a part in each call: room for all, then one certificate after the other, whose key is tried on a
/// signature, then the rest. Returns [`crate::abi::AGAIN`] until it is done, 0 once it is, or a [`Refusal`].
///
/// # Safety
/// The pointers in `configuration` are valid for the call; `memory` belongs to the site until nobody uses it. What the call
/// leaves in `configuration` is there at the next one.
#[inline(never)]
pub unsafe fn build(configuration: &mut Configuration) -> c_int {
    // SAFETY: promised by the caller.
    match unsafe { part(configuration) } {
        Ok(true) => 0,
        Ok(false) => crate::abi::AGAIN,
        Err(refusal) => refusal as c_int,
    }
}

/// Whether this part was the last.
///
/// # Safety
/// As [`build`].
unsafe fn part(configuration: &mut Configuration) -> Result<bool, Refusal> {
    // SAFETY: promised by the caller. What was handed out before is no longer part of it.
    let (certificates, memory) = unsafe {
        let memory = configuration.memory.cast::<MaybeUninit<u8>>();
        (certificates(configuration), core::slice::from_raw_parts_mut(memory, configuration.memory_size))
    };
    let mut arena = Arena::new(memory);
    let done = if configuration.entries.is_null() {
        if certificates.is_empty() {
            return Err(Refusal::NoCertificate);
        }
        let [site] = arena.room::<Site<'_>>(1).ok_or(Refusal::NoMemory)? else {
            return Err(Refusal::NoMemory);
        };
        configuration.site = core::ptr::from_mut(site).cast();
        let entries = arena.room::<Entry<'_>>(certificates.len()).ok_or(Refusal::NoMemory)?;
        configuration.entries = entries.as_mut_ptr().cast();
        false
    } else if let Some(certificate) = certificates.get(configuration.entry_count) {
        // SAFETY: promised by the caller; there is room for as many entries as there are certificates.
        unsafe {
            let entry = entry(certificate, &mut arena)?;
            configuration.entries.cast::<Entry<'_>>().add(configuration.entry_count).write(entry);
        }
        configuration.entry_count += 1;
        false
    } else {
        // SAFETY: all entries are written, and there is room for the site.
        unsafe {
            let entries =
                core::slice::from_raw_parts(configuration.entries.cast(), configuration.entry_count);
            let site = read(configuration, certificates, entries, &mut arena)?;
            configuration.site.cast::<Site<'_>>().write(site);
        }
        true
    };
    let rest = arena.into_rest();
    (configuration.memory, configuration.memory_size) = (rest.as_mut_ptr().cast(), rest.len());
    Ok(done)
}

/// # Safety
/// As [`build`].
unsafe fn read<'m>(
    configuration: &Configuration,
    certificates: &[Certificate],
    entries: &'m [Entry<'m>],
    arena: &mut Arena<'m>,
) -> Result<Site<'m>, Refusal> {
    let flight = usize::try_from(configuration.flight_size).unwrap_or(0);
    if entries.iter().any(|entry| entry.credential().is_none_or(|fits| flight_size(&fits, 0) > flight)) {
        return Err(Refusal::LongFlight);
    }
    let default = default_set(certificates, entries)?;
    let names = sorted_names(certificates, entries, arena)?;
    // SAFETY: promised by the caller.
    let policy = unsafe { policy(configuration)? };
    // SAFETY: promised by the caller.
    let secret = unsafe { configuration.ticket_secret.get() };
    // SAFETY: promised by the caller.
    let before = unsafe { configuration.ticket_secret_before.get() };
    let tickets = if secret.is_empty() {
        None
    } else {
        let before = (!before.is_empty()).then_some(before);
        let keys = TicketKeys::new(secret, before, policy.ticket_lifetime, configuration.now);
        Some(keys.map_err(|_| Refusal::BadTicketSecret)?)
    };
    Ok(Site { policy, tickets, entries, names, default })
}

/// # Safety
/// As [`build`].
unsafe fn entry<'m>(certificate: &Certificate, arena: &mut Arena<'m>) -> Result<Entry<'m>, Refusal> {
    // SAFETY: promised by the caller.
    let (chain, key, ocsp) =
        unsafe { (certificate.chain.get(), certificate.key.get(), certificate.ocsp.get()) };
    let encoding = match certificate.key_encoding {
        0 => Encoding::Pkcs8,
        1 => Encoding::Sec1,
        2 => Encoding::Pkcs1,
        _ => return Err(Refusal::BadKey),
    };
    let key = SigningKey::from_der(encoding, key).map_err(|_| Refusal::BadKey)?;
    if chain.is_empty() || Chain::new(chain).is_err() {
        return Err(Refusal::BadChain);
    }
    let kind = match key.kind() {
        ttls_crypto::sign::KeyKind::EcdsaP256 => KeyKind::EcdsaP256,
        ttls_crypto::sign::KeyKind::Rsa => KeyKind::Rsa,
    };
    Ok(Entry {
        kind,
        chain: arena.bytes(chain).ok_or(Refusal::NoMemory)?,
        ocsp: if ocsp.is_empty() { None } else { Some(arena.bytes(ocsp).ok_or(Refusal::NoMemory)?) },
        key,
    })
}

fn slot(set: &mut CertificateSet, kind: KeyKind) -> &mut Option<CertificateId> {
    match kind {
        KeyKind::EcdsaP256 => &mut set.ecdsa,
        KeyKind::Rsa => &mut set.rsa,
    }
}

fn id(index: usize) -> Result<CertificateId, Refusal> {
    u16::try_from(index).map(CertificateId).map_err(|_| Refusal::NoMemory)
}

/// Those marked as default, the first of each kind; without a mark, the first certificate.
fn default_set(certificates: &[Certificate], entries: &[Entry<'_>]) -> Result<CertificateSet, Refusal> {
    let mut set = CertificateSet::default();
    for (index, entry) in entries.iter().enumerate() {
        let slot = slot(&mut set, entry.kind);
        if certificates[index].is_default != 0 && slot.is_none() {
            *slot = Some(id(index)?);
        }
    }
    if set == CertificateSet::default() {
        *slot(&mut set, entries[0].kind) = Some(id(0)?);
    }
    Ok(set)
}

/// One entry for each name, sorted: the first certificate of each kind that answers to it.
fn sorted_names<'m>(
    certificates: &[Certificate],
    entries: &[Entry<'_>],
    arena: &mut Arena<'m>,
) -> Result<&'m [Name<'m>], Refusal> {
    let count = certificates.iter().map(|certificate| names(certificate).count()).sum();
    let mut all = certificates.iter().zip(entries).enumerate().flat_map(|(index, (certificate, entry))| {
        names(certificate).map(move |name| (index, entry.kind, name))
    });
    let list = arena.slice(count, Refusal::NoMemory, |arena, _| {
        let (index, kind, name) = all.next().ok_or(Refusal::NoMemory)?;
        if name.len() > 255 || name.iter().any(u8::is_ascii_uppercase) {
            return Err(Refusal::BadName);
        }
        let mut set = CertificateSet::default();
        *slot(&mut set, kind) = Some(id(index)?);
        Ok(Name { name: arena.bytes(name).ok_or(Refusal::NoMemory)?, set })
    })?;
    // Of equal names the earlier certificate first: its number decides.
    list.sort_unstable_by(|a, b| a.name.cmp(b.name).then(a.rank().cmp(&b.rank())));
    let mut len = 0;
    for index in 0..list.len() {
        let name = list[index];
        match list[..len].last_mut() {
            Some(last) if last.name == name.name => {
                last.set.ecdsa = last.set.ecdsa.or(name.set.ecdsa);
                last.set.rsa = last.set.rsa.or(name.set.rsa);
            }
            _ => {
                list[len] = name;
                len += 1;
            }
        }
    }
    Ok(&list[..len])
}

impl Name<'_> {
    fn rank(&self) -> u16 {
        self.set.ecdsa.or(self.set.rsa).map_or(u16::MAX, |id| id.0)
    }
}

/// # Safety
/// As [`build`].
unsafe fn policy(configuration: &Configuration) -> Result<Policy, Refusal> {
    // SAFETY: promised by the caller.
    let (suites, groups, alpn) =
        unsafe { (configuration.suites.get(), configuration.groups.get(), configuration.alpn.get()) };
    let flag = |flag: Flag| configuration.flags & flag as u32 != 0;
    let mut policy = Policy {
        tls12: flag(Flag::Tls12),
        tls13: flag(Flag::Tls13),
        client_order: flag(Flag::ClientOrder),
        alpn_required: flag(Flag::AlpnRequired),
        extended_master_secret_required: flag(Flag::RequireEms),
        ticket_lifetime: configuration.ticket_lifetime,
        tickets: u8::try_from(configuration.tickets).map_err(|_| Refusal::BadPolicy)?,
        fingerprint: true,
        ..Policy::default()
    };
    if flag(Flag::RefuseUnknownNames) {
        policy.unknown_name = UnknownName::Refuse;
    }
    if !suites.is_empty() {
        policy.suites = listed(codes(suites).map(Suite::from_code))?;
    }
    if !groups.is_empty() {
        policy.groups = listed(codes(groups).map(group))?;
    }
    // As in the extension (RFC 7301 §3.1): names, each after its length.
    let (mut protocols, mut rest) = ([None; 8], alpn);
    for slot in &mut protocols {
        let Some((&len, tail)) = rest.split_first() else { break };
        let (name, tail) = tail.split_at_checked(usize::from(len)).ok_or(Refusal::BadPolicy)?;
        *slot = Some(Protocol::new(name).ok_or(Refusal::BadPolicy)?);
        rest = tail;
    }
    if !rest.is_empty() {
        return Err(Refusal::BadPolicy);
    }
    policy.alpn = List::new(protocols.into_iter().flatten()).ok_or(Refusal::BadPolicy)?;
    policy.check().map_err(|_| Refusal::BadPolicy)?;
    Ok(policy)
}

/// The `uint16` in network order that `bytes` are made of.
fn codes(bytes: &[u8]) -> impl Iterator<Item = u16> + Clone {
    bytes.chunks(2).map(|pair| match *pair {
        [high, low] => u16::from_be_bytes([high, low]),
        _ => 0,
    })
}

fn group(code: u16) -> Option<Group> {
    [Group::Secp256r1, Group::X25519, Group::X25519MlKem768]
        .into_iter()
        .find(|&group| suite::group_code(group) == code)
}

fn listed<T: Copy, const N: usize>(
    values: impl Iterator<Item = Option<T>> + Clone,
) -> Result<List<T, N>, Refusal> {
    if values.clone().any(|value| value.is_none()) {
        return Err(Refusal::BadPolicy);
    }
    List::new(values.flatten()).ok_or(Refusal::BadPolicy)
}

/// Moves the ticket keys on.
///
/// # Safety
/// The site is one that [`build`] made, and nobody else uses it meanwhile.
#[inline(never)]
pub unsafe fn advance(advance: &mut Advance) -> c_int {
    // SAFETY: promised by the caller.
    let site = unsafe { &mut *advance.site.cast::<Site<'_>>() };
    match site.tickets.as_mut().map(|keys| keys.advance(advance.now)) {
        None | Some(Ok(())) => 0,
        Some(Err(_)) => Refusal::BadTicketSecret as c_int,
    }
}

const _: () = assert!(size_of::<Site<'_>>() < 16_384, "built on the stack");
