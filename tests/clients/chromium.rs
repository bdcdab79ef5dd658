// SPDX-License-Identifier: MIT OR Apache-2.0
//! Headless Chromium.

use crate::site_with;
use harness::process::run;
use std::process::Command;

#[test]
fn a_page_over_the_hybrid_key_exchange() {
    let (_backend, mut server) = site_with(|c| c.table("[tls]\nalpn = [\"http/1.1\"]"));
    let profile = tempfile::tempdir().expect("a directory");
    let url = format!("https://{}/", server.address);
    let output = run(
        Command::new("chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--ignore-certificate-errors", "--dump-dom"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(url),
        b"",
    );
    output.must_say("version=TLSv1.3").must_say("alpn=http/1.1");
    server.logged(&["event=connection", "group=X25519MLKEM768"]);
}
