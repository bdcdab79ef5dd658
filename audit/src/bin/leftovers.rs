// SPDX-License-Identifier: MIT OR Apache-2.0
//! Looks for secrets that an operation left behind: runs every operation on every path that this CPU has, alone and with
//! company, and searches all memory of the process that can be written, dead stack included, for what only the operation
//! may know: seeds, private keys, entropy, nonces, shared secrets, both primes and both halves of an RSA signature.
//!
//! `leftovers [depths]`; `depths` only tells how deep in the stack each operation's traces reach.
//!
//! An operation runs on a thread of its own, below a pad of stack. When it is over, its results are noted and dropped, and
//! the thread waits, using no more stack than the pad, while another searches. What is searched for is kept masked. The
//! allocator wipes what is freed: what this program computes for itself must not be found.
//!
//! A control that leaves its secret on the stack must be found, or the search is broken.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::sync::mpsc;

use num_bigint::BigUint;
use ttls_crypto::batch::{Engine, Item};
use ttls_crypto::cpu::{Choice, Cpu};
use ttls_crypto::hash::Algorithm;
use ttls_crypto::job::{Group, KeyExchange, Output, PeerShare, SignRequest, Work};
use ttls_crypto::secret::Secret;
use ttls_crypto::sign::{Encoding, Scheme, SigningKey};
use ttls_crypto::wipe::{Depth, wipe_stack};

struct Wiping;

// SAFETY: the system's allocator, but that memory is overwritten before it goes back.
unsafe impl GlobalAlloc for Wiping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller gives up memory of this size.
        unsafe {
            memory.write_bytes(0, layout.size());
            System.dealloc(black_box(memory), layout);
        }
    }
}

#[global_allocator]
static ALLOCATOR: Wiping = Wiping;

/// Stack above an operation's that this program works in meanwhile.
const PAD: usize = 256 * 1024;
/// Masks what is searched for.
const MASK: u64 = 0x6a09_e667_f3bc_c908;

/// Pieces of secrets, eight bytes each, masked, with what they belong to.
struct Needles {
    pieces: HashMap<u64, &'static str>,
    /// Whether a piece ends in these sixteen bits.
    filter: Vec<bool>,
}

impl Needles {
    fn new() -> Self {
        Self { pieces: HashMap::new(), filter: vec![false; 1 << 16] }
    }

    fn piece(&mut self, name: &'static str, piece: [u8; 8]) {
        // Zeros and the like are everywhere.
        if piece.iter().collect::<HashSet<_>>().len() >= 5 {
            let masked = u64::from_le_bytes(piece) ^ MASK;
            self.pieces.insert(masked, name);
            self.filter
                [usize::from(u16::from_le_bytes([masked.to_le_bytes()[0], masked.to_le_bytes()[1]]))] = true;
        }
    }

    /// Bytes, in either order, and as hashes take them in, by words of 32 bits.
    fn bytes(&mut self, name: &'static str, bytes: &[u8]) {
        for piece in bytes.as_chunks::<8>().0 {
            let [a, b, c, d, e, f, g, h] = *piece;
            self.piece(name, *piece);
            self.piece(name, [h, g, f, e, d, c, b, a]);
            self.piece(name, [d, c, b, a, h, g, f, e]);
        }
    }

    /// A number in limbs of 64 and of 52 bits.
    fn number(&mut self, name: &'static str, number: &BigUint) {
        self.bytes(name, &number.to_bytes_le());
        for i in 0..number.bits().div_ceil(52) {
            let limb = (number >> (52 * i)) & BigUint::from((1_u64 << 52) - 1);
            self.piece(name, u64::try_from(limb).expect("52 bits").to_le_bytes());
        }
    }

    /// What the eight bytes belong to, if to a secret.
    #[inline]
    fn find(&self, bytes: [u8; 8]) -> Option<&'static str> {
        let masked = u64::from_le_bytes(bytes) ^ MASK;
        self.filter[usize::from(u16::from_le_bytes([masked.to_le_bytes()[0], masked.to_le_bytes()[1]]))]
            .then(|| self.pieces.get(&masked).copied())
            .flatten()
    }
}

/// Where secrets may lie: the keys that are in use.
type Place = std::ops::Range<usize>;

/// Searches what the process can write to; gives each secret found, and where.
fn search(needles: &Needles, keys_at: &Place, buffer: &mut [u8]) -> Vec<(&'static str, usize, String)> {
    let mut found = Vec::new();
    let memory = File::open("/proc/self/mem").expect("/proc/self/mem");
    let own = buffer.as_ptr_range();
    let own = own.start as usize..own.end as usize;
    for line in std::fs::read_to_string("/proc/self/maps").expect("/proc/self/maps").lines() {
        let mut fields = line.split_whitespace();
        let (range, rights) = (fields.next().expect("a range"), fields.next().expect("rights"));
        if !rights.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').expect("two ends");
        let number = |text| usize::from_str_radix(text, 16).expect("an address");
        let (mut start, end) = (number(start), number(end));
        while start + 8 <= end {
            let length = buffer.len().min(end - start);
            let part = &mut buffer[..length];
            if memory.read_exact_at(part, start as u64).is_err() {
                break;
            }
            for (i, bytes) in part.windows(8).enumerate() {
                let address = start + i;
                if own.contains(&address) || keys_at.contains(&address) {
                    continue;
                }
                if let Some(name) = needles.find(bytes.try_into().expect("eight bytes")) {
                    found.push((name, address, fields.clone().next_back().unwrap_or_default().to_owned()));
                }
            }
            // The last seven bytes begin the next part.
            start += length - if start + length < end { 7 } else { 0 };
        }
        buffer.fill(0);
    }
    found
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let word = word ^ (word >> 31);
            chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
        }
    }
}

/// The order of P-256's group.
fn order() -> BigUint {
    BigUint::parse_bytes(b"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16)
        .expect("digits")
}

#[derive(Clone, Copy, PartialEq)]
enum Operation {
    Respond(Group),
    Generate(Group),
    Agree(Group),
    Ecdsa,
    /// With the key of that index in [`RSA_FILES`].
    Rsa(usize, Scheme),
    /// All keys are read from their files.
    ReadKeys,
    /// Leaves its secret behind.
    Control,
}

const OPERATIONS: [(&str, Operation); 14] = [
    ("x25519 respond", Operation::Respond(Group::X25519)),
    ("x25519 generate", Operation::Generate(Group::X25519)),
    ("x25519 agree", Operation::Agree(Group::X25519)),
    ("p256 respond", Operation::Respond(Group::Secp256r1)),
    ("p256 generate", Operation::Generate(Group::Secp256r1)),
    ("p256 agree", Operation::Agree(Group::Secp256r1)),
    ("x25519mlkem768 respond", Operation::Respond(Group::X25519MlKem768)),
    ("ecdsa-p256 sign", Operation::Ecdsa),
    ("rsa-2048 sign, PSS", Operation::Rsa(0, Scheme::RsaPss(Algorithm::Sha256))),
    ("rsa-2048 sign, PKCS#1", Operation::Rsa(0, Scheme::RsaPkcs1(Algorithm::Sha256))),
    ("rsa-3072 sign, PSS", Operation::Rsa(1, Scheme::RsaPss(Algorithm::Sha384))),
    ("rsa-4096 sign, PSS", Operation::Rsa(2, Scheme::RsaPss(Algorithm::Sha512))),
    ("keys read", Operation::ReadKeys),
    ("control (leaves all)", Operation::Control),
];

const EC_FILE: &[u8] = include_bytes!("../../../vectors/keys/p256.pkcs8.der");
const RSA_FILES: [&[u8]; 3] = [
    include_bytes!("../../../vectors/keys/rsa-2048.pkcs8.der"),
    include_bytes!("../../../vectors/keys/rsa-3072.pkcs8.der"),
    include_bytes!("../../../vectors/keys/rsa-4096.pkcs8.der"),
];

/// The content of the first element of some DER, and what follows it.
fn element(der: &[u8]) -> (&[u8], &[u8]) {
    let long = usize::from(der[1] & 0x7f);
    let (length, start) = match der[1] {
        short @ ..0x80 => (usize::from(short), 2),
        _ => (der[2..2 + long].iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), 2 + long),
    };
    der[start..].split_at(length)
}

/// p, q, dp, dq and qInv of a PrivateKeyInfo.
fn rsa_numbers(file: &[u8]) -> [BigUint; 5] {
    // Version, algorithm, then an OCTET STRING; in it version, n, e, d.
    let (_, rest) = element(element(file).0);
    let (_, rest) = element(rest);
    let mut numbers = element(element(rest).0).0;
    for _ in 0..4 {
        numbers = element(numbers).1;
    }
    std::array::from_fn(|_| {
        let (number, rest) = element(numbers);
        numbers = rest;
        BigUint::from_bytes_be(number)
    })
}

struct Keys {
    ec: SigningKey,
    rsa: [SigningKey; 3],
}

/// Bits of the two R of Montgomery's form, scalar code's and lanes', of a prime.
fn montgomery_bits(prime: &BigUint) -> [u64; 2] {
    [prime.bits(), prime.bits() / 64 * 65]
}

/// The numbers of all keys, and what Montgomery forms make of the primes.
#[inline(never)]
fn note_keys(needles: &mut Needles) {
    needles.bytes("EC private key", &EC_FILE[36..68]);
    needles.number("EC private key", &BigUint::from_bytes_be(&EC_FILE[36..68]));
    for numbers in RSA_FILES.map(rsa_numbers) {
        for (name, number) in ["RSA p", "RSA q", "RSA dp", "RSA dq", "RSA qInv"].into_iter().zip(&numbers) {
            needles.number(name, number);
            needles.bytes(name, &number.to_bytes_be());
        }
        for prime in &numbers[..2] {
            for bits in montgomery_bits(prime) {
                needles.number("RSA R² mod a prime", &((BigUint::from(1_u8) << (2 * bits)) % prime));
            }
        }
    }
}

fn peer(group: Group) -> PeerShare {
    let private = Secret::new([3; 32]);
    match group {
        Group::X25519 => PeerShare::X25519(ttls_crypto::x25519::public_key(&private)),
        Group::Secp256r1 => PeerShare::Secp256r1(ttls_crypto::p256::public_key(&private).expect("in range")),
        Group::X25519MlKem768 => {
            let mut share = [0x55; 1216];
            share[1184..].copy_from_slice(&ttls_crypto::x25519::public_key(&private));
            PeerShare::X25519MlKem768(share)
        }
    }
}

/// Items whose secrets are filled in place, so that making them leaves nothing above this function's stack.
#[inline(never)]
fn items<'k>(
    operation: Operation,
    count: usize,
    keys: &'k Keys,
    random: &mut Random,
    needles: &mut Needles,
) -> Vec<Item<'k>> {
    let sign = |key: &'k SigningKey, scheme: Scheme| {
        let digest = scheme.hash().digest(b"what is signed");
        Work::Sign(key, SignRequest { scheme, digest, entropy: Secret::zero() })
    };
    let work = || match operation {
        Operation::Respond(group) => {
            Work::KeyExchange(KeyExchange::Respond { peer: peer(group), seed: Secret::zero() })
        }
        Operation::Generate(group) => {
            Work::KeyExchange(KeyExchange::Generate { group, seed: Secret::zero() })
        }
        Operation::Agree(group) => {
            Work::KeyExchange(KeyExchange::Agree { private: Secret::zero(), peer: peer(group) })
        }
        Operation::Ecdsa => sign(&keys.ec, Scheme::EcdsaP256Sha256),
        Operation::Rsa(key, scheme) => sign(&keys.rsa[key], scheme),
        Operation::ReadKeys | Operation::Control => {
            Work::KeyExchange(KeyExchange::Generate { group: Group::X25519, seed: Secret::zero() })
        }
    };
    let mut items: Vec<_> = (0..count).map(|_| Item::new(work())).collect();
    for item in &mut items {
        let bytes: &mut [u8] = match &mut item.work {
            Work::KeyExchange(KeyExchange::Respond { seed, .. } | KeyExchange::Generate { seed, .. }) => {
                seed.expose_mut()
            }
            Work::KeyExchange(KeyExchange::Agree { private, .. }) => private.expose_mut(),
            Work::Sign(_, request) => request.entropy.expose_mut(),
        };
        random.fill(bytes);
        for (name, half) in
            ["private key or entropy", "second half of a seed"].into_iter().zip(bytes.as_chunks::<32>().0)
        {
            needles.bytes(name, half);
            let (little, big) = (BigUint::from_bytes_le(half), BigUint::from_bytes_be(half));
            needles.number(name, &little);
            needles.number(name, &big);
            // What recoding makes of scalars.
            needles.number(name, &(little >> 3));
            needles.number(name, &(order() + order() - big));
        }
    }
    items
}

/// What the results tell, and what follows from them.
#[inline(never)]
fn note_results(items: &[Item<'_>], needles: &mut Needles) {
    for item in items {
        match (&item.result, &item.work) {
            (Some(Ok(Output::Exchanged { shared, .. } | Output::Agreed(shared))), work) => {
                needles.bytes("shared secret", shared.expose());
                let Work::KeyExchange(KeyExchange::Respond { peer: PeerShare::X25519MlKem768(peer), seed }) =
                    work
                else {
                    continue;
                };
                use sha3::Digest as _;
                let hash = sha3::Sha3_256::digest(&peer[..1184]);
                let message = &seed.expose()[32..];
                let both = sha3::Sha3_512::new().chain_update(message).chain_update(hash).finalize();
                assert_eq!(both[..32], shared.expose()[..32]);
                needles.bytes("ML-KEM's randomness", &both[32..]);
            }
            (Some(Ok(Output::Generated { private, .. })), _) => {
                needles.bytes("private key", private.expose())
            }
            (Some(Ok(Output::Signed(signature))), Work::Sign(_, request)) => {
                let bytes = signature.as_bytes();
                if request.scheme == Scheme::EcdsaP256Sha256 {
                    let (r, s) = bytes[4..].split_at(bytes[3].into());
                    let (r, s) = (BigUint::from_bytes_be(r), BigUint::from_bytes_be(&s[2..]));
                    let (key, hash) = (
                        BigUint::from_bytes_be(&EC_FILE[36..68]),
                        BigUint::from_bytes_be(request.digest.as_bytes()),
                    );
                    let inverse = |x: &BigUint| x.modpow(&(order() - 2_u8), &order());
                    let nonce = (hash + r * key) * inverse(&s) % order();
                    needles.number("ECDSA nonce", &nonce);
                    needles.bytes("ECDSA nonce", &nonce.to_bytes_be());
                    needles.number("ECDSA nonce", &(order() - &nonce));
                    needles.number("ECDSA nonce's inverse", &inverse(&nonce));
                } else {
                    let signature = BigUint::from_bytes_be(bytes);
                    let file = RSA_FILES
                        .into_iter()
                        .find(|file| rsa_numbers(file)[0].bits() == 4 * bytes.len() as u64);
                    for prime in &rsa_numbers(file.expect("a key of this size"))[..2] {
                        let half = &signature % prime;
                        needles.number("half of an RSA signature", &half);
                        for bits in montgomery_bits(prime) {
                            needles.number("half of an RSA signature", &((&half << bits) % prime));
                        }
                    }
                }
            }
            _ => panic!("an operation failed"),
        }
    }
}

/// Calls `work` below a pad of stack; tells where the pad begins.
#[inline(never)]
fn below_pad(work: impl FnOnce()) -> usize {
    let mut pad = [0_u8; PAD];
    black_box(&mut pad);
    work();
    black_box(&mut pad).as_ptr() as usize
}

/// Calls `work`, a function that is not inlined, some stack below: so that all of its own lies in what a pad covers. Then
/// clears the pad, and the vector registers: the dynamic linker keeps those on the stack where it finds a function.
fn cleanly(work: impl FnOnce()) {
    #[inline(never)]
    fn apart(work: impl FnOnce()) {
        let mut gap = [0_u8; 1024];
        black_box(&mut gap);
        work();
        black_box(&mut gap);
    }
    apart(work);
    below_pad(|| {});
    wipe_stack(Depth::Curves);
}

#[inline(never)]
fn read_keys(keys: &mut Option<Keys>) {
    let read = |file| SigningKey::from_der(Encoding::Pkcs8, file).expect("a key");
    *keys = Some(Keys { ec: read(EC_FILE), rsa: RSA_FILES.map(read) });
}

#[inline(never)]
fn control(seed: &Secret<64>) {
    let mut copy = *seed.expose();
    black_box(&mut copy);
}

/// Runs an operation; gives what was found and where, and the depth of its deepest trace.
fn observe(
    operation: Operation,
    count: usize,
    engine: &mut Engine,
    keys: &Keys,
    keys_at: &Place,
) -> (Vec<(&'static str, String)>, usize) {
    let mut needles = Needles::new();
    cleanly(|| note_keys(&mut needles));
    let (done, is_done) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(4 * PAD)
            .spawn_scoped(scope, move || {
                let mut made = Vec::new();
                let mut random = Random(count as u64);
                cleanly(|| made = items(operation, count, keys, &mut random, &mut needles));
                let bottom = below_pad(|| match operation {
                    Operation::ReadKeys => {
                        for file in [EC_FILE, RSA_FILES[0], RSA_FILES[1], RSA_FILES[2]] {
                            let key = SigningKey::from_der(Encoding::Pkcs8, file);
                            black_box(&key).as_ref().expect("a key");
                        }
                    }
                    Operation::Control => {
                        let Work::KeyExchange(KeyExchange::Generate { seed, .. }) = &made[0].work else {
                            return;
                        };
                        control(seed);
                    }
                    _ => engine.run(&mut made),
                });
                if !matches!(operation, Operation::ReadKeys | Operation::Control) {
                    cleanly(|| note_results(&made, &mut needles));
                }
                made.clear();
                below_pad(|| {});
                done.send((needles, bottom)).expect("the other end");
                may_go_on.recv().expect("the other end");
                drop(made);
            })
            .expect("a thread");
        let (needles, bottom) = is_done.recv().expect("the operation");
        let mut buffer = vec![0; 1 << 20];
        let found = search(&needles, keys_at, &mut buffer);
        let deepest = deepest_trace(bottom, &mut buffer);
        go_on.send(()).expect("the other end");
        let placed =
            found.into_iter().map(|(name, address, mapping)| (name, place(bottom, address, &mapping)));
        (placed.collect(), deepest)
    })
}

/// How far below `bottom` the stack's pages, which were zero, are not zero.
fn deepest_trace(bottom: usize, buffer: &mut [u8]) -> usize {
    let memory = File::open("/proc/self/mem").expect("/proc/self/mem");
    let depth = 2 * PAD;
    let part = &mut buffer[..depth];
    memory.read_exact_at(part, (bottom - depth) as u64).expect("the stack");
    let first = part.iter().position(|byte| *byte != 0).unwrap_or(depth);
    part.fill(0);
    depth - first
}

/// Tells what was found: of each secret the first and the last place.
fn print(found: &[(&'static str, String)]) {
    let mut by_name: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (what, place) in found {
        by_name.entry(what).or_default().push(place);
    }
    for (what, places) in by_name {
        println!("    {what}: {} pieces, {} to {}", places.len(), places[0], places[places.len() - 1]);
    }
}

/// Where an address is, for a reader.
fn place(bottom: usize, address: usize, mapping: &str) -> String {
    match bottom.checked_sub(address) {
        Some(depth) if depth <= 2 * PAD => format!("{depth} bytes deep in the stack"),
        None if address - bottom <= 2 * PAD => {
            format!("{} bytes above the operation's stack", address - bottom)
        }
        _ => format!("{address:#x} {mapping}"),
    }
}

fn main() {
    let only_depths = std::env::args().nth(1).is_some_and(|argument| argument == "depths");
    let mut keys = Box::new(None);
    cleanly(|| read_keys(&mut keys));
    let Some(keys) = &*keys else { unreachable!("just read") };
    let start = std::ptr::from_ref(keys) as usize;
    let keys_at = start..start + size_of::<Keys>();

    let mut failures = 0;
    for cpu in [Choice::Scalar, Choice::Avx2, Choice::Ifma, Choice::AvxIfma]
        .into_iter()
        .filter_map(|choice| Cpu::detect(choice).ok())
    {
        let mut engine = Box::new(Engine::new(cpu));
        for (name, operation) in OPERATIONS {
            for count in [1, 2, 8, 21] {
                let once = matches!(operation, Operation::ReadKeys | Operation::Control);
                let slow = matches!(operation, Operation::Rsa(..)) && !matches!(cpu, Cpu::Ifma(_));
                if count > 1 && (once || slow) {
                    continue;
                }
                let (found, depth) = observe(operation, count, &mut engine, keys, &keys_at);
                println!("{:<8} {name:<24} {count:>3}  {depth:>7} bytes of stack with traces", cpu.name());
                if only_depths {
                    continue;
                }
                if operation == Operation::Control {
                    if found.is_empty() {
                        println!("leftovers: the control was not found: the search is broken");
                        std::process::exit(1);
                    }
                    continue;
                }
                failures += usize::from(!found.is_empty());
                print(&found);
            }
        }
    }
    if failures > 0 {
        println!("leftovers: {failures} operations left secrets behind");
        std::process::exit(1);
    }
    if !only_depths {
        println!("leftovers: none");
    }
}
