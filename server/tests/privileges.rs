// SPDX-License-Identifier: MIT OR Apache-2.0
//! A user and a group that the process can not have are errors: it never serves as somebody else than it was told to be.
#![forbid(unsafe_code)]

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::{env, fs};

/// Of Debian's `nobody` and `nogroup`.
const NOBODY: u32 = 65534;

#[test]
fn who_is_not_root_stays_whom_it_is() {
    if fs::metadata("/proc/self").expect("proc").uid() != 0 {
        eprintln!("skipped: only root can start a program as another user");
        return;
    }
    // Where every user can run it.
    let program = env::temp_dir().join(format!("ttls-privileges-{}", std::process::id()));
    fs::copy(env!("CARGO_BIN_EXE_ttls"), &program).expect("a copy");
    for (arguments, error) in [
        (["--user", "nobody", "--group", "root"], "can not change to group 0"),
        (["--user", "root", "--group", "nogroup"], "only root can change to another user"),
    ] {
        // One that serves is ended.
        let output = Command::new("timeout")
            .arg("20")
            .arg(&program)
            .args(["serve", "--demo", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .uid(NOBODY)
            .gid(NOBODY)
            .stdin(Stdio::null())
            .output();
        let output = output.expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(error), "{arguments:?}: {}: {said}", output.status);
    }
    fs::remove_file(program).expect("it is removed");
}
