// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files that the configuration names. Any may be secret: what was read is wiped.

use crate::config::Error;
use crate::config::source::Written;
use crate::pem::{self, Block};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use toml::Spanned;
use zeroize::{Zeroize, Zeroizing};

/// Reads a file that the configuration names at `at`.
///
/// # Errors
/// It can not be read.
pub fn read(written: &Written, at: &Spanned<PathBuf>, path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let whole = || {
        let mut file = File::open(path)?;
        let size = usize::try_from(file.metadata()?.len()).unwrap_or(0);
        // One byte more, to see the end. A pipe has no size: what it holds is moved when it grows, and wiped where it was.
        let mut content = Zeroizing::new(vec![0; size.max(4095) + 1]);
        let mut len = 0;
        loop {
            if len == content.len() {
                let mut larger = Zeroizing::new(vec![0; 2 * len]);
                larger[..len].copy_from_slice(&content);
                content = larger;
            }
            match file.read(&mut content[len..])? {
                0 => break,
                count => len += count,
            }
        }
        content[len..].zeroize();
        content.truncate(len);
        Ok(content)
    };
    whole()
        .map_err(|e: std::io::Error| written.error(at, format!("{}: can not be read: {e}", path.display())))
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
