// SPDX-License-Identifier: MIT OR Apache-2.0
//! The examples run, and answer curl.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Ends with the test.
struct Example(Child);

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts an example, which cargo builds before the tests, on a free port; returns its address.
fn start(name: &str) -> (Example, String) {
    let own = std::env::current_exe().unwrap();
    let program = own.parent().unwrap().with_file_name("examples").join(name);
    assert!(program.exists(), "cargo build --examples makes {}", program.display());
    let mut child = Command::new(program).arg("127.0.0.1:0").stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    (Example(child), line.trim().strip_prefix("listening on ").unwrap().to_owned())
}

fn curl(address: &str, arguments: &[&str]) -> Child {
    let mut curl = Command::new("curl");
    curl.args(["-sSk", "--max-time", "60"]).args(arguments).arg(format!("https://{address}/a/path"));
    curl.stdout(Stdio::piped()).spawn().expect("curl, which `make tools` installs")
}

fn check(curl: Child) {
    let output = curl.wait_with_output().unwrap();
    assert!(output.status.success(), "{:?}", output.status);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("GET /a/path HTTP/1.1\r\n") && text.ends_with("\r\n\r\n"), "{text:?}");
}

#[test]
fn the_echo_answers_in_both_versions() {
    let (_echo, address) = start("echo");
    for version in [&["--tlsv1.3"][..], &["--tlsv1.2", "--tls-max", "1.2"]] {
        check(curl(&address, version));
    }
}

#[test]
fn many_are_answered_together_and_others_are_not_hurt() {
    let (_batches, address) = start("batches");
    // One that is silent, one that is gone at once, one that sends what is no TLS.
    let silent = std::net::TcpStream::connect(&address).unwrap();
    drop(std::net::TcpStream::connect(&address).unwrap());
    let plain = Command::new("curl")
        .args(["-s", "--max-time", "60", &format!("http://{address}/")])
        .status()
        .unwrap();
    assert!(!plain.success());
    let clients: Vec<_> = (0..12).map(|_| curl(&address, &[])).collect();
    clients.into_iter().for_each(check);
    drop(silent);
}
