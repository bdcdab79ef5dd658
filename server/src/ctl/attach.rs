// SPDX-License-Identifier: MIT OR Apache-2.0
//! Puts another program's listening sockets behind TLS: a copy of the descriptor is enough to set the option.

use super::failure::Failure;
use nix::sys::socket::sockopt::TcpUlp;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{SocketAddrAny, sockopt};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// How long after its start `ttls ctl run` looks for what its command listens on.
const PATIENCE: Duration = Duration::from_secs(10);

/// Puts the process's listening TCP sockets, or the one on `port`, behind TLS. Returns how many.
pub(crate) fn attach(pid: i32, port: Option<u16>) -> Result<usize, Failure> {
    let id = Pid::from_raw(pid).ok_or_else(|| Failure::Misuse(format!("{pid} is no process")))?;
    let process = rustix::process::pidfd_open(id, PidfdFlags::empty())
        .map_err(|e| Failure::failed(format!("process {pid}: {e}")))?;
    let mut count = 0;
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        let entry = entry?;
        let is_socket = std::fs::read_link(entry.path())
            .is_ok_and(|target| target.to_string_lossy().starts_with("socket:"));
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let (true, Some(number)) = (is_socket, number) else { continue };
        let socket = match rustix::process::pidfd_getfd(&process, number, PidfdGetfdFlags::empty()) {
            Ok(socket) => socket,
            Err(Errno::BADF) => continue, // closed meanwhile
            Err(e) => return Err(Failure::failed(format!("descriptor {number} of process {pid}: {e}"))),
        };
        let Some(address) = listens_on(&socket) else { continue };
        if port.is_none_or(|port| port == address.port()) {
            secure(&socket, address)?;
            count += 1;
        }
    }
    Ok(count)
}

/// The address, if it is a listening TCP socket without a ULP.
fn listens_on(socket: &OwnedFd) -> Option<SocketAddr> {
    if !sockopt::socket_acceptconn(socket).ok()? {
        return None;
    }
    let address: SocketAddrAny = rustix::net::getsockname(socket).ok()?;
    SocketAddr::try_from(address).ok()
}

fn secure(socket: &OwnedFd, address: SocketAddr) -> Result<(), Failure> {
    use nix::errno::Errno as E;
    let refusal = match nix::sys::socket::setsockopt(socket, TcpUlp::default(), b"ttls") {
        Ok(()) | Err(E::EEXIST) => return Ok(()),
        Err(E::ENOENT) => "the kernel module is not loaded: modprobe ttls".into(),
        Err(E::ENOKEY) => "the module has no certificate: ttls ctl load".into(),
        Err(E::EPERM) => "CAP_NET_ADMIN is needed".into(),
        Err(E::EOPNOTSUPP) => "the socket is not plain TCP: MPTCP, SMC or a BPF program is on it".into(),
        Err(e) => e.to_string(),
    };
    Err(Failure::Failed(format!("{address}: {refusal}")))
}

/// Starts a command, puts behind TLS what it listens on, and ends as it ends.
pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    let result = match arguments {
        [dashes, program, arguments @ ..] if dashes == "--" => start(program, arguments),
        _ => Err(Failure::Misuse("run: give the command after `--`".into())),
    };
    result.unwrap_or_else(|failure| super::failure::report(Err(failure)))
}

fn start(program: &OsString, arguments: &[OsString]) -> Result<ExitCode, Failure> {
    let mut child = Command::new(program)
        .args(arguments)
        .spawn()
        .map_err(|e| Failure::failed(format!("{}: {e}", program.to_string_lossy())))?;
    let pid = i32::try_from(child.id())?;
    let begun = Instant::now();
    let mut listens = false;
    // A server opens its listening sockets one after the other: those that come later must not stay in plain text.
    let outcome = loop {
        match attach(pid, None) {
            Ok(count) => listens |= count > 0,
            Err(_) if child.try_wait()?.is_some() => break Ok(()),
            Err(failure) => break Err(failure),
        }
        if child.try_wait()?.is_some() || (listens && begun.elapsed() > PATIENCE) {
            break Ok(());
        }
        if begun.elapsed() > PATIENCE {
            break Err(Failure::failed("the command does not listen on TCP: it was ended"));
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    if let Err(failure) = outcome {
        // It must not go on in plain text.
        child.kill()?;
        child.wait()?;
        return Err(failure);
    }
    let status = child.wait()?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
