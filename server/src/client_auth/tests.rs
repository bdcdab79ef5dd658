// SPDX-License-Identifier: MIT OR Apache-2.0
//! What clients' certificates cost, counted in signatures, and who gets in.

use super::*;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer as Signer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SignatureAlgorithm,
};
use std::time::Instant;

const NOW: u64 = 1_800_000_000_000;

/// One element of DER.
fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let len = u32::try_from(content.len()).unwrap().to_be_bytes();
    let mut der = vec![tag];
    match content.len() {
        0..=0x7f => der.push(len[3]),
        0x80..=0xff => der.extend([0x81, len[3]]),
        0x100..=0xffff => der.extend([0x82, len[2], len[3]]),
        _ => der.extend([0x83, len[1], len[2], len[3]]),
    }
    der.extend(content);
    der
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, parts)
}

/// A name of one commonName, in DER.
fn name(text: &str) -> Vec<u8> {
    let attribute = sequence(&[&[6, 3, 0x55, 4, 3], &tlv(0x0c, &[text.as_bytes()])]);
    sequence(&[&tlv(0x31, &[&attribute])])
}

/// A certificate that nobody signed: what a stranger can make.
struct Forged {
    issuer: Vec<u8>,
    subject: Vec<u8>,
    algorithm: Vec<u8>,
    public_key: Vec<u8>,
    signature: Vec<u8>,
    extensions: Vec<Vec<u8>>,
}

fn extension(number: u8, value: &[u8]) -> Vec<u8> {
    sequence(&[&[6, 3, 0x55, 0x1d, number], &tlv(4, &[value])])
}

impl Forged {
    fn der(&self) -> Vec<u8> {
        let validity = sequence(&[&tlv(0x17, &[b"200101000000Z"]), &tlv(0x17, &[b"490101000000Z"])]);
        let algorithm = sequence(&[&self.algorithm]);
        let extensions: Vec<&[u8]> = self.extensions.iter().map(Vec::as_slice).collect();
        let extensions = tlv(0xa3, &[&sequence(&extensions)]);
        let tbs = sequence(&[
            &[0xa0, 3, 2, 1, 2, 2, 1, 7],
            &algorithm,
            &self.issuer,
            &validity,
            &self.subject,
            &self.public_key,
            &extensions,
        ]);
        sequence(&[&tbs, &algorithm, &tlv(3, &[&[0], &self.signature])])
    }

    fn authority(mut self) -> Self {
        self.extensions.insert(0, extension(19, &sequence(&[&[1, 1, 0xff]])));
        self
    }
}

/// An authority's key and certificate.
struct Ca {
    signer: Signer<'static, KeyPair>,
    der: Vec<u8>,
}

fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

fn ca_params(common_name: &str) -> CertificateParams {
    let mut params = params(common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn client_params(common_name: &str) -> CertificateParams {
    let mut params = params(common_name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// RSA keys have 4096 bits with SHA-512, 2048 with others.
fn new_key(algorithm: &'static SignatureAlgorithm) -> KeyPair {
    if algorithm == &rcgen::PKCS_RSA_SHA512 {
        return KeyPair::generate_rsa_for(algorithm, rcgen::RsaKeySize::_4096).unwrap();
    }
    KeyPair::generate_for(algorithm).unwrap()
}

impl Ca {
    fn root(common_name: &str, algorithm: &'static SignatureAlgorithm) -> Self {
        Self::root_with(ca_params(common_name), algorithm)
    }

    fn root_with(params: CertificateParams, algorithm: &'static SignatureAlgorithm) -> Self {
        let key = new_key(algorithm);
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { signer: Signer::new(params, key), der }
    }

    fn below(&self, params: CertificateParams, algorithm: &'static SignatureAlgorithm) -> Self {
        let key = new_key(algorithm);
        let der = params.signed_by(&key, &self.signer).unwrap().der().to_vec();
        Self { signer: Signer::new(params, key), der }
    }

    fn client(&self, params: &CertificateParams) -> Vec<u8> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        params.signed_by(&key, &self.signer).unwrap().der().to_vec()
    }
}

fn trust(authorities: &[&[u8]]) -> Trust {
    let mut trust = Trust::default();
    for der in authorities {
        trust.add_authority(der).unwrap();
    }
    trust
}

/// Judges a chain: the result, and how many signatures it took.
fn judge_chain(trust: &Trust, chain: &[&[u8]]) -> (Result<(), Refusal>, u64) {
    let mut encoded = vec![0; Chain::encoded_len(chain.iter().copied())];
    let chain = Chain::encode(chain.iter().copied(), &mut encoded).unwrap();
    let before = algorithm::checked();
    let result = trust.verify(chain, NOW).map(drop);
    (result, algorithm::checked() - before)
}

#[track_caller]
fn accepted(trust: &Trust, chain: &[&[u8]]) {
    assert_eq!(judge_chain(trust, chain).0, Ok(()));
}

#[track_caller]
fn refused(trust: &Trust, chain: &[&[u8]], reason: CertificateError, text: &str) {
    let refusal = judge_chain(trust, chain).0.unwrap_err();
    assert_eq!(refusal.reason, reason, "{}", refusal.text);
    assert!(refusal.text.contains(text), "{:?} instead of {text:?}", refusal.text);
}

/// Chains that cost as much as somebody without any authority's help can make them, for this trust.
fn hostile(ca: &Ca) -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let root = Authority::read(&ca.der).unwrap();
    let certificate = crate::x509::Certificate::read(&ca.der).unwrap();
    let mut outer = crate::x509::Reader::new(certificate.der).nested(0x30, "").unwrap();
    outer.any("").unwrap();
    let algorithm = outer.element(0x30, "").unwrap();
    let signature = outer.bits("").unwrap();
    let key = root.public_key();
    let x = name("x");
    let forged = |issuer: &[u8], subject: &[u8]| Forged {
        issuer: issuer.to_vec(),
        subject: subject.to_vec(),
        algorithm: algorithm.to_vec(),
        public_key: key.to_vec(),
        signature: signature.to_vec(),
        extensions: vec![],
    };
    let leaf = |issuer: &[u8]| forged(issuer, &name("client")).der();
    let step = |i: usize| name(&format!("step {i}"));
    let path = |len: usize| {
        let mut chain = vec![leaf(&step(0))];
        chain.extend((0..len - 1).map(|i| forged(&step(i + 1), &step(i)).authority().der()));
        chain.push(forged(root.subject(), &step(len - 1)).authority().der());
        chain
    };
    let mut extensions = forged(root.subject(), &x);
    extensions.extensions = (0..1400).map(|_| extension(99, b"")).collect();
    let mut names = forged(root.subject(), &x);
    let san: Vec<_> = (0..3500).map(|_| tlv(0x82, &[b"a"])).collect();
    names.extensions = vec![extension(17, &sequence(&san.iter().map(Vec::as_slice).collect::<Vec<_>>()))];
    let mut long_name = vec![];
    for _ in 0..900 {
        long_name.extend(tlv(0x31, &[&sequence(&[&[6, 3, 0x55, 4, 3], &tlv(0x0c, &[b"x"])])]));
    }
    let long_name = sequence(&[&long_name]);
    vec![
        ("a signature of the authority's that is wrong", vec![leaf(root.subject())]),
        ("as many certificates as may be, all of one name", {
            let same = forged(&x, &x).authority().der();
            std::iter::once(leaf(&x)).chain(std::iter::repeat_n(same, MAX_CERTIFICATES - 1)).collect()
        }),
        ("all of one name, and all by the authority", {
            let same = forged(root.subject(), &x).authority().der();
            std::iter::once(leaf(&x)).chain(std::iter::repeat_n(same, MAX_CERTIFICATES - 1)).collect()
        }),
        ("the longest path", path(MAX_INTERMEDIATES)),
        ("a longer path", path(MAX_INTERMEDIATES + 1)),
        ("one certificate of many extensions", vec![extensions.der()]),
        ("one certificate of many names", vec![names.der()]),
        ("one certificate with a name of many parts", vec![forged(root.subject(), &long_name).der()]),
        ("the same, by nobody", vec![forged(&long_name, &x).der()]),
        ("200 small ones", {
            let same = forged(&x, &x).authority().der();
            std::iter::once(leaf(&x)).chain(std::iter::repeat_n(same, 200)).collect()
        }),
        ("more bytes than are looked at", vec![vec![0x30; MAX_BYTES + 1]]),
        ("a key of 16384 bits on the way", {
            let modulus = tlv(2, &[&[0x7f; 2048]]);
            let numbers = sequence(&[&modulus, &tlv(2, &[&[0x7f; 2048]])]);
            let rsa = sequence(&[
                &sequence(&[&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0]]),
                &tlv(3, &[&[0], &numbers]),
            ]);
            let mut issuer = forged(root.subject(), &x).authority();
            issuer.public_key = rsa;
            vec![leaf(&x), issuer.der()]
        }),
    ]
}

#[test]
fn a_stranger_costs_no_more_signatures_than_there_are_authorities_of_a_name_to_try() {
    let ca = Ca::root("authority", &PKCS_ECDSA_P256_SHA256);
    let same: Vec<_> = (0..4).map(|_| Ca::root("authority", &PKCS_ECDSA_P256_SHA256)).collect();
    let two = trust(&[&same[0].der, &ca.der]);
    let trust =
        trust(&same.iter().map(|ca| ca.der.as_slice()).chain([ca.der.as_slice()]).collect::<Vec<_>>());
    let mut most = 0;
    for (what, chain) in hostile(&ca) {
        let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
        let (result, checks) = judge_chain(&trust, &chain);
        assert!(result.is_err(), "{what}");
        assert!(checks <= MAX_AUTHORITIES as u64, "{what}: {checks}");
        most = most.max(checks);
    }
    assert_eq!(most, MAX_AUTHORITIES as u64, "the generator reaches the keys");

    // Behind real certificates, which anybody may have seen.
    let mut path = vec![ca];
    for i in 0..MAX_INTERMEDIATES {
        let next = path[i].below(ca_params(&format!("intermediate {i}")), &PKCS_ECDSA_P256_SHA256);
        path.push(next);
    }
    let mut leaf = path[MAX_INTERMEDIATES].client(&client_params("client"));
    let sent = |leaf: &[u8]| {
        let chain: Vec<&[u8]> =
            std::iter::once(leaf).chain(path[1..].iter().rev().map(|ca| ca.der.as_slice())).collect();
        judge_chain(&two, &chain)
    };
    assert_eq!(sent(&leaf), (Ok(()), MAX_SIGNATURES as u64));
    *leaf.last_mut().unwrap() ^= 1;
    let (result, checks) = sent(&leaf);
    assert!(result.is_err());
    assert_eq!(checks, MAX_SIGNATURES as u64);
}

/// `cargo test --release -p ttls-server --lib -- --ignored --nocapture cost_of_a_client`
#[test]
#[ignore = "prints figures, which a busy machine spoils"]
fn cost_of_a_client() {
    let mut worst = (0.0, String::new());
    let measure = |key: &str, what: &str, trust: &Trust, chain: &[Vec<u8>]| {
        let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
        let best = (0..20).map(|_| {
            let start = Instant::now();
            let (_, checks) = judge_chain(trust, &chain);
            (start.elapsed().as_secs_f64() * 1e3, checks)
        });
        let (ms, checks) = best.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
        crate::output::print(format_args!("{key:>10} {ms:8.3} ms {checks:2} signatures  {what}\n"));
        ms
    };
    let algorithms: [(&str, &'static SignatureAlgorithm); 5] = [
        ("P-256", &PKCS_ECDSA_P256_SHA256),
        ("P-384", &PKCS_ECDSA_P384_SHA384),
        ("Ed25519", &PKCS_ED25519),
        ("RSA-2048", &rcgen::PKCS_RSA_SHA256),
        ("RSA-4096", &rcgen::PKCS_RSA_SHA512),
    ];
    for (key, algorithm) in algorithms {
        let mut path = vec![Ca::root("authority", algorithm)];
        let twin = Ca::root("authority", algorithm);
        let trust = trust(&[&path[0].der, &twin.der]);
        for (what, chain) in hostile(&path[0]) {
            let ms = measure(key, what, &trust, &chain);
            if ms > worst.0 {
                worst = (ms, format!("{key}: {what}"));
            }
        }
        let one = [path[0].client(&client_params("client"))];
        measure(key, "(accepted: signed by the authority)", &trust, &one);
        for i in 0..MAX_INTERMEDIATES {
            let next = path[i].below(ca_params(&format!("intermediate {i}")), algorithm);
            path.push(next);
        }
        let leaf = path[MAX_INTERMEDIATES].client(&client_params("client"));
        let chain: Vec<_> =
            std::iter::once(leaf).chain(path[1..].iter().rev().map(|ca| ca.der.clone())).collect();
        measure(key, "(accepted: by the longest path)", &trust, &chain);
        let mut forged = chain;
        *forged[0].last_mut().unwrap() ^= 1;
        let ms = measure(key, "a forged certificate behind the longest path of real ones", &trust, &forged);
        if ms > worst.0 {
            worst = (ms, format!("{key}: behind the longest path of real ones"));
        }
    }
    crate::output::print(format_args!("the worst of a stranger's: {:.3} ms, {}\n", worst.0, worst.1));
}

/// A folder that is gone at the end.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ttls-client-auth-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn pem(&self, file: &str, label: &str, blocks: &[&[u8]]) -> String {
        use std::fmt::Write as _;
        let mut text = String::new();
        for der in blocks {
            writeln!(text, "-----BEGIN {label}-----").unwrap();
            let base64 = base64(der);
            for line in base64.as_bytes().chunks(64) {
                writeln!(text, "{}", std::str::from_utf8(line).unwrap()).unwrap();
            }
            writeln!(text, "-----END {label}-----").unwrap();
        }
        let path = self.0.join(file);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |group: &[u8]| {
        let bits = group.iter().chain(&[0; 2]).take(3).fold(0, |bits, &b| bits << 8 | usize::from(b));
        (0..4)
            .map(|i| if i > group.len() { '=' } else { char::from(ALPHABET[bits >> (18 - 6 * i) & 63]) })
            .collect::<Vec<_>>()
    };
    bytes.chunks(3).flat_map(group).collect()
}

/// What `openssl verify` says of a client, as a server with `SSL_VERIFY_PEER` would.
fn openssl(authorities: &[&[u8]], chain: &[&[u8]], lists: &[&[u8]]) -> Result<(), String> {
    let folder = Folder::new();
    let now = (NOW / 1000).to_string();
    let roots = folder.pem("roots.pem", "CERTIFICATE", authorities);
    let rest = folder.pem("rest.pem", "CERTIFICATE", &chain[1..]);
    let leaf = folder.pem("leaf.pem", "CERTIFICATE", &chain[..1]);
    let mut command = std::process::Command::new("openssl");
    command.args(["verify", "-purpose", "sslclient", "-attime", &now, "-no-CApath", "-CAfile", &roots]);
    if chain.len() > 1 {
        command.args(["-untrusted", &rest]);
    }
    if !lists.is_empty() {
        let lists = folder.pem("lists.pem", "X509 CRL", lists);
        command.args(["-crl_check", "-CRLfile", &lists]);
    }
    let output = command.arg(&leaf).output().expect("openssl is installed");
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// Clients, who have to be accepted or refused with a text, here and by OpenSSL. What is not so is told at the end.
#[derive(Default)]
struct Trial {
    wrong: std::cell::RefCell<Vec<String>>,
}

impl Trial {
    /// One client. `expected` is the text of the refusal, if it is one; `alike`, whether OpenSSL decides the same.
    fn of(
        &self,
        what: &str,
        authorities: &[&[u8]],
        chain: &[&[u8]],
        lists: &[&[u8]],
        expected: Option<&str>,
        alike: bool,
    ) {
        let mut trust = trust(authorities);
        for list in lists {
            trust.add_list(list).unwrap();
        }
        let result = judge_chain(&trust, chain).0;
        let right = match (&result, expected) {
            (Ok(()), None) => true,
            (Err(refusal), Some(text)) => refusal.text.contains(text),
            _ => false,
        };
        if !right {
            self.wrong.borrow_mut().push(format!("{what}: {result:?}, expected {expected:?}"));
        }
        let openssl = openssl(authorities, chain, lists);
        if (openssl.is_ok() == expected.is_none()) != alike {
            self.wrong.borrow_mut().push(format!("{what}: OpenSSL: {openssl:?}"));
        }
    }

    fn end(&self) {
        let wrong = self.wrong.borrow();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

fn expired(mut params: CertificateParams) -> CertificateParams {
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(2010, 1, 1);
    params
}

fn constrained(common_name: &str, path_len: u8) -> CertificateParams {
    let mut params = ca_params(common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_len));
    params
}

#[test]
fn clients_get_in_as_with_openssl() {
    const EC: &SignatureAlgorithm = &PKCS_ECDSA_P256_SHA256;
    let root = Ca::root("root", EC);
    let other = Ca::root("other", EC);
    let one = root.below(ca_params("one"), EC);
    let two = one.below(ca_params("two"), EC);
    let client = client_params("client");
    let by_root = root.client(&client);
    let by_two = two.client(&client);
    let trial = Trial::default();
    let both = |what: &str, authorities: &[&[u8]], chain: &[&[u8]], expected: Option<&str>, alike| {
        trial.of(what, authorities, chain, &[], expected, alike);
    };
    let yes = |what: &str, authorities: &[&[u8]], chain: &[&[u8]]| both(what, authorities, chain, None, true);
    let no = |what: &str, authorities: &[&[u8]], chain: &[&[u8]], text: &str| {
        both(what, authorities, chain, Some(text), true);
    };
    yes("by the root", &[&root.der], &[&by_root]);
    yes("by an intermediate", &[&root.der], &[&by_two, &two.der, &one.der]);
    yes("out of order", &[&root.der], &[&by_two, &one.der, &two.der]);
    yes("the root sent along", &[&root.der], &[&by_two, &two.der, &one.der, &root.der]);
    yes("a stranger sent along", &[&root.der], &[&by_two, &other.der, &two.der, &one.der]);
    yes("one of several authorities", &[&other.der, &root.der], &[&by_root]);
    yes("without any purpose", &[&root.der], &[&root.client(&params("client"))]);
    no(
        "an intermediate missing",
        &[&root.der],
        &[&by_two, &two.der],
        "certificate 2 (CN=two): its issuer, CN=one, is neither",
    );
    no(
        "by nobody known",
        &[&other.der],
        &[&by_root],
        "certificate 1 (CN=client): its issuer, CN=root, is neither in ca_file",
    );

    let twin = Ca::root("root", EC);
    no("a name, but not the key", &[&twin.der], &[&by_root], "");
    // OpenSSL looks at one key of a name only, where key identifiers do not tell which.
    both("two keys of one name", &[&twin.der, &root.der], &[&by_root], None, false);
    let mut forged = by_two.clone();
    *forged.last_mut().unwrap() ^= 1;
    no(
        "a bit of the leaf's signature",
        &[&root.der],
        &[&forged, &two.der, &one.der],
        "certificate 1 (CN=client): its signature is not",
    );
    let mut forged = two.der.clone();
    *forged.last_mut().unwrap() ^= 1;
    no(
        "a bit of an intermediate's",
        &[&root.der],
        &[&by_two, &forged, &one.der],
        "certificate 2 (CN=two): its signature is not",
    );

    no(
        "expired",
        &[&root.der],
        &[&root.client(&expired(client.clone()))],
        "certificate 1 (CN=client): it expired at 2010-01-01",
    );
    let mut future = client.clone();
    future.not_before = rcgen::date_time_ymd(2040, 1, 1);
    no("not valid yet", &[&root.der], &[&root.client(&future)], "it is not valid before 2040-01-01");
    let old = root.below(expired(ca_params("old")), EC);
    no(
        "an intermediate expired",
        &[&root.der],
        &[&old.client(&client), &old.der],
        "certificate 2 (CN=old): it expired",
    );
    let old = Ca::root_with(expired(ca_params("old")), EC);
    no("the root expired", &[&old.der], &[&old.client(&client)], "authority CN=old in ca_file: it expired");

    let short = Ca::root_with(constrained("short", 0), EC);
    let below = short.below(ca_params("below"), EC);
    yes("pathLen of the root kept", &[&short.der], &[&short.client(&client)]);
    no(
        "pathLen of the root broken",
        &[&short.der],
        &[&below.client(&client), &below.der],
        "its pathLenConstraint allows 0",
    );
    let short = root.below(constrained("short", 0), EC);
    let below = short.below(ca_params("below"), EC);
    yes("pathLen of an intermediate kept", &[&root.der], &[&short.client(&client), &short.der]);
    no(
        "pathLen of an intermediate broken",
        &[&root.der],
        &[&below.client(&client), &below.der, &short.der],
        "certificate 3 (CN=short): more",
    );

    let leaf = root.below(client.clone(), EC);
    no(
        "by one who is no authority",
        &[&root.der],
        &[&leaf.client(&client_params("x")), &leaf.der],
        "certificate 2 (CN=client): it is no authority's",
    );
    no(
        "by one listed who is no authority",
        &[&leaf.der],
        &[&leaf.client(&client_params("x"))],
        "it is no authority",
    );
    let mut weak = ca_params("weak");
    weak.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let weak = root.below(weak, EC);
    no(
        "an authority without keyCertSign",
        &[&root.der],
        &[&weak.client(&client), &weak.der],
        "lacks keyCertSign",
    );

    let with = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = client.clone();
        change(&mut params);
        root.client(&params)
    };
    let usage = |usage| with(&|p: &mut CertificateParams| p.key_usages = vec![usage]);
    no(
        "keyUsage of another kind",
        &[&root.der],
        &[&usage(KeyUsagePurpose::KeyEncipherment)],
        "lacks digitalSignature",
    );
    // A TLS client signs, whatever the suite (RFC 8446 §4.4.3, RFC 8422 §5.8); OpenSSL takes keyAgreement for it as well.
    both(
        "keyAgreement",
        &[&root.der],
        &[&usage(KeyUsagePurpose::KeyAgreement)],
        Some("lacks digitalSignature"),
        false,
    );
    let purpose = |purpose: ExtendedKeyUsagePurpose| {
        with(&|p: &mut CertificateParams| p.extended_key_usages = vec![purpose.clone()])
    };
    use ExtendedKeyUsagePurpose as Purpose;
    no("for servers", &[&root.der], &[&purpose(Purpose::ServerAuth)], "extendedKeyUsage lacks clientAuth");
    no("for anything", &[&root.der], &[&purpose(Purpose::Any)], "extendedKeyUsage lacks clientAuth");
    let mut servers = ca_params("servers");
    servers.extended_key_usages = vec![Purpose::ServerAuth];
    let servers = root.below(servers, EC);
    no(
        "an authority for servers",
        &[&root.der],
        &[&servers.client(&client), &servers.der],
        "certificate 2 (CN=servers): its extendedKeyUsage",
    );
    let critical = with(&|p: &mut CertificateParams| {
        let mut unknown = rcgen::CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        unknown.set_criticality(true);
        p.custom_extensions.push(unknown);
    });
    no("an unknown critical extension", &[&root.der], &[&critical], "a critical extension that is not known");

    let mut own = ca_params("own");
    own.key_usages.clear();
    let own = Ca::root_with(own, EC);
    yes("its own authority, listed", &[&own.der], &[&own.der]);
    no("its own authority, not listed", &[&root.der], &[&own.der], "its issuer, CN=own, is neither");
    let pinned = Ca::root_with(client.clone(), EC);
    yes("signed by itself, listed", &[&pinned.der], &[&pinned.der]);
    let pinned = Ca::root_with(expired(client.clone()), EC);
    no("signed by itself, listed, expired", &[&pinned.der], &[&pinned.der], "it expired");
    // A client that is an authority, but not listed: webpki has no such role.
    both(
        "an authority of another's",
        &[&root.der],
        &[&root.below(own_params(), EC).der],
        Some("CA:TRUE"),
        false,
    );

    let mut fenced = ca_params("fenced");
    fenced.name_constraints = Some(rcgen::NameConstraints {
        permitted_subtrees: vec![rcgen::GeneralSubtree::DnsName("inside.test".into())],
        excluded_subtrees: vec![],
    });
    let fenced = root.below(fenced, EC);
    let named = |name: &str| {
        let mut params = client.clone();
        params.subject_alt_names = vec![rcgen::SanType::DnsName(name.try_into().unwrap())];
        fenced.client(&params)
    };
    yes("name constraints kept", &[&root.der], &[&named("a.inside.test"), &fenced.der]);
    no("name constraints broken", &[&root.der], &[&named("a.outside.test"), &fenced.der], "nameConstraints");
    trial.end();
}

fn own_params() -> CertificateParams {
    let mut params = ca_params("own");
    params.key_usages.clear();
    params
}

/// A revocation list of an authority: of version 1 or 2, over these serial numbers.
struct ListOf<'a> {
    issuer: &'a [u8],
    serials: &'a [&'a [u8]],
    next_update: &'a [u8],
    /// crlExtensions.
    extensions: Vec<Vec<u8>>,
}

impl ListOf<'_> {
    fn der(&self, ca: &Ca) -> Vec<u8> {
        use rcgen::SigningKey;
        let algorithm = sequence(&[&[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]]);
        let time = |text: &[u8]| tlv(0x17, &[text]);
        let entries: Vec<_> = self
            .serials
            .iter()
            .map(|serial| sequence(&[&tlv(2, &[serial]), &time(b"200101000000Z")]))
            .collect();
        let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        let extensions: Vec<&[u8]> = self.extensions.iter().map(Vec::as_slice).collect();
        let (version, extensions) = match extensions.as_slice() {
            [] => (vec![], vec![]),
            some => (vec![2, 1, 1], tlv(0xa0, &[&sequence(some)])),
        };
        let revoked = if entries.is_empty() { vec![] } else { sequence(&entries) };
        let (from, to) = (time(b"200101000000Z"), time(self.next_update));
        let tbs = sequence(&[&version, &algorithm, self.issuer, &from, &to, &revoked, &extensions]);
        let signature = ca.signer.key().sign(&tbs).unwrap();
        sequence(&[&tbs, &algorithm, &tlv(3, &[&[0], &signature])])
    }
}

#[test]
fn revocation_lists_are_heeded_or_their_authority_is_not() {
    const EC: &SignatureAlgorithm = &PKCS_ECDSA_P256_SHA256;
    const LATER: &[u8] = b"490101000000Z";
    let trial = Trial::default();
    let root = Ca::root("root", EC);
    let numbered = |ca: &Ca, serial: &[u8]| {
        let mut params = client_params("client");
        params.serial_number = Some(serial.to_vec().into());
        ca.client(&params)
    };
    let (good, bad) = (numbered(&root, &[0x10]), numbered(&root, &[0x11]));
    let issuer = name_of(&root);
    let number = || vec![extension(20, &[2, 1, 7])];
    let of = |serials, next_update, extensions| ListOf { issuer: &issuer, serials, next_update, extensions };
    let revoked: &[&[u8]] = &[&[0x7f], &[0x11], &[0x01]];
    for (version, extensions) in [(1, vec![]), (2, number())] {
        let list = of(revoked, LATER, extensions).der(&root);
        trial.of(&format!("version {version}"), &[&root.der], &[&good], &[&list], None, true);
        trial.of(&format!("version {version}"), &[&root.der], &[&bad], &[&list], Some("it is revoked"), true);
    }
    let empty = of(&[], LATER, number()).der(&root);
    trial.of("an empty list", &[&root.der], &[&bad], &[&empty], None, true);

    let old = of(revoked, b"210101000000Z", number()).der(&root);
    trial.of("a list that ran out", &[&root.der], &[&good], &[&old], Some("it ran out at 2021-01-01"), true);
    trial.of(
        "a list that ran out still revokes",
        &[&root.der],
        &[&bad],
        &[&old],
        Some("it is revoked"),
        true,
    );
    trial.of("beside one that did not", &[&root.der], &[&good], &[&old, &empty], None, true);

    let other = Ca::root("root", EC);
    let stranger = of(revoked, LATER, number()).der(&other);
    trial.of(
        "signed by another",
        &[&root.der],
        &[&good],
        &[&stranger],
        Some("it is not signed by the issuer"),
        true,
    );

    let mut mute = ca_params("mute");
    mute.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let mute = Ca::root_with(mute, EC);
    let its = ListOf { issuer: &name_of(&mute), serials: revoked, next_update: LATER, extensions: number() }
        .der(&mute);
    trial.of(
        "by an authority without cRLSign",
        &[&mute.der],
        &[&numbered(&mute, &[0x10])],
        &[&its],
        Some("keyUsage lacks cRLSign"),
        true,
    );
    let mut trust_mute = trust(&[&mute.der]);
    assert!(trust_mute.add_list(&its).unwrap().unwrap().contains("lacks cRLSign"));

    // Of an intermediate authority: known when a client brings it.
    let one = root.below(ca_params("one"), EC);
    let its = ListOf { issuer: &name_of(&one), serials: revoked, next_update: LATER, extensions: number() }
        .der(&one);
    let mut trust_one = trust(&[&root.der]);
    assert!(trust_one.add_list(&its).unwrap().unwrap().contains("who is not in ca_file"));
    accepted(&trust_one, &[&numbered(&one, &[0x10]), &one.der]);
    refused(
        &trust_one,
        &[&numbered(&one, &[0x11]), &one.der],
        CertificateError::Revoked,
        "certificate 1 (CN=client): it is revoked",
    );
    // Its signature was good once: it is not checked again.
    let (result, checks) = judge_chain(&trust_one, &[&numbered(&one, &[0x10]), &one.der]);
    assert_eq!((result, checks), (Ok(()), 2));

    // issuingDistributionPoint: onlyContainsCACerts, and a name that the certificate does not have.
    let authorities_only = extension(28, &sequence(&[&[0x82, 1, 0xff]]));
    let list = of(revoked, LATER, vec![authorities_only]).der(&root);
    trial.of(
        "about authorities only",
        &[&root.der],
        &[&good],
        &[&list],
        Some("certificates of another kind"),
        true,
    );
    let point = tlv(0xa0, &[&tlv(0xa0, &[&tlv(0x86, &[b"http://x/1.crl"])])]);
    let list = of(revoked, LATER, vec![extension(28, &sequence(&[&point]))]).der(&root);
    trial.of(
        "of another distribution point",
        &[&root.der],
        &[&good],
        &[&list],
        Some("other distribution points"),
        true,
    );
    let mut sharded = client_params("client");
    sharded.crl_distribution_points =
        vec![rcgen::CrlDistributionPoint { uris: vec!["http://x/1.crl".into()] }];
    sharded.serial_number = Some(vec![0x10].into());
    trial.of("of its own distribution point", &[&root.der], &[&root.client(&sharded)], &[&list], None, true);

    for (what, extensions, text) in [
        ("delta", vec![sequence(&[&[6, 3, 0x55, 0x1d, 27, 1, 1, 0xff], &tlv(4, &[&[2, 1, 1]])])], "a delta"),
        ("indirect", vec![extension(28, &sequence(&[&[0x84, 1, 0xff]]))], "indirect"),
        (
            "unknown",
            vec![sequence(&[&[6, 3, 0x2a, 3, 4, 1, 1, 0xff], &tlv(4, &[&[5, 0]])])],
            "critical extension",
        ),
    ] {
        let error = trust(&[&root.der]).add_list(&of(revoked, LATER, extensions).der(&root)).unwrap_err();
        assert!(error.contains(text), "{what}: {error}");
    }
    let list = of(revoked, LATER, number()).der(&root);
    for len in 0..list.len() {
        assert!(List::read(&list[..len]).is_err(), "cut off after {len}");
    }
    trial.end();
}

fn name_of(ca: &Ca) -> Vec<u8> {
    crate::x509::Certificate::read(&ca.der).unwrap().subject.to_vec()
}

/// A certificate of version 1, as `openssl x509 -req` makes without extensions.
#[test]
fn version_1_is_refused_by_name() {
    use rcgen::SigningKey;
    let root = Ca::root("root", &PKCS_ECDSA_P256_SHA256);
    let key = Authority::read(&Ca::root("x", &PKCS_ECDSA_P256_SHA256).der).unwrap().public_key().to_vec();
    let algorithm = sequence(&[&[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]]);
    let validity = sequence(&[&tlv(0x17, &[b"200101000000Z"]), &tlv(0x17, &[b"490101000000Z"])]);
    let tbs = sequence(&[&[2, 1, 7], &algorithm, &name_of(&root), &validity, &name("old client"), &key]);
    let signature = root.signer.key().sign(&tbs).unwrap();
    let leaf = sequence(&[&tbs, &algorithm, &tlv(3, &[&[0], &signature])]);
    let trial = Trial::default();
    trial.of(
        "version 1",
        &[&root.der],
        &[&leaf],
        &[],
        Some("certificate 1 (CN=old client): it is of version 1"),
        false,
    );
    trial.of("version 1, listed", &[&leaf], &[&leaf], &[], None, false);
    trial.end();
}

#[test]
fn what_is_cut_off_or_flipped_is_refused_and_nothing_panics() {
    let root = Ca::root("root", &PKCS_ECDSA_P256_SHA256);
    let one = root.below(ca_params("one"), &PKCS_ECDSA_P256_SHA256);
    let leaf = one.client(&client_params("client"));
    let trust = trust(&[&root.der]);
    for at in 0..leaf.len() {
        assert!(judge_chain(&trust, &[&leaf[..at.max(1)], &one.der]).0.is_err());
        for bit in [1, 0x20, 0x80] {
            let mut flipped = leaf.clone();
            flipped[at] ^= bit;
            assert!(judge_chain(&trust, &[&flipped, &one.der]).0.is_err(), "byte {at}");
        }
    }
}
