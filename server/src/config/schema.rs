// SPDX-License-Identifier: MIT OR Apache-2.0
//! The configuration as written: one field per key, defaults as in docs/configuration.md.

use super::values::{
    Address, Backend, Fingerprint, Group, NamePattern, Prefix, Protocol, Size, Suite, Time, TlvNumber,
    Version,
};
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;

/// Declares a table whose keys all have defaults.
macro_rules! table {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty = $default:expr,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }
    };
}

const fn seconds(seconds: u64) -> Time {
    Time(Duration::from_secs(seconds))
}

table! {
    /// The whole file.
    Config {
        /// Addresses to listen on.
        listen: Vec<Spanned<Address>> = Vec::new(),
        /// Default backend.
        backend: Option<Spanned<Backend>> = None,
        /// Worker threads.
        workers: Option<usize> = None,
        /// User to change to.
        user: Option<Spanned<String>> = None,
        /// Group to change to.
        group: Option<Spanned<String>> = None,
        /// Listen queue.
        backlog: u16 = 4096,
        /// Idle time before keep-alive probes; zero for none.
        tcp_keepalive: Time = seconds(3600),
        /// Accept data in SYN.
        tcp_fastopen: bool = false,
        /// Public-key code path.
        cpu: Option<Cpu> = None,
        /// Certificates.
        certificate: Vec<Spanned<Certificate>> = Vec::new(),
        /// Backends of some names.
        route: Vec<Route> = Vec::new(),
        /// Whom to let in, refuse or ration.
        rule: Vec<Rule> = Vec::new(),
        /// Protocol.
        tls: Tls = Tls::default(),
        /// Session tickets.
        tickets: Tickets = Tickets::default(),
        /// Client certificates.
        client_certificates: ClientCertificates = ClientCertificates::default(),
        /// PROXY protocol.
        proxy_protocol: ProxyProtocol = ProxyProtocol::default(),
        /// Time-outs.
        timeouts: Timeouts = Timeouts::default(),
        /// Limits.
        limits: Limits = Limits::default(),
        /// More to do than can be done.
        overload: Overload = Overload::default(),
        /// Log.
        log: Log = Log::default(),
        /// Metrics.
        metrics: Metrics = Metrics::default(),
    }
}

/// One `[[certificate]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// PEM file with the chain.
    pub chain: Spanned<PathBuf>,
    /// PEM file with the key.
    pub key: Option<Spanned<PathBuf>>,
    /// Names; from the certificate if absent.
    pub names: Option<Vec<Spanned<NamePattern>>>,
    /// DER file with the staple.
    pub ocsp: Option<Spanned<PathBuf>>,
    /// For clients without a known name.
    #[serde(default)]
    pub default: bool,
}

/// One `[[route]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Names.
    pub names: Vec<Spanned<NamePattern>>,
    /// Where they go.
    pub backend: Spanned<Backend>,
}

/// One `[[rule]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What to do with those whom the rest describes.
    pub action: Spanned<Action>,
    /// Sources.
    #[serde(default)]
    pub prefixes: Vec<Prefix>,
    /// Names that clients ask for.
    #[serde(default)]
    pub server_names: Vec<NamePattern>,
    /// Clients' fingerprints.
    #[serde(default)]
    pub fingerprints: Vec<Fingerprint>,
    /// Full handshakes per second of all of them together.
    pub rate: Option<u32>,
    /// And at once; as many as the rate if absent.
    pub burst: Option<u32>,
}

/// Declares a choice among words.
macro_rules! choice {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
        pub enum $name {
            $($(#[$variant_meta])* #[serde(rename = $word)] $variant,)*
        }
    };
}

choice! {
    /// How connections end that are refused.
    Refused {
        /// By a FIN; the kernel sends a reset where the client has sent what was not read.
        Close = "close",
        /// By a reset.
        Reset = "reset",
    }
}

choice! {
    /// What a rule does.
    Action {
        /// Let in.
        Allow = "allow",
        /// Refuse.
        Deny = "deny",
        /// Ration.
        Quota = "quota",
    }
}

choice! {
    /// Public-key code path.
    Cpu {
        /// The best that the CPU has.
        Best = "best",
        /// Eight lanes of AVX-512 IFMA.
        Ifma = "ifma",
        /// Eight lanes as twice four, of AVX-IFMA.
        AvxIfma = "avx-ifma",
        /// Eight lanes as twice four, of AVX2 without IFMA; RSA one at a time.
        Avx2 = "avx2",
        /// One at a time.
        Scalar = "scalar",
    }
}

choice! {
    /// What unknown server names get.
    UnknownName {
        /// The default certificate.
        Default = "default",
        /// An alert.
        Refuse = "refuse",
    }
}

choice! {
    /// Whether clients are asked for a certificate.
    ClientMode {
        /// No.
        None = "none",
        /// Asked.
        Optional = "optional",
        /// Demanded.
        Required = "required",
    }
}

choice! {
    /// PROXY protocol towards the backend.
    ToBackend {
        /// None.
        Off = "off",
        /// Version 1.
        V1 = "v1",
        /// Version 2.
        V2 = "v2",
    }
}

choice! {
    /// PROXY protocol from clients.
    FromClient {
        /// None.
        Off = "off",
        /// Each connection begins with a header.
        Required = "required",
    }
}

choice! {
    /// Form of the log's lines.
    Format {
        /// `key=value`
        Logfmt = "logfmt",
        /// One JSON object per line.
        Json = "json",
    }
}

choice! {
    /// Which connections are logged.
    Connections {
        /// All.
        All = "all",
        /// Those that did not end well.
        Errors = "errors",
        /// None.
        Off = "off",
    }
}

table! {
    /// `[tls]`
    Tls {
        /// Versions.
        versions: Vec<Version> = vec![Version(ttls::suite::Version::Tls12), Version(ttls::suite::Version::Tls13)],
        /// Suites in order of preference.
        suites: Vec<Suite> = ttls::suite::Suite::ALL.map(Suite).to_vec(),
        /// Groups in order of preference.
        groups: Vec<Group> = ttls::Policy::default().groups.iter().map(Group).collect(),
        /// Choose by the client's order.
        prefer_client_order: bool = false,
        /// ALPN in order of preference.
        alpn: Vec<Protocol> = Vec::new(),
        /// Refuse clients without ALPN.
        alpn_required: bool = false,
        /// What unknown names get.
        unknown_name: UnknownName = UnknownName::Default,
        /// Refuse TLS 1.2 without RFC 7627.
        extended_master_secret_required: bool = false,
    }
}

table! {
    /// `[tickets]`
    Tickets {
        /// Issue and accept tickets.
        enabled: bool = true,
        /// Shared secret.
        secret_file: Option<Spanned<PathBuf>> = None,
        /// The secret before it, still accepted.
        previous_secret_file: Option<Spanned<PathBuf>> = None,
        /// How long they are good.
        lifetime: Time = seconds(12 * 3600),
        /// Number after a full handshake.
        per_handshake: u8 = 2,
    }
}

table! {
    /// `[client_certificates]`
    ClientCertificates {
        /// Whether to ask.
        mode: ClientMode = ClientMode::None,
        /// Trusted authorities.
        ca_file: Option<Spanned<PathBuf>> = None,
        /// Revocation lists.
        crl_file: Option<Spanned<PathBuf>> = None,
    }
}

table! {
    /// `[proxy_protocol]`
    ProxyProtocol {
        /// Towards the backend.
        to_backend: ToBackend = ToBackend::Off,
        /// From clients.
        from_client: FromClient = FromClient::Off,
        /// Number of the TLV with the subject of the client's certificate.
        subject_tlv: TlvNumber = TlvNumber(0xe1),
        /// Number of the TLV with the client's fingerprint; none is sent if absent.
        fingerprint_tlv: Option<TlvNumber> = None,
    }
}

table! {
    /// `[timeouts]`
    Timeouts {
        /// From accept to the end of the ClientHello.
        hello: Time = seconds(5),
        /// From accept to the end of the handshake.
        handshake: Time = seconds(10),
        /// For connecting to the backend.
        connect: Time = seconds(5),
        /// Without a byte.
        idle: Time = seconds(300),
        /// For the other side's end, once everything is sent.
        close: Time = seconds(10),
        /// For established connections after SIGTERM.
        drain: Time = seconds(30),
        /// Between look-ups of backends' names.
        resolve: Time = seconds(30),
    }
}

table! {
    /// `[limits]`
    Limits {
        /// Connections.
        connections: usize = 65_536,
        /// Connections in their handshake.
        half_open: usize = 8192,
        /// Connections of one prefix; zero for no limit.
        per_prefix: u32 = 0,
        /// Connections per second of one prefix; zero for no limit.
        connection_rate: u32 = 0,
        /// Connections of one prefix at once; zero for as many as the rate.
        connection_burst: u32 = 0,
        /// Full handshakes per second of one prefix; zero for no limit.
        handshake_rate: u32 = 0,
        /// Full handshakes of one prefix at once; zero for as many as the rate.
        handshake_burst: u32 = 0,
        /// How connections end that are refused.
        refused: Refused = Refused::Close,
        /// Bits.
        ipv4_prefix: u8 = 32,
        /// Bits.
        ipv6_prefix: u8 = 64,
        /// Bytes for data under way.
        buffer_memory: Size = Size(256 << 20),
    }
}

table! {
    /// `[overload]`
    Overload {
        /// Delay of handshakes that is none yet.
        target: Time = Time(Duration::from_millis(10)),
        /// For how long the delay stands above it in overload.
        interval: Time = Time(Duration::from_millis(100)),
        /// For how long clients wait.
        patience: Time = seconds(2),
        /// For how long an address is remembered after it used a connection.
        standing: Time = seconds(86_400),
        /// Have listening sockets choose whom they answer.
        refuse_syn: bool = true,
    }
}

table! {
    /// `[log]`
    Log {
        /// Form of lines.
        format: Format = Format::Logfmt,
        /// Standard error if absent.
        file: Option<Spanned<PathBuf>> = None,
        /// Which connections.
        connections: Connections = Connections::All,
        /// Bound on failed connections' lines.
        errors_per_second: u32 = 100,
    }
}

table! {
    /// `[metrics]`
    Metrics {
        /// Where to answer.
        listen: Option<Spanned<Address>> = None,
    }
}
