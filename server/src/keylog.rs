// SPDX-License-Identifier: MIT OR Apache-2.0
//! Secrets for debugging, in the format of SSLKEYLOGFILE (RFC 9850). Only ever on the operator's explicit word.

use crate::serve::log::destination::Destination;
use crate::serve::log::sink::{Sink, Style};
use rustix::fs::Mode;
use rustix::io::Errno;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use ttls::config::KeyLog;
use zeroize::Zeroize;

/// Room for a label, the client's random value and the longest secret.
const LINE: usize = 256;

/// The file, shared by workers. A debugging aid that can not be written, or whose reader stalls, does not take the
/// service down.
#[derive(Clone, Debug)]
pub struct KeyLogFile {
    sink: Arc<Sink>,
    line: String,
}

impl KeyLogFile {
    /// Opens `path` for appending; a new file can be read by its owner only.
    ///
    /// # Errors
    /// The file can not be opened.
    pub fn open(path: &Path) -> Result<Self, Errno> {
        let file = Destination::file(path, Mode::RUSR | Mode::WUSR)?;
        Ok(Self { sink: Sink::new(file, Style::KeyLog)?, line: String::with_capacity(LINE) })
    }

    /// What writes it.
    pub const fn sink(&self) -> &Arc<Sink> {
        &self.sink
    }
}

impl KeyLog for KeyLogFile {
    fn log(&mut self, label: &str, client_random: &[u8; 32], secret: &[u8]) {
        let Self { sink, line } = self;
        line.push_str(label);
        for part in [client_random.as_slice(), secret] {
            line.push(' ');
            for byte in part {
                let _ = write!(line, "{byte:02x}");
            }
        }
        line.push('\n');
        sink.append(line.as_bytes());
        line.zeroize();
    }
}
