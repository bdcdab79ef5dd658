// SPDX-License-Identifier: MIT OR Apache-2.0
//! Backends' names: one that does not resolve is waited for, and holds nothing else up.

use harness::backend::Backend;
use harness::client::{connect, default_config, get};
use harness::server::{Config, Server};
use std::process::{Command, Stdio};

#[test]
fn a_name_that_does_not_resolve_is_no_reason_not_to_start_or_reload() {
    let backend = Backend::http();
    // Names under .invalid never resolve (RFC 6761 §6.4).
    let route = |name: &str| format!("[[route]]\nnames = [{name:?}]\nbackend = \"no.such.invalid:80\"");
    let config = Config::new(&backend);
    let mut server = Server::start(&config.clone().table(&route("ttls.test")));
    server.logged(&["level=error event=resolve backend=no.such.invalid:80", "does not resolve yet"]);
    let mut tls = connect(server.address, &default_config());
    assert!(get(&mut tls, "/").is_err());
    server.logged(&["event=connection", "level=error", "backend unknown: its name does not resolve"]);
    // The other names are served, and renewed certificates are.
    server.reload(
        &config
            .clone()
            .without_certificates()
            .certificate("rsa2048.pem", "rsa2048.key")
            .table(&route("other.test")),
    );
    server.logged(&["event=reload", "message=done"]);
    let mut tls = connect(server.address, &default_config());
    get(&mut tls, "/").expect("a response");
}

#[test]
fn a_check_warns_of_names_that_do_not_resolve() {
    let output = Command::new(harness::server::program())
        .args(["check", "--demo", "--backend", "no.such.invalid:80"])
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("warning: backend no.such.invalid:80: does not resolve now"), "{said}");
}

#[test]
fn a_check_refuses_what_a_start_would() {
    let said = |arguments: &[&str]| {
        let mut command = Command::new(harness::server::program());
        let output = command.args(["check", "--demo"]).args(arguments).output().expect("it runs");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(said(&["--user", "no-such-user"]).contains("there is no user no-such-user"));
    assert!(said(&["--group", "no-such-group"]).contains("there is no group no-such-group"));
    assert!(said(&["--log.file", "/nowhere/log"]).contains("there is no folder /nowhere"));
}
