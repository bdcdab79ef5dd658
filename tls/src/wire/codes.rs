// SPDX-License-Identifier: MIT OR Apache-2.0
//! Code points of the TLS registries that this server knows.

/// Record content types (RFC 8446 §5.1).
pub mod content_type {
    /// change_cipher_spec
    pub const CHANGE_CIPHER_SPEC: u8 = 20;
    /// alert
    pub const ALERT: u8 = 21;
    /// handshake
    pub const HANDSHAKE: u8 = 22;
    /// application_data
    pub const APPLICATION_DATA: u8 = 23;
}

/// Handshake message types (RFC 8446 §4, RFC 5246 §7.4, RFC 5077 §3.3, RFC 6066 §8).
pub mod message {
    /// client_hello
    pub const CLIENT_HELLO: u8 = 1;
    /// server_hello
    pub const SERVER_HELLO: u8 = 2;
    /// new_session_ticket
    pub const NEW_SESSION_TICKET: u8 = 4;
    /// encrypted_extensions
    pub const ENCRYPTED_EXTENSIONS: u8 = 8;
    /// certificate
    pub const CERTIFICATE: u8 = 11;
    /// server_key_exchange
    pub const SERVER_KEY_EXCHANGE: u8 = 12;
    /// certificate_request
    pub const CERTIFICATE_REQUEST: u8 = 13;
    /// server_hello_done
    pub const SERVER_HELLO_DONE: u8 = 14;
    /// certificate_verify
    pub const CERTIFICATE_VERIFY: u8 = 15;
    /// client_key_exchange
    pub const CLIENT_KEY_EXCHANGE: u8 = 16;
    /// finished
    pub const FINISHED: u8 = 20;
    /// certificate_status
    pub const CERTIFICATE_STATUS: u8 = 22;
    /// key_update
    pub const KEY_UPDATE: u8 = 24;
    /// message_hash
    pub const MESSAGE_HASH: u8 = 254;
}

/// Extension types.
pub mod extension {
    /// server_name (RFC 6066 §3)
    pub const SERVER_NAME: u16 = 0;
    /// max_fragment_length (RFC 6066 §4)
    pub const MAX_FRAGMENT_LENGTH: u16 = 1;
    /// status_request (RFC 6066 §8)
    pub const STATUS_REQUEST: u16 = 5;
    /// supported_groups (RFC 8446 §4.2.7)
    pub const SUPPORTED_GROUPS: u16 = 10;
    /// ec_point_formats (RFC 8422 §5.1.2)
    pub const EC_POINT_FORMATS: u16 = 11;
    /// signature_algorithms (RFC 8446 §4.2.3)
    pub const SIGNATURE_ALGORITHMS: u16 = 13;
    /// application_layer_protocol_negotiation (RFC 7301)
    pub const ALPN: u16 = 16;
    /// extended_master_secret (RFC 7627)
    pub const EXTENDED_MASTER_SECRET: u16 = 23;
    /// record_size_limit (RFC 8449)
    pub const RECORD_SIZE_LIMIT: u16 = 28;
    /// session_ticket (RFC 5077)
    pub const SESSION_TICKET: u16 = 35;
    /// pre_shared_key (RFC 8446 §4.2.11)
    pub const PRE_SHARED_KEY: u16 = 41;
    /// early_data (RFC 8446 §4.2.10)
    pub const EARLY_DATA: u16 = 42;
    /// supported_versions (RFC 8446 §4.2.1)
    pub const SUPPORTED_VERSIONS: u16 = 43;
    /// psk_key_exchange_modes (RFC 8446 §4.2.9)
    pub const PSK_KEY_EXCHANGE_MODES: u16 = 45;
    /// certificate_authorities (RFC 8446 §4.2.4)
    pub const CERTIFICATE_AUTHORITIES: u16 = 47;
    /// signature_algorithms_cert (RFC 8446 §4.2.3)
    pub const SIGNATURE_ALGORITHMS_CERT: u16 = 50;
    /// key_share (RFC 8446 §4.2.8)
    pub const KEY_SHARE: u16 = 51;
    /// renegotiation_info (RFC 5746)
    pub const RENEGOTIATION_INFO: u16 = 0xff01;
}

/// SSL 3.0 on the wire: what is said to be this old, or older, is refused.
pub const SSL3: u16 = 0x0300;
/// TLS 1.2 on the wire.
pub const TLS12: u16 = 0x0303;
/// TLS 1.3 on the wire.
pub const TLS13: u16 = 0x0304;
/// TLS_EMPTY_RENEGOTIATION_INFO_SCSV (RFC 5746 §3.3).
pub const RENEGOTIATION_SCSV: u16 = 0x00ff;
/// TLS_FALLBACK_SCSV (RFC 7507).
pub const FALLBACK_SCSV: u16 = 0x5600;

/// GREASE values (RFC 8701): 0x0a0a, 0x1a1a, … 0xfafa.
pub const fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}
