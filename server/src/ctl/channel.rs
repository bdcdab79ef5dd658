// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests to the module's generic-netlink family, and their answers.

use super::failure::Failure;
use super::message::{Attributes, Writer};
use nix::{setsockopt_impl, sockopt_impl};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::sockopt;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use zeroize::Zeroize;

const FAMILY: &[u8] = b"ttls\0";
const VERSION: u8 = 1;

/// `GENL_ID_CTRL`, `CTRL_CMD_GETFAMILY`, and its attributes.
const CONTROL: u16 = 16;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;

const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
const ERROR: u16 = 2;
/// In an answer of type ERROR: attributes follow, and the request is not repeated in it.
const CAPPED: u16 = 0x100;
const WITH_ATTRIBUTES: u16 = 0x200;
const ERROR_TEXT: u16 = 1;

const HEADER: usize = 16;
const GENERIC_HEADER: usize = 4;

/// A connection to the module.
pub(crate) struct Channel {
    socket: OwnedFd,
    family: u16,
}

impl Channel {
    /// Finds the module.
    ///
    /// # Errors
    /// It is not loaded.
    pub(crate) fn open() -> Result<Self, Failure> {
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(netlink::GENERIC),
        )?;
        rustix::net::connect(&socket, &SocketAddrNetlink::new(0, 0))?;
        // Errors come with a text; certificates may take more than the usual room (both best effort).
        let _ = nix::sys::socket::setsockopt(&socket, ExtendedAck, &true);
        let _ = sockopt::set_socket_send_buffer_size_force(&socket, 16 << 20);
        let channel = Self { socket, family: CONTROL };
        let mut name = Writer::default();
        name.put(FAMILY_NAME, FAMILY)?;
        let answer = channel.exchange(CONTROL, GET_FAMILY, &name).map_err(|error| match error {
            Failure::Failed(_) => Failure::failed(
                "the kernel module is not loaded, and did not load by itself: modprobe ttls says why",
            ),
            misuse => misuse,
        })?;
        let id = Attributes::new(&answer).find(|(kind, _)| *kind == FAMILY_ID);
        match id.and_then(|(_, id)| id.first_chunk().copied()) {
            Some(id) => Ok(Self { family: u16::from_ne_bytes(id), ..channel }),
            None => Err(Failure::failed("the kernel does not tell the module's family number")),
        }
    }

    /// Sends a command and returns the attributes of its answer, if it has one.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn command(&self, command: u8, attributes: &Writer) -> Result<Vec<u8>, Failure> {
        self.exchange(self.family, command, attributes)
    }

    fn exchange(&self, kind: u16, command: u8, attributes: &Writer) -> Result<Vec<u8>, Failure> {
        let body = attributes.bytes();
        let len = u32::try_from(HEADER + GENERIC_HEADER + body.len())?;
        let mut request = Vec::with_capacity(HEADER + GENERIC_HEADER + body.len());
        request.extend_from_slice(&len.to_ne_bytes());
        request.extend_from_slice(&kind.to_ne_bytes());
        request.extend_from_slice(&(REQUEST | ACKNOWLEDGE).to_ne_bytes());
        request.extend_from_slice(&[0; 8]); // sequence and port: one request at a time
        request.extend_from_slice(&[command, VERSION, 0, 0]);
        request.extend_from_slice(body);
        let sent = rustix::net::send(&self.socket, &request, SendFlags::empty());
        request.zeroize();
        sent?;
        let mut answer = Vec::new();
        let mut buffer = vec![0; 256 << 10];
        loop {
            let (_, len) = rustix::net::recv(&self.socket, &mut buffer[..], RecvFlags::empty())?;
            let mut rest = &buffer[..len.min(buffer.len())];
            while let Some((header, _)) = rest.split_first_chunk::<HEADER>() {
                let [a, b, c, d, e, f, g, h, ..] = *header;
                let len = usize::try_from(u32::from_ne_bytes([a, b, c, d]))?;
                let Some(body) = rest.get(HEADER..len) else { break };
                rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
                if u16::from_ne_bytes([e, f]) == ERROR {
                    return acknowledged(body, u16::from_ne_bytes([g, h])).map(|()| answer);
                }
                answer.extend_from_slice(body.get(GENERIC_HEADER..).unwrap_or_default());
            }
        }
    }
}

/// An answer of type ERROR: zero, or an error number with a text.
fn acknowledged(body: &[u8], flags: u16) -> Result<(), Failure> {
    let Some((code, rest)) = body.split_first_chunk() else {
        return Err(Failure::failed("the kernel's answer is cut short"));
    };
    let code = i32::from_ne_bytes(*code).saturating_neg();
    if code == 0 {
        return Ok(());
    }
    let error = Errno::from_raw_os_error(code);
    let hint = match error {
        Errno::PERM | Errno::ACCESS => ": CAP_NET_ADMIN is needed",
        _ => "",
    };
    // The header of the request follows, and all of it unless capped.
    let repeated = match rest.first_chunk() {
        Some(len) if flags & CAPPED == 0 => usize::try_from(u32::from_ne_bytes(*len))?,
        _ => HEADER,
    };
    let attributes = match flags & WITH_ATTRIBUTES {
        0 => &[][..],
        _ => rest.get(repeated.next_multiple_of(4)..).unwrap_or_default(),
    };
    let text = Attributes::new(attributes).find(|(kind, _)| *kind == ERROR_TEXT);
    match text {
        Some((_, text)) => {
            let text = text.strip_suffix(&[0]).unwrap_or(text);
            Err(Failure::failed(format!("the module refuses: {}", String::from_utf8_lossy(text))))
        }
        None => Err(Failure::failed(format!("the module refuses: {error}{hint}"))),
    }
}

sockopt_impl!(
    /// Errors come with a text.
    ExtendedAck, SetOnly, libc::SOL_NETLINK, libc::NETLINK_EXT_ACK, bool
);

#[cfg(test)]
mod tests {
    use super::*;

    fn text(result: Result<(), Failure>) -> String {
        match result {
            Err(Failure::Failed(text) | Failure::Misuse(text)) => text,
            Ok(()) => String::new(),
        }
    }

    #[test]
    fn errors_are_told_in_words() {
        assert!(acknowledged(&[0; 20], 0).is_ok());
        let mut body = (-22_i32).to_ne_bytes().to_vec();
        body.extend_from_slice(&[0; HEADER]);
        let mut attributes = Writer::default();
        attributes.put(ERROR_TEXT, b"no certificate\0").unwrap();
        body.extend_from_slice(attributes.bytes());
        assert_eq!(text(acknowledged(&body, CAPPED | WITH_ATTRIBUTES)), "the module refuses: no certificate");
        let denied = (-1_i32).to_ne_bytes();
        assert!(text(acknowledged(&denied, CAPPED)).ends_with("CAP_NET_ADMIN is needed"));
        assert!(!text(acknowledged(&[1, 2], 0)).is_empty());
    }
}
