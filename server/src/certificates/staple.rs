// SPDX-License-Identifier: MIT OR Apache-2.0
//! OCSP responses to be stapled (RFC 6960 §4.2): read as far as it takes to see that they help clients, and for how long.
//!
//! Whether the responder signed it is for clients to check; whether it is about this certificate, good, and in time, is checked here.

use crate::x509::{Certificate, Malformed, Reader, Time, elements, tag};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// id-pkix-ocsp-basic (RFC 6960 §4.2.1).
const BASIC: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1];
/// id-sha1 (RFC 3279 §2.1), by which responders name issuers (RFC 5019 §2.1.1).
const SHA1: &[u8] = &[0x2b, 0x0e, 3, 2, 0x1a];
/// id-sha256 (RFC 5754 §2.2).
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
/// Seconds by which the responder's clock may be ahead.
const SKEW: i64 = 300;

/// A response that says a certificate is good.
pub struct Staple {
    der: Vec<u8>,
    /// The last second in which it counts.
    good_to: Option<Time>,
}

impl Staple {
    /// Reads a response, in DER, about `leaf`.
    ///
    /// # Errors
    /// Why it would not help clients at `now`.
    pub fn read(der: &[u8], leaf: &Certificate<'_>, now: Time) -> Result<Self, String> {
        match der {
            [] => return Err("is empty".into()),
            [0x30, ..] => {}
            _ if der.windows(11).any(|w| w == b"-----BEGIN ") => {
                return Err(
                    "is PEM: OCSP responses are read in DER, as `openssl ocsp -respout` writes them".into()
                );
            }
            _ => return Err("is not an OCSP response in DER".into()),
        }
        let (status, response) =
            status_and_response(der).map_err(|e| format!("is not an OCSP response: it {e}"))?;
        if status != 0 {
            let name = match status {
                1 => "malformedRequest",
                2 => "internalError",
                3 => "tryLater",
                5 => "sigRequired",
                6 => "unauthorized",
                _ => "an unknown error",
            };
            return Err(format!("is the responder's error {name}, not an answer"));
        }
        let single =
            single_response(response, leaf).map_err(|e| format!("is not an OCSP response: it {e}"))?;
        let Some(single) = single else { return Err("is about another certificate".into()) };
        match single.status {
            Some(0) => {}
            Some(1) => return Err("says that the certificate is revoked".into()),
            _ => return Err("says that the responder does not know the certificate".into()),
        }
        if now.0 + SKEW < single.this_update.0 {
            return Err(format!("is not valid before {}", single.this_update));
        }
        let staple = Self { der: der.to_vec(), good_to: single.next_update };
        match staple.good_to {
            Some(to) if !staple.is_good(now) => Err(format!("ran out at {to}")),
            _ => Ok(staple),
        }
    }

    /// Whether it still counts at `now`.
    pub fn is_good(&self, now: Time) -> bool {
        self.good_to.is_none_or(|to| now <= to)
    }

    /// The response.
    pub fn der(&self) -> &[u8] {
        &self.der
    }
}

/// What a response says of one certificate.
struct Single {
    /// The number of CertStatus's alternative: good, revoked, unknown.
    status: Option<u8>,
    this_update: Time,
    next_update: Option<Time>,
}

/// OCSPResponse: responseStatus, and the content of responseBytes' `response`.
fn status_and_response(der: &[u8]) -> Result<(u8, &[u8]), Malformed> {
    const ENUMERATED: u8 = 0x0a;
    let mut outer = Reader::new(der);
    let mut response = outer.nested(tag::SEQUENCE, "OCSPResponse")?;
    if !outer.is_empty() {
        return Err(Malformed("its end: there are bytes behind it"));
    }
    let &[status] = response.element(ENUMERATED, "responseStatus")? else {
        return Err(Malformed("responseStatus"));
    };
    if status != 0 {
        return Ok((status, &[]));
    }
    let mut bytes =
        response.nested(tag::constructed(0), "responseBytes")?.nested(tag::SEQUENCE, "responseBytes")?;
    if bytes.element(tag::OID, "responseType")? != BASIC {
        return Err(Malformed("responseType"));
    }
    Ok((status, bytes.element(tag::OCTET_STRING, "response")?))
}

/// The SingleResponse about `leaf`, if there is one.
fn single_response(basic: &[u8], leaf: &Certificate<'_>) -> Result<Option<Single>, Malformed> {
    let mut basic = Reader::new(basic).nested(tag::SEQUENCE, "BasicOCSPResponse")?;
    let mut data = basic.nested(tag::SEQUENCE, "tbsResponseData")?;
    data.optional(tag::constructed(0), "version")?;
    data.any("responderID")?;
    data.element(tag::GENERALIZED_TIME, "producedAt")?;
    let mut responses = data.nested(tag::SEQUENCE, "responses")?;
    while !responses.is_empty() {
        let mut single = responses.nested(tag::SEQUENCE, "SingleResponse")?;
        let id = single.element(tag::SEQUENCE, "certID")?;
        let (status, ..) = single.any("certStatus")?;
        let this_update = Time::read(&mut single, "thisUpdate")?;
        let next_update = match single.optional(tag::constructed(0), "nextUpdate")? {
            None => None,
            Some(time) => Some(Time::read(&mut Reader::new(time), "nextUpdate")?),
        };
        if is_about(id, leaf) {
            let status = (status & 0xc0 == 0x80).then_some(status & 0x1f);
            return Ok(Some(Single { status, this_update, next_update }));
        }
    }
    Ok(None)
}

/// Whether a CertID is `leaf`'s: its serialNumber, and the hash of its issuer's name, since authorities of one's own often count from 1.
fn is_about(id: &[u8], leaf: &Certificate<'_>) -> bool {
    let mut parts = elements(id);
    let (Some((_, algorithm)), Some((_, name_hash)), Some(_), Some((tag::INTEGER, serial))) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let same_name = match elements(algorithm).next() {
        Some((tag::OID, SHA1)) => name_hash == Sha1::digest(leaf.issuer).as_slice(),
        Some((tag::OID, SHA256)) => name_hash == Sha256::digest(leaf.issuer).as_slice(),
        // Not to be told: the serialNumber decides.
        _ => true,
    };
    serial == leaf.serial && same_name
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An element of DER; short contents only.
    fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let mut der = vec![tag];
        match u8::try_from(content.len()).unwrap() {
            len @ 0..0x80 => der.push(len),
            len => der.extend([0x81, len]),
        }
        der.extend(content);
        der
    }

    fn certificate() -> Vec<u8> {
        let dates = tlv(0x30, &[&tlv(0x17, &[b"200101000000Z"]), &tlv(0x17, &[b"490101000000Z"])]);
        let tbs = tlv(0x30, &[&[2, 1, 7, 0x30, 0, 0x30, 0], &dates, &[0x30, 0, 0x30, 0]]);
        tlv(0x30, &[&tbs, &[0x30, 0, 3, 1, 0]])
    }

    fn response(serial: u8, status: u8, this_update: &str, next_update: Option<&str>) -> Vec<u8> {
        answer(SHA1, &Sha1::digest([0x30, 0]), serial, status, this_update, next_update)
    }

    /// About the certificate with this serialNumber whose issuer's name has this hash.
    fn answer(
        algorithm: &[u8],
        name_hash: &[u8],
        serial: u8,
        status: u8,
        this_update: &str,
        next_update: Option<&str>,
    ) -> Vec<u8> {
        let time = |text: &str| tlv(0x18, &[text.as_bytes()]);
        let algorithm = tlv(0x30, &[&tlv(6, &[algorithm])]);
        let id = tlv(0x30, &[&algorithm, &tlv(4, &[name_hash]), &[4, 1, 0, 2, 1, serial]]);
        let next = next_update.map(|text| tlv(0xa0, &[&time(text)])).unwrap_or_default();
        let single = tlv(0x30, &[&id, &[status, 0], &time(this_update), &next]);
        let data = tlv(0x30, &[&[0xa1, 0], &time("20260101000000Z"), &tlv(0x30, &[&single])]);
        let basic = tlv(0x30, &[&data]);
        let bytes = tlv(0x30, &[&tlv(6, &[BASIC]), &tlv(4, &[&basic])]);
        tlv(0x30, &[&[0x0a, 1, 0], &tlv(0xa0, &[&bytes])])
    }

    #[test]
    fn only_a_good_answer_about_this_certificate_in_time_is_stapled() {
        let (der, now) = (certificate(), Time(1_790_000_000)); // 2026-09-21
        let leaf = Certificate::read(&der).unwrap();
        let read = |der: &[u8]| Staple::read(der, &leaf, now);
        let (from, to) = ("20260901000000Z", Some("20261001000000Z"));
        let good = read(&response(7, 0x80, from, to)).unwrap_or_else(|e| panic!("{e}"));
        assert!(good.is_good(now));
        assert!(!good.is_good(Time(now.0 + 86_400 * 30)), "it runs out while it is served");
        assert!(read(&response(7, 0x80, from, None)).is_ok());
        assert!(read(&answer(SHA256, &Sha256::digest([0x30, 0]), 7, 0x80, from, to)).is_ok());
        assert!(read(&answer(&[1], &[0; 20], 7, 0x80, from, to)).is_ok(), "a hash that is not known");
        let cut = response(7, 0x80, from, to);
        for (bad, why) in [
            (
                answer(SHA1, &Sha1::digest([0x30, 2, 0x31, 0]), 7, 0x80, from, to),
                "is about another certificate",
            ),
            (answer(SHA256, &[0; 32], 7, 0x80, from, to), "is about another certificate"),
            (vec![], "is empty"),
            (b"0 html error page".to_vec(), "is not an OCSP response"),
            (b"-----BEGIN OCSP RESPONSE-----".to_vec(), "is PEM"),
            (vec![0x30, 3, 0x0a, 1, 3], "tryLater"),
            (vec![0x30, 3, 0x0a, 1, 0], "is not an OCSP response"),
            (cut[..cut.len() - 1].to_vec(), "is not an OCSP response"),
            ([&cut[..], &[0]].concat(), "bytes behind it"),
            (response(8, 0x80, from, to), "is about another certificate"),
            (response(7, 0xa1, from, to), "revoked"),
            (response(7, 0x82, from, to), "does not know"),
            (
                response(7, 0x80, "20260801000000Z", Some("20260901000000Z")),
                "ran out at 2026-09-01 00:00:00 UTC",
            ),
            (response(7, 0x80, "20261001000000Z", None), "is not valid before 2026-10-01 00:00:00 UTC"),
        ] {
            let error = read(&bad).err().unwrap_or_default();
            assert!(error.contains(why), "{error:?} instead of {why:?}");
        }
    }
}
