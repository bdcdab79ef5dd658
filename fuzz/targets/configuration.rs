// SPDX-License-Identifier: MIT OR Apache-2.0
//! Configuration files: read, or refused with an error that names the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::{Seek, Write};
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex};
use ttls_server::config::Source;

static FILE: LazyLock<Mutex<tempfile::NamedTempFile>> =
    LazyLock::new(|| Mutex::new(tempfile::NamedTempFile::new().unwrap()));

fuzz_target!(|text: &[u8]| {
    let mut file = FILE.lock().unwrap();
    file.as_file().set_len(0).unwrap();
    file.rewind().unwrap();
    file.write_all(text).unwrap();
    let path: PathBuf = file.path().into();
    let source = Source { file: Some(path.clone()), flags: Vec::new() };
    if let Err(error) = source.read() {
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
});
