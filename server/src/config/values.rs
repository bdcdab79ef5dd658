// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values that the configuration writes as text: durations, sizes, addresses, names.

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use ttls::fingerprint::Ja4;

/// Implements `Deserialize` of a string through `FromStr`, whose error is the operator's message. What else is written there is told
/// what is expected.
macro_rules! from_text {
    ($($type:ty, $what:literal;)*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl Visitor<'_> for Text {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($what)
                    }

                    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    )*};
}

from_text! {
    Time, "a duration in quotes, with its unit: \"500ms\", \"10s\", \"5m\", \"12h\" or \"7d\"";
    Address, "an address to listen on, such as \"0.0.0.0:443\"";
    Backend, "a backend, such as \"127.0.0.1:8080\" or \"unix:/path\"";
    NamePattern, "a server name, such as \"example.com\"";
    Version, "a version, such as \"1.3\"";
    Suite, "the name of a cipher suite";
    Group, "the name of a group";
    Protocol, "the name of a protocol, such as \"http/1.1\"";
    Prefix, "an address or a prefix, such as \"192.0.2.0/24\"";
    Fingerprint, "a JA4 fingerprint, such as \"t13d1516h2_8daaf6152771_02713d6af862\"";
}

/// A duration: `500ms`, `10s`, `5m`, `12h`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Duration);

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => 0,
        };
        match number.parse::<u64>().ok().and_then(|n| n.checked_mul(milliseconds)) {
            Some(ms) if milliseconds > 0 && ms <= 366 * 86_400_000 => Ok(Self(Duration::from_millis(ms))),
            _ => Err(format!(
                "`{text}` is not a duration: write \"500ms\", \"10s\", \"5m\", \"12h\" or \"7d\""
            )),
        }
    }
}

/// Addresses with a number of leading bits in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    is_ipv6: bool,
    /// Those bits, at the low end.
    bits: u128,
    length: u8,
}

impl Prefix {
    /// Those bits, as a number.
    pub const fn bits(&self) -> u128 {
        self.bits
    }

    /// Whether another prefix is of the same family and length.
    pub const fn is_like(&self, other: &Self) -> bool {
        self.is_ipv6 == other.is_ipv6 && self.length == other.length
    }

    /// As many leading bits of an address, as a number; `None` for one of the other family.
    pub fn bits_of(&self, address: IpAddr) -> Option<u128> {
        let (is_ipv6, bits, width) = match address.to_canonical() {
            IpAddr::V4(v4) => (false, u128::from(v4.to_bits()), 32),
            IpAddr::V6(v6) => (true, v6.to_bits(), 128),
        };
        let shift = u32::from(u8::saturating_sub(width, self.length));
        (is_ipv6 == self.is_ipv6).then(|| bits.checked_shr(shift).unwrap_or(0))
    }
}

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is not a prefix: write \"192.0.2.0/24\", \"2001:db8::/32\" or an address");
        let (address, length) = text.split_once('/').map_or((text, None), |(a, length)| (a, Some(length)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Some(width), |length| length.parse().ok().filter(|bits| *bits <= width));
        let length = length.ok_or_else(wrong)?;
        if address.to_canonical() != address {
            return Err(format!("`{text}` is an IPv4 address in IPv6's form: write it as IPv4"));
        }
        let mut prefix = Self { is_ipv6: address.is_ipv6(), bits: 0, length };
        prefix.bits = prefix.bits_of(address).unwrap_or(0);
        let first = prefix.bits.checked_shl(u32::from(width - length)).unwrap_or(0);
        let first = match address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(first).unwrap_or(0))),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(first)),
        };
        if first != address {
            return Err(format!("`{text}` has bits set beyond its length: write {first}/{length}"));
        }
        Ok(prefix)
    }
}

/// A JA4 fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub Ja4);

impl FromStr for Fingerprint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is not a JA4 fingerprint, such as \"t13d1516h2_8daaf6152771_02713d6af862\"");
        Ja4::from_text(text).map(Self).ok_or_else(wrong)
    }
}

/// The number of a TLV of the PROXY protocol that is for applications or experiments (section 2.2.8): 0xE0 to 0xF7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlvNumber(pub u8);

impl<'de> Deserialize<'de> for TlvNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = TlvNumber;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the number of a TLV, from 0xE0 to 0xF7")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                match u8::try_from(number) {
                    Ok(number @ 0xe0..=0xf7) => Ok(TlvNumber(number)),
                    _ => Err(E::custom(format!(
                        "{number:#x} is not a number that the PROXY protocol leaves to applications: write one from 0xE0 to 0xF7"
                    ))),
                }
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
            }
        }
        deserializer.deserialize_i64(Number)
    }
}

/// A number of bytes: a bare number, or `64KiB`, `256MiB`, `1GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub usize);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let factor = match unit {
            "" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => 0,
        };
        match number.parse::<usize>().ok().and_then(|n| n.checked_mul(factor)) {
            Some(bytes) if factor > 0 => Ok(Self(bytes)),
            _ => Err(format!("`{text}` is not a size: write bytes, \"64KiB\", \"256MiB\" or \"1GiB\"")),
        }
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Size;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes or a string such as \"64KiB\"")
            }
            fn visit_i64<E: Error>(self, bytes: i64) -> Result<Size, E> {
                usize::try_from(bytes).map(Size).map_err(|_| E::custom("a size is not negative"))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A numeric address and port to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address(pub SocketAddr);

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            format!("`{text}` is not an address to listen on: write \"0.0.0.0:443\", \"127.0.0.1:8443\" or \"[::]:443\"")
        })
    }
}

/// Where decrypted connections go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// `HOST:PORT`
    Tcp(String),
    /// `unix:/path`
    Unix(PathBuf),
    /// `demo:`, a page showing the negotiated parameters
    Demo,
    /// `static:SIZE`, the same body for every request
    Static(usize),
}

impl Backend {
    /// Longest body of `static:`, in bytes.
    pub const MAX_BODY: usize = 1 << 30;
}

impl FromStr for Backend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "demo:" {
            return Ok(Self::Demo);
        }
        if let Some(size) = text.strip_prefix("static:") {
            let Size(bytes) = size.parse()?;
            return match bytes {
                0..=Self::MAX_BODY => Ok(Self::Static(bytes)),
                _ => Err(format!("`{text}` is too large: at most static:1GiB")),
            };
        }
        if let Some(path) = text.strip_prefix("unix:") {
            // sun_path holds 108 bytes, the last one zero.
            return match path.len() {
                1..108 => Ok(Self::Unix(path.into())),
                _ => Err(format!("`{text}`: a Unix socket's path has 1 to 107 bytes")),
            };
        }
        let valid = text.rsplit_once(':').is_some_and(|(host, port)| {
            let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
            let host_fits = match bare {
                Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
                None => !host.is_empty() && !host.contains(['/', ':', '[', ']']),
            };
            host_fits && port.parse::<u16>().is_ok_and(|port| port != 0)
        });
        if valid {
            Ok(Self::Tcp(text.into()))
        } else {
            Err(format!(
                "`{text}` is not a backend: write \"HOST:PORT\", \"[IPV6]:PORT\", \"unix:/path\", \"demo:\" or \"static:SIZE\""
            ))
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Demo => f.write_str("demo:"),
            Self::Static(size) => write!(f, "static:{size}"),
        }
    }
}

/// A DNS name in lower case, whose first label may be `*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamePattern(pub String);

impl FromStr for NamePattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("*.").unwrap_or(text);
        let label = |l: &str| {
            (1..=63).contains(&l.len())
                && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if rest.len() > 253 || !rest.split('.').all(label) {
            return Err(format!(
                "`{text}` is not a server name: write \"example.com\" or \"*.example.com\", international names in their xn-- form"
            ));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

/// A protocol version: `1.2` or `1.3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(pub ttls::suite::Version);

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "1.2" => Ok(Self(ttls::suite::Version::Tls12)),
            "1.3" => Ok(Self(ttls::suite::Version::Tls13)),
            _ => Err(format!("`{text}` is not a supported version: \"1.2\" and \"1.3\" are")),
        }
    }
}

/// A cipher suite by its IANA name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suite(pub ttls::suite::Suite);

impl FromStr for Suite {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        ttls::suite::Suite::ALL.into_iter().find(|suite| suite.name() == text).map(Self).ok_or_else(|| {
            let names: Vec<_> = ttls::suite::Suite::ALL.iter().map(|suite| suite.name()).collect();
            format!("`{text}` is not a supported cipher suite: these are: {}", names.join(", "))
        })
    }
}

/// A key-exchange group by its registered name, in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group(pub ttls::suite::Group);

impl FromStr for Group {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        use ttls::suite::Group::{Secp256r1, X25519, X25519MlKem768};
        [X25519MlKem768, X25519, Secp256r1]
            .into_iter()
            .find(|&group| ttls::suite::group_name(group).eq_ignore_ascii_case(text))
            .map(Self)
            .ok_or_else(|| {
                format!("`{text}` is not a supported group: X25519MLKEM768, x25519 and secp256r1 are")
            })
    }
}

/// An ALPN protocol name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol(pub ttls::config::Protocol);

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        ttls::config::Protocol::new(text.as_bytes())
            .map(Self)
            .ok_or_else(|| format!("`{text}` is not an ALPN protocol name of 1 to 32 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error<T: FromStr<Err = String> + fmt::Debug>(text: &str) -> String {
        text.parse::<T>().unwrap_err()
    }

    #[test]
    fn durations() {
        assert_eq!("250ms".parse(), Ok(Time(Duration::from_millis(250))));
        assert_eq!("7d".parse(), Ok(Time(Duration::from_secs(604_800))));
        assert_eq!("0s".parse(), Ok(Time(Duration::ZERO)));
        for bad in ["", "10", "s", "10 s", "-1s", "1.5s", "1w", "99999999999999999999s", "400d"] {
            assert!(error::<Time>(bad).contains("not a duration"), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!("0".parse(), Ok(Size(0)));
        assert_eq!("3MiB".parse(), Ok(Size(3 << 20)));
        for bad in ["", "1MB", "KiB", "99999999999GiB", "-1"] {
            assert!(error::<Size>(bad).contains("not a size"), "{bad}");
        }
    }

    #[test]
    fn backends() {
        assert_eq!("localhost:80".parse(), Ok(Backend::Tcp("localhost:80".into())));
        assert_eq!("[::1]:80".parse(), Ok(Backend::Tcp("[::1]:80".into())));
        assert_eq!("unix:/run/x".parse(), Ok(Backend::Unix("/run/x".into())));
        assert_eq!("static:1KiB".parse(), Ok(Backend::Static(1024)));
        for bad in ["", "localhost", "localhost:0", "localhost:http", ":80", "::1:80", "[x]:80", "/run/x"] {
            assert!(error::<Backend>(bad).contains("not a backend"), "{bad}");
        }
        assert!(error::<Backend>("unix:").contains("1 to 107 bytes"));
        assert!(error::<Backend>("static:2GiB").contains("too large"));
    }

    #[test]
    fn names() {
        assert_eq!("*.Example.COM".parse(), Ok(NamePattern("*.example.com".into())));
        for bad in ["", "*", "*.", "a..b", "a.*.b", "exämple.com", "a.example.com."] {
            assert!(error::<NamePattern>(bad).contains("not a server name"), "{bad}");
        }
    }
}
