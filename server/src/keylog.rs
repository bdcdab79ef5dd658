// SPDX-License-Identifier: MIT OR Apache-2.0
//! Secrets for debugging, in the format of SSLKEYLOGFILE (RFC 9850). Only ever on the operator's explicit word.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use ttls::config::KeyLog;
use zeroize::Zeroize;

/// The file, shared by workers: each line is one write.
#[derive(Clone, Debug)]
pub struct KeyLogFile {
    file: Arc<File>,
    line: String,
}

impl KeyLogFile {
    /// Opens `path` for appending; a new file can be read by its owner only.
    ///
    /// # Errors
    /// The file can not be opened.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        let file = File::options().append(true).create(true).mode(0o600).open(path)?;
        Ok(Self { file: Arc::new(file), line: String::with_capacity(256) })
    }
}

impl KeyLog for KeyLogFile {
    fn log(&mut self, label: &str, client_random: &[u8; 32], secret: &[u8]) {
        let Self { file, line } = self;
        line.push_str(label);
        for part in [client_random.as_slice(), secret] {
            line.push(' ');
            for byte in part {
                let _ = write!(line, "{byte:02x}");
            }
        }
        line.push('\n');
        // A debugging aid that can not be written must not take the service down.
        let _ = (&**file).write_all(line.as_bytes());
        line.zeroize();
    }
}
