// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files that the configuration names. Any may be secret: what was read is wiped.

use crate::config::Error;
use crate::config::source::Written;
use crate::pem::{self, Block};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use toml::Spanned;
use zeroize::{Zeroize, Zeroizing};

/// Reads a file whole, or its first `most` bytes, into memory that is wiped.
///
/// # Errors
/// The kernel's.
pub fn contents(path: &Path, most: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut file = File::open(path)?;
    let size = usize::try_from(file.metadata()?.len()).unwrap_or(0);
    // One byte more, to see the end. A pipe has no size: what it holds is moved when it grows, and wiped where it was.
    let mut content = Zeroizing::new(vec![0; size.max(4095).saturating_add(1).min(most)]);
    let mut len = 0;
    loop {
        if len == content.len() && len < most {
            let mut larger = Zeroizing::new(vec![0; len.saturating_mul(2).min(most)]);
            larger.iter_mut().zip(&*content).for_each(|(to, from)| *to = *from);
            content = larger;
        }
        // At the bound there is no room, and nothing is read.
        match file.read(content.get_mut(len..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(count) => len += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    content.get_mut(len..).unwrap_or_default().zeroize();
    content.truncate(len);
    Ok(content)
}

/// Reads a file that the configuration names at `at`.
///
/// # Errors
/// It can not be read.
pub fn read(written: &Written, at: &Spanned<PathBuf>, path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    contents(path, usize::MAX).map_err(|e| {
        let hint = under_systemd().then(|| sandbox_hint(path, e.kind())).flatten().unwrap_or_default();
        written.error(at, format!("{}: can not be read: {e}{hint}", path.display()))
    })
}

/// Whether systemd has started this process, or `ttls check` at a reload (systemd.exec(5), `$INVOCATION_ID`).
pub fn under_systemd() -> bool {
    std::env::var_os("INVOCATION_ID").is_some()
}

/// What the unit's sandbox may have to do with a file that can not be opened: packaging/ttls.service.
pub fn sandbox_hint(path: &Path, error: ErrorKind) -> Option<&'static str> {
    let below = |folders: &[&str]| folders.iter().any(|folder| path.starts_with(folder));
    match error {
        _ if below(&["/home", "/root", "/run/user"]) => Some(
            " (the unit hides /home, /root and /run/user: put the file elsewhere, or say ProtectHome=read-only in `systemctl edit ttls`)",
        ),
        ErrorKind::NotFound if below(&["/tmp", "/var/tmp"]) => Some(
            " (the unit has a /tmp and a /var/tmp of its own: put the file elsewhere, or say PrivateTmp=no in `systemctl edit ttls`)",
        ),
        ErrorKind::PermissionDenied => Some(
            " (the unit's user is none that owns files: it is in the group ssl-cert; `chgrp ssl-cert` and `chmod g+r` the file, and `chmod g+x` the \
             folders on the way to it, as /etc/letsencrypt/live and archive)",
        ),
        _ => None,
    }
}

/// Reads the PEM blocks of a file.
///
/// # Errors
/// It can not be read, or is not PEM.
pub fn read_pem(written: &Written, at: &Spanned<PathBuf>, path: &Path) -> Result<Vec<Block>, Error> {
    let content = read(written, at, path)?;
    let bad = |error: &pem::Error| written.error(at, format!("{}{error}", path.display()));
    if pem::is_der(&content) {
        let what = "is in binary (DER or PKCS#12), not in PEM: convert it with `openssl x509 -inform DER`, `openssl pkey -inform DER` or \
                    `openssl pkcs12 -nodes`";
        return Err(bad(&pem::Error::new(0, what)));
    }
    pem::read(&content).map_err(|error| bad(&error))
}

/// Warns of a secret file that every user can read.
pub fn warn_of_readers(path: &Path, what: &str, warnings: &mut Vec<String>) {
    let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o004 != 0 {
        warnings.push(format!("{}: {what} can be read by every user: chmod o-r", path.display()));
    }
    if mode & 0o002 != 0 {
        warnings.push(format!("{}: {what} can be written by every user: chmod o-w", path.display()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn files_are_read_whole_or_up_to_the_bound() {
        let dir = std::env::temp_dir().join(format!("ttls-files-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("file");
        for len in [0, 1, 4095, 4096, 4097, 100_000] {
            let bytes: Vec<u8> = (0..len).map(|i: usize| i.to_le_bytes()[0]).collect();
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(*contents(&path, usize::MAX).unwrap(), bytes);
            for most in [1, 4096, 4097, 65_537] {
                assert_eq!(*contents(&path, most).unwrap(), bytes[..len.min(most)], "{len}, at most {most}");
            }
        }
        // What tells no size.
        let (reader, mut writer) = io::pipe().unwrap();
        let bytes = vec![0x5a; 50_000];
        let written = bytes.clone();
        let writing = std::thread::spawn(move || writer.write_all(&written).unwrap());
        use std::os::fd::AsRawFd;
        let pipe = PathBuf::from(format!("/proc/self/fd/{}", reader.as_raw_fd()));
        assert_eq!(*contents(&pipe, usize::MAX).unwrap(), bytes);
        writing.join().unwrap();
        std::fs::remove_dir_all(dir).unwrap();
    }
}
