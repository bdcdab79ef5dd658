// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much send storage a handshake needs at most: what a configuration is checked against.

use crate::config::{Credential, MAX_SCHEMES};
use crate::record::{HEADER, MIN_SIZE_LIMIT, Protection};
use crate::wire::message;
use ttls_crypto::job::{MAX_SHARE, MAX_SIGNATURE};

/// HelloRetryRequest, ServerHello and change_cipher_spec of TLS 1.3, each a record. A session ID is echoed in both.
const HELLOS: usize = RETRY + SERVER_HELLO + 2 * (HEADER + 1);
/// legacy_version, random, session ID, suite, compression, the length of the extensions, supported_versions.
const HELLO: usize = HEADER + message::HEADER + 2 + 32 + 33 + 2 + 1 + 2 + 6;
/// A key_share that names a group.
const RETRY: usize = HELLO + 6;
/// A key_share, and a pre_shared_key.
const SERVER_HELLO: usize = HELLO + 8 + MAX_SHARE + 6;
/// server_name, record_size_limit, ALPN.
const ENCRYPTED_EXTENSIONS: usize = message::HEADER + 2 + 4 + 6 + (4 + 2 + 33);
/// Context, signature_algorithms and signature_algorithms_cert, and certificate_authorities without its names.
const CERTIFICATE_REQUEST: usize = message::HEADER + 1 + 2 + 2 * (6 + 2 * MAX_SCHEMES) + 6;
/// Context and length of the list; the leaf's status_request without the response.
const CERTIFICATE: usize = message::HEADER + 1 + 3 + 8;
const CERTIFICATE_VERIFY: usize = message::HEADER + 4 + MAX_SIGNATURE;
const FINISHED: usize = message::HEADER + 48;
/// Content type and tag, besides the header.
const OVERHEAD: usize = Protection::OVERHEAD_TLS13;

/// Most bytes of send storage that a full handshake with this certificate fills, up to the client's Finished, when the
/// client takes only the smallest records (RFC 8449 §4) and makes the server ask for another key share first.
/// `authorities` is the length of [`crate::config::ClientVerifier::authorities`], 0 where clients are not asked for
/// certificates.
///
/// It is TLS 1.3 that takes the most: TLS 1.2 has shorter hellos, certificates without extensions and records
/// without tags. The alert in place of a flight is shorter than any.
pub fn flight_size(credential: &Credential<'_>, authorities: usize) -> usize {
    let staple = credential.ocsp.map_or(0, <[u8]>::len);
    let messages = [
        ENCRYPTED_EXTENSIONS,
        CERTIFICATE_REQUEST + authorities,
        CERTIFICATE + credential.chain.entries().len() + staple,
        CERTIFICATE_VERIFY,
        FINISHED,
    ];
    // One byte of a record is its content type.
    let limit = usize::from(MIN_SIZE_LIMIT) - 1;
    // No record is begun but for the rest of a message, or the next one.
    let sealed = messages.iter().map(|len| len + len.div_ceil(limit) * OVERHEAD);
    HELLOS + sealed.sum::<usize>()
}
