// SPDX-License-Identifier: MIT OR Apache-2.0
//! ClientHello (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2), parsed once, borrowed from the receive buffer.

use super::codes::extension;
use super::reader::{Reader, U16List};
use crate::error::Error;

/// Extensions among which one that appears twice is looked for: pairwise, so their number is bounded. Of those that
/// mean something here, every one is among them; the others are ignored anyway.
const COMPARED: usize = 128;
/// Extensions that mean something here.
const KNOWN: usize = 16;

/// A parsed ClientHello. Extensions that are absent are `None`; unknown ones are skipped.
pub struct ClientHello<'a> {
    /// legacy_version
    pub legacy_version: u16,
    /// random
    pub random: &'a [u8; 32],
    /// legacy_session_id, at most 32 bytes
    pub session_id: &'a [u8],
    /// cipher_suites
    pub suites: U16List<'a>,
    /// legacy_compression_methods
    pub compression: &'a [u8],
    /// server_name: the host name as sent, checked by [`crate::config::ServerName`]
    pub server_name: Option<&'a [u8]>,
    /// max_fragment_length code
    pub max_fragment_length: Option<u8>,
    /// status_request asks for OCSP
    pub wants_ocsp: bool,
    /// supported_groups
    pub groups: Option<U16List<'a>>,
    /// ec_point_formats
    pub point_formats: Option<&'a [u8]>,
    /// signature_algorithms
    pub signature_algorithms: Option<U16List<'a>>,
    /// ALPN: the protocol_name_list
    pub alpn: Option<Reader<'a>>,
    /// extended_master_secret
    pub extended_master_secret: bool,
    /// record_size_limit
    pub record_size_limit: Option<u16>,
    /// session_ticket: empty when the client only asks for one
    pub session_ticket: Option<&'a [u8]>,
    /// pre_shared_key
    pub pre_shared_key: Option<PreSharedKeys<'a>>,
    /// early_data
    pub early_data: bool,
    /// supported_versions
    pub versions: Option<U16List<'a>>,
    /// psk_key_exchange_modes
    pub psk_modes: Option<&'a [u8]>,
    /// key_share: the client_shares
    pub key_shares: Option<Reader<'a>>,
    /// renegotiation_info: renegotiated_connection
    pub renegotiation_info: Option<&'a [u8]>,
    /// All extensions as sent, without the length of the block.
    pub extensions: &'a [u8],
}

/// OfferedPsks (RFC 8446 §4.2.11).
#[derive(Clone)]
pub struct PreSharedKeys<'a> {
    /// The identities: opaque identity<1..2^16-1>, uint32 obfuscated_ticket_age.
    pub identities: Reader<'a>,
    /// The binders, in the identities' order.
    pub binders: Reader<'a>,
    /// Bytes at the end of the message that the binders do not cover: the binders and their length.
    pub uncovered: usize,
}

impl<'a> ClientHello<'a> {
    /// Parses the body of a ClientHello, that is, without type and length.
    ///
    /// # Errors
    /// [`Error::Malformed`] names the field that does not parse; [`Error::Illegal`] names a broken rule.
    pub fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new(body, "ClientHello");
        let legacy_version = r.u16()?;
        let random = r.array()?;
        let session_id = r.vec8()?.rest();
        if session_id.len() > 32 {
            return Err(Error::Malformed("ClientHello session_id"));
        }
        let suites = r.vec16()?.u16_list()?;
        let compression = r.vec8()?.rest();
        if compression.is_empty() {
            return Err(Error::Malformed("ClientHello compression methods"));
        }
        let mut hello = Self {
            legacy_version,
            random,
            session_id,
            suites,
            compression,
            server_name: None,
            max_fragment_length: None,
            wants_ocsp: false,
            groups: None,
            point_formats: None,
            signature_algorithms: None,
            alpn: None,
            extended_master_secret: false,
            record_size_limit: None,
            session_ticket: None,
            pre_shared_key: None,
            early_data: false,
            versions: None,
            psk_modes: None,
            key_shares: None,
            renegotiation_info: None,
            extensions: &[],
        };
        // TLS 1.2 lets a ClientHello end here (RFC 5246 §7.4.1.2).
        if !r.is_empty() {
            let list = r.vec16()?;
            r.finish()?;
            hello.extensions = list.rest();
            hello.parse_extensions(list)?;
        }
        Ok(hello)
    }

    fn parse_extensions(&mut self, mut list: Reader<'a>) -> Result<(), Error> {
        let mut seen = [0u16; COMPARED];
        let mut count = 0;
        while !list.is_empty() {
            if self.pre_shared_key.is_some() {
                return Err(Error::Illegal("pre_shared_key is not the last extension"));
            }
            let kind = list.u16()?;
            let body = list.vec16()?.rest();
            if seen.iter().take(count).any(|&earlier| earlier == kind) {
                return Err(Error::Illegal("an extension appears twice"));
            }
            let known = self.parse_extension(kind, body)?;
            // Room is left for all that are known.
            if known || count < COMPARED - KNOWN {
                *seen
                    .get_mut(count)
                    .ok_or(Error::Internal("more extensions are known than there is room"))? = kind;
                count += 1;
            }
        }
        Ok(())
    }

    /// `false` if the extension means nothing here.
    fn parse_extension(&mut self, kind: u16, body: &'a [u8]) -> Result<bool, Error> {
        match kind {
            extension::SERVER_NAME => self.server_name = server_name(body)?,
            extension::MAX_FRAGMENT_LENGTH => {
                let mut r = Reader::new(body, "max_fragment_length");
                self.max_fragment_length = Some(r.u8()?);
                r.finish()?;
            }
            extension::STATUS_REQUEST => {
                let mut r = Reader::new(body, "status_request");
                // An unknown status type is ignored with all that follows (RFC 6066 §8).
                if r.u8()? == 1 {
                    r.vec16()?;
                    r.vec16()?;
                    r.finish()?;
                    self.wants_ocsp = true;
                }
            }
            extension::SUPPORTED_GROUPS => self.groups = Some(u16_vec16(body, "supported_groups")?),
            extension::EC_POINT_FORMATS => {
                let mut r = Reader::new(body, "ec_point_formats");
                let formats = r.vec8()?;
                r.finish()?;
                self.point_formats = Some(formats.rest());
            }
            extension::SIGNATURE_ALGORITHMS => {
                self.signature_algorithms = Some(u16_vec16(body, "signature_algorithms")?);
            }
            extension::ALPN => {
                let mut r = Reader::new(body, "application_layer_protocol_negotiation");
                let list = r.vec16()?;
                r.finish()?;
                let mut names = list.clone();
                loop {
                    if names.vec8()?.is_empty() {
                        return Err(names.malformed());
                    }
                    if names.is_empty() {
                        break;
                    }
                }
                self.alpn = Some(list);
            }
            extension::EXTENDED_MASTER_SECRET => {
                Reader::new(body, "extended_master_secret").finish()?;
                self.extended_master_secret = true;
            }
            extension::RECORD_SIZE_LIMIT => {
                let mut r = Reader::new(body, "record_size_limit");
                self.record_size_limit = Some(r.u16()?);
                r.finish()?;
            }
            extension::SESSION_TICKET => self.session_ticket = Some(body),
            extension::PRE_SHARED_KEY => self.pre_shared_key = Some(PreSharedKeys::parse(body)?),
            extension::EARLY_DATA => {
                Reader::new(body, "early_data").finish()?;
                self.early_data = true;
            }
            extension::SUPPORTED_VERSIONS => {
                let mut r = Reader::new(body, "supported_versions");
                self.versions = Some(r.vec8()?.u16_list()?);
                r.finish()?;
            }
            extension::PSK_KEY_EXCHANGE_MODES => {
                let mut r = Reader::new(body, "psk_key_exchange_modes");
                let modes = r.vec8()?;
                r.finish()?;
                if modes.is_empty() {
                    return Err(modes.malformed());
                }
                self.psk_modes = Some(modes.rest());
            }
            extension::KEY_SHARE => {
                let mut r = Reader::new(body, "key_share");
                self.key_shares = Some(r.vec16()?);
                r.finish()?;
            }
            extension::RENEGOTIATION_INFO => {
                let mut r = Reader::new(body, "renegotiation_info");
                self.renegotiation_info = Some(r.vec8()?.rest());
                r.finish()?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Number of key shares.
    ///
    /// # Errors
    /// The list is malformed.
    pub fn key_share_count(&self) -> Result<usize, Error> {
        let Some(mut list) = self.key_shares.clone() else { return Ok(0) };
        let mut count = 0;
        while !list.is_empty() {
            list.u16()?;
            list.vec16()?;
            count += 1;
        }
        Ok(count)
    }

    /// The client's share for the group with this code point.
    ///
    /// # Errors
    /// The list is malformed, names a group twice, or names one that supported_groups lacks (RFC 8446 §4.2.8).
    pub fn key_share(&self, wanted: u16) -> Result<Option<&'a [u8]>, Error> {
        let Some(mut list) = self.key_shares.clone() else { return Ok(None) };
        let mut found = None;
        while !list.is_empty() {
            let group = list.u16()?;
            let share = list.vec16()?.rest();
            if share.is_empty() {
                return Err(list.malformed());
            }
            if group == wanted && found.replace(share).is_some() {
                return Err(Error::Illegal("key_share names a group twice"));
            }
            if group == wanted && !self.groups.is_some_and(|groups| groups.contains(group)) {
                return Err(Error::Illegal("key_share names a group that supported_groups lacks"));
            }
        }
        Ok(found)
    }
}

impl<'a> PreSharedKeys<'a> {
    fn parse(body: &'a [u8]) -> Result<Self, Error> {
        let mut r = Reader::new(body, "pre_shared_key");
        let identities = r.vec16()?;
        let uncovered = r.rest().len();
        let binders = r.vec16()?;
        r.finish()?;
        if identities.is_empty() || binders.is_empty() {
            return Err(r.malformed());
        }
        let (mut i, mut b) = (identities.clone(), binders.clone());
        while !i.is_empty() {
            if i.vec16()?.is_empty() {
                return Err(i.malformed());
            }
            i.u32()?;
            if b.is_empty() {
                return Err(Error::Illegal("pre_shared_key: fewer binders than identities"));
            }
            if b.vec8()?.rest().len() < 32 {
                return Err(b.malformed());
            }
        }
        if !b.is_empty() {
            return Err(Error::Illegal("pre_shared_key: more binders than identities"));
        }
        Ok(Self { identities, binders, uncovered })
    }
}

/// The one host_name of a ServerNameList (RFC 6066 §3).
fn server_name(body: &[u8]) -> Result<Option<&[u8]>, Error> {
    let mut r = Reader::new(body, "server_name");
    let mut list = r.vec16()?;
    r.finish()?;
    if list.is_empty() {
        return Err(list.malformed());
    }
    let mut host_name = None;
    while !list.is_empty() {
        let kind = list.u8()?;
        let name = list.vec16()?;
        if name.is_empty() {
            return Err(name.malformed());
        }
        if kind == 0 && host_name.replace(name.rest()).is_some() {
            return Err(Error::Illegal("server_name holds two host names"));
        }
    }
    Ok(host_name)
}

fn u16_vec16<'a>(body: &'a [u8], what: &'static str) -> Result<U16List<'a>, Error> {
    let mut r = Reader::new(body, what);
    let list = r.vec16()?.u16_list()?;
    r.finish()?;
    Ok(list)
}
