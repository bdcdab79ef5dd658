// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ttls check`: what is wrong is said, with its place; `ttls serve` refuses the same.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder with certificates, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ttls-check-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        let folder = Self(path);
        for (file, algorithm, days) in [("a", "ec", "90"), ("b", "ec", "90"), ("old", "ec", "3")] {
            folder.certificate(
                file,
                &["-newkey", algorithm, "-pkeyopt", "ec_paramgen_curve:P-256", "-days", days],
            );
        }
        folder.certificate("p384", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"]);
        fs::write(folder.0.join("short"), [1; 31]).unwrap();
        let read = |file: &str| fs::read_to_string(folder.0.join(file)).unwrap();
        for (file, issuers) in [("long", 15), ("longer", 40)] {
            fs::write(folder.0.join(format!("{file}.pem")), read("a.pem") + &read("b.pem").repeat(issuers))
                .unwrap();
        }
        fs::write(folder.0.join("authorities.pem"), read("a.pem").repeat(400)).unwrap();
        fs::write(folder.0.join("empty.pem"), "").unwrap();
        let [a, b, old] =
            ["a.pem", "b.pem", "old.pem"].map(|file| fs::read_to_string(folder.0.join(file)).unwrap());
        let joined = format!("\u{feff}{}\u{feff}{}", a.trim_end(), old.replace('\n', "\r\n  "));
        let other = format!("{}{}", a.replace(" CERT", " X509 CERT"), old.replace(" CERT", " TRUSTED CERT"));
        let utf16: Vec<u8> = a.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (file, content) in [
            ("joined.pem", joined.as_bytes()),
            ("other.pem", other.as_bytes()),
            ("swapped.pem", [b.as_str(), &a].concat().as_bytes()),
            ("broken.pem", [a.as_str(), &b.replace("-----BEGIN", "----BEGIN")].concat().as_bytes()),
            ("utf16.pem", &utf16),
            ("a.der", &[0x30, 0x82, 1, 0]),
            ("empty.ocsp", b""),
            ("html.ocsp", b"0 html error page"),
            ("trylater.ocsp", &[0x30, 3, 0x0a, 1, 3]),
        ] {
            fs::write(folder.0.join(file), content).unwrap();
        }
        folder
    }

    /// Makes `name.pem` and `name.key`.
    fn certificate(&self, name: &str, how: &[&str]) {
        let output = Command::new("openssl")
            .args(["req", "-x509", "-nodes", "-subj", "/CN=test", "-addext", "subjectAltName=DNS:a.example"])
            .args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.pem")])
            .args(how)
            .current_dir(&self.0)
            .output()
            .expect("openssl is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn run(&self, command: &str, config: &str) -> Output {
        fs::write(self.0.join("t.toml"), config).unwrap();
        ttls(&self.0, &[command, "--config", "t.toml"])
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn ttls(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ttls")).args(arguments).current_dir(folder).output().unwrap()
}

/// What was said, but for what depends on the machine: how many descriptors a process may have.
fn stderr(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    said.lines()
        .filter(|line| !line.contains("descriptors may be needed"))
        .map(|line| format!("{line}\n"))
        .collect()
}

const GOOD: &str = "listen = ['127.0.0.1:0']\nbackend = '127.0.0.1:1'\n";
const A: &str = "[[certificate]]\nchain = 'a.pem'\nkey = 'a.key'\n";

#[test]
fn every_error_says_what_and_where() {
    let folder = Folder::new("errors");
    let certificate = |fields: &str| format!("{GOOD}[[certificate]]\n{fields}\n");
    let with = |more: &str| format!("{GOOD}{A}{more}\n");
    let cases = [
        (format!("{GOOD}[tls]\nalpm = []\n{A}"), "t.toml:4: unknown field `alpm`"),
        (GOOD.into(), "t.toml: no certificate: add [[certificate]]"),
        (format!("listen = ['127.0.0.1:0']\n{A}"), "t.toml: no backend"),
        (format!("backend = '127.0.0.1:1'\n{A}"), "t.toml: no address to listen on"),
        (
            format!("listen = ['[::1]:1', '[::1]:1']\nbackend = '127.0.0.1:1'\n{A}"),
            "t.toml:1: [::1]:1 is listed twice",
        ),
        (certificate("chain = 'none.pem'"), "t.toml:4: none.pem: can not be read"),
        (certificate("chain = 'empty.pem'"), "t.toml:4: empty.pem: has no certificate in PEM"),
        (certificate("chain = 'a.pem'"), "t.toml:4: a.pem: has no private key in PEM"),
        (
            certificate("chain = 'a.pem'\nkey = 'b.key'"),
            "t.toml:5: b.key: the private key does not belong to the certificate in a.pem",
        ),
        (certificate("chain = 'longer.pem'\nkey = 'a.key'"), "t.toml:4: longer.pem: with "),
        (certificate("chain = 'p384.pem'\nkey = 'p384.key'"), "t.toml:5: p384.key: "),
        (
            certificate("chain = 'a.pem'\nkey = 'a.key'\nnames = ['a b']"),
            "t.toml:6: `a b` is not a server name",
        ),
        (
            with("default = true\n[[certificate]]\nchain = 'b.pem'\nkey = 'b.key'\ndefault = true"),
            "t.toml:8: b.pem: is the second `default` certificate with a key of this kind",
        ),
        (
            certificate("chain = 'a.key'\nkey = 'a.pem'"),
            "t.toml:4: a.key: has no certificate in PEM, but a private key: are",
        ),
        (
            certificate("chain = 'a.pem'\nkey = 'b.pem'"),
            "t.toml:5: b.pem: has no private key in PEM (PKCS#8, SEC 1 or PKCS#1), but certificates",
        ),
        (
            certificate("chain = 'a.der'\nkey = 'a.key'"),
            "t.toml:4: a.der: is in binary (DER or PKCS#12), not in PEM",
        ),
        (certificate("chain = 'utf16.pem'\nkey = 'a.key'"), "t.toml:4: utf16.pem: is text in UTF-16"),
        (certificate("chain = 'broken.pem'\nkey = 'a.key'"), "t.toml:4: broken.pem:"),
        (
            certificate("chain = 'swapped.pem'\nkey = 'a.key'"),
            "t.toml:5: a.key: the private key does not belong to the certificate in swapped.pem:1, but to the one in line",
        ),
        (
            with("[client_certificates]\nmode = 'required'\nca_file = 'a.key'"),
            "t.toml:8: a.key:1: a block of `PRIVATE KEY` where certificates of authorities are expected",
        ),
        (
            with("[client_certificates]\nmode = 'required'\nca_file = 'a.pem'\ncrl_file = 'a.pem'"),
            "t.toml:9: a.pem:1: a block of `CERTIFICATE` where revocation lists are expected",
        ),
        (
            with("[[route]]\nnames = ['x.example', 'X.example']\nbackend = 'demo:'"),
            "t.toml:7: `x.example` has a route already",
        ),
        (with("[tls]\nversions = []"), "t.toml:7: no protocol version is enabled"),
        (
            with("[tls]\nversions = ['1.3']\nsuites = ['TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256']"),
            "t.toml:8: TLSv1.3 is enabled without a cipher suite",
        ),
        (with("[tickets]\nsecret_file = 'short'"), "t.toml:7: short: has 31 bytes, at least 32 are needed"),
        (with("[tickets]\nlifetime = '8d'"), "t.toml:7: ticket lifetime is over 604800 seconds"),
        (
            with("[client_certificates]\nmode = 'required'"),
            "t.toml:7: client_certificates.mode needs client_certificates.ca_file",
        ),
        (
            with("[client_certificates]\nmode = 'optional'\nca_file = 'empty.pem'"),
            "t.toml:8: empty.pem: has no certificate in PEM",
        ),
        (with("[timeouts]\nhandshake = '0s'"), "t.toml:7: timeouts.handshake is zero"),
        (with("[limits]\nhalf_open = 0"), "t.toml:7: limits.half_open is 0, at least 1 is needed"),
        (format!("workers = 0\n{GOOD}{A}"), "t.toml:1: `workers` is not between 1 and 1024"),
    ];
    for (config, expected) in cases {
        for command in ["check", "serve"] {
            let output = folder.run(command, &config);
            assert_eq!(output.status.code(), Some(1), "{command}: {config}");
            let error = stderr(&output);
            assert!(
                error.contains(&format!("ttls: {expected}")),
                "{command}: {error:?} instead of {expected:?}"
            );
        }
    }
}

#[test]
fn what_works_passes_and_what_is_doubtful_is_a_warning() {
    let folder = Folder::new("good");
    let output = folder.run("check", &format!("{GOOD}{A}"));
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
    let output = folder.run("check", &format!("{GOOD}[[certificate]]\nchain = 'old.pem'\nkey = 'old.key'\n"));
    assert_eq!(output.status.code(), Some(0));
    let warning = stderr(&output);
    assert!(warning.contains("warning: old.pem:1: the certificate expires in "), "{warning}");
    // A chain and a list of authorities that fit alone, but not in one flight.
    let long = format!("{GOOD}[[certificate]]\nchain = 'long.pem'\nkey = 'a.key'\n");
    let ask = |file: &str| format!("{long}[client_certificates]\nmode = 'optional'\nca_file = '{file}'\n");
    for (file, expected) in [("a.pem", false), ("authorities.pem", true)] {
        let output = folder.run("check", &ask(file));
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(stderr(&output).contains("until then none is named"), expected, "{}", stderr(&output));
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let folder = Folder::new("all");
    for (config, expected) in [
        // What the file's reader finds…
        (
            "listen = '127.0.0.1:0'\nworkers = 'two'\n[tls]\nalpm = []\n[timeouts]\nhandshake = 10\nidle = '5'\n[[certificate]]\nkey = 'x'\n"
                .to_owned(),
            &[
                "t.toml:1: a list is expected, in brackets: write [\"127.0.0.1:0\"]",
                "t.toml:2: invalid type: string \"two\"",
                "t.toml:4: unknown field `alpm`",
                "t.toml:6: invalid type: integer `10`, expected a duration in quotes, with its unit: \"500ms\"",
                "t.toml:7: `5` is not a duration",
                "t.toml:8: missing field `chain`",
            ][..],
        ),
        // … and what is found after it.
        (
            "listen = ['127.0.0.1:1', '127.0.0.1:1']\nworkers = 0\n[[certificate]]\nchain = 'none.pem'\n[[certificate]]\nchain = 'a.pem'\nkey = 'b.key'\n[limits]\nhalf_open = 0\n"
                .to_owned(),
            &[
                "t.toml:4: none.pem: can not be read",
                "t.toml:7: b.key: the private key does not belong",
                "t.toml: no backend",
                "t.toml:1: 127.0.0.1:1 is listed twice",
                "t.toml:9: limits.half_open is 0",
                "t.toml:2: `workers` is not between",
            ],
        ),
        // What a start refuses of a good configuration.
        (
            format!("user = 'no-such-user'\n{GOOD}{A}[log]\nfile = 'no/such/folder'\n"),
            &[
                "t.toml:1: there is no user no-such-user",
                "t.toml:8: log.file no/such/folder: can not be opened: No such file or directory (os error 2) (there is no folder no/such)",
            ],
        ),
    ] {
        let output = folder.run("check", &config);
        assert_eq!(output.status.code(), Some(1));
        let said = stderr(&output);
        for expected in expected {
            assert_eq!(said.matches(&format!("ttls: {expected}")).count(), 1, "{expected}: {said}");
        }
        assert_eq!(said.lines().count(), expected.len(), "{said}");
        let output = folder.run("serve", &config);
        assert_eq!(output.status.code(), Some(1));
        let first = said.lines().next().unwrap_or_default();
        assert!(stderr(&output).contains(first), "{}", stderr(&output));
    }
}

#[test]
fn what_does_not_go_together_is_told() {
    let folder = Folder::new("together");
    let rsa = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
    let with = |more: &str| format!("{GOOD}{A}{more}\n");
    for (config, expected) in [
        (
            with("[[route]]\nnames = ['b.example']\nbackend = '127.0.0.1:1'"),
            "t.toml:7: no certificate is for `b.example`: clients that ask for it get the default certificate",
        ),
        (
            with("[[route]]\nnames = ['*.a.example']\nbackend = '127.0.0.1:1'"),
            "t.toml:7: no certificate is for `*.a.example`",
        ),
        (
            with("[[route]]\nnames = ['b.example']\nbackend = '127.0.0.1:1'\n[tls]\nunknown_name = 'refuse'"),
            "are refused (tls.unknown_name)",
        ),
        (
            with(&format!("[tls]\nsuites = ['TLS_AES_128_GCM_SHA256', '{rsa}']")),
            "t.toml:7: no suite of TLS 1.2 goes with a certificate: all are for RSA keys, and only TLS 1.3 works",
        ),
        (
            with(&format!(
                "[tls]\nsuites = ['TLS_AES_128_GCM_SHA256', 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256', '{rsa}']"
            )),
            "t.toml:7: no certificate has a key for TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        ),
        (
            with("[[route]]\nnames = ['a.example']\nbackend = 'static:1'\n[tls]\nalpn = ['h2', 'http/1.1']"),
            "t.toml:10: h2 is offered, but `static:` answers HTTP/1.1 only",
        ),
        (
            with("names = []\n[[certificate]]\nchain = 'b.pem'\nkey = 'b.key'\ndefault = true"),
            "a.pem: no client gets this certificate",
        ),
        (
            with(
                "names = ['*.example']\n[[route]]\nnames = ['x.example', '*.example']\nbackend = '127.0.0.1:1'",
            ),
            "",
        ),
        (with("[[route]]\nnames = ['*.example']\nbackend = '127.0.0.1:1'"), ""),
    ] {
        let output = folder.run("check", &config);
        assert_eq!(output.status.code(), Some(0), "{config}: {}", stderr(&output));
        let said = stderr(&output);
        assert_eq!(said.is_empty(), expected.is_empty(), "{config}: {said}");
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let output = folder.run("check", &with(&format!("[tls]\nversions = ['1.2']\nsuites = ['{rsa}']")));
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("t.toml:8: no suite of TLS 1.2 goes with a certificate"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn what_will_be_served_is_printed() {
    let folder = Folder::new("overview");
    let config = format!(
        "{GOOD}{A}[[route]]\nnames = ['a.example', '*.a.example']\nbackend = 'unix:/x'\n[limits]\nconnections = 10\n[metrics]\nlisten = '127.0.0.1:9'\n"
    );
    let output = folder.run("check", &config);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = String::from_utf8(output.stdout).unwrap();
    let mut lines = said.lines();
    for expected in [
        "listen       127.0.0.1:0",
        "metrics      http://127.0.0.1:9/metrics",
        "certificate  a.pem: ECDSA P-256, until 20",
        "             for a.example",
        "             for clients without a known name",
        "clients      certificates not asked for",
        "route        a.example, *.a.example to unix:/x",
        "route        everything else to 127.0.0.1:1",
        "limits       10 connections, 8192 of them in their handshake",
        "             up to ",
        "ttls: the configuration is good",
    ] {
        let line = lines.next().unwrap_or_default();
        assert!(line.starts_with(expected), "{line:?} instead of {expected:?} in {said}");
    }
    assert_eq!(lines.next(), None, "{said}");
}

/// What the unit's sandbox hides is told with what to do about it, where systemd runs the program.
#[test]
fn the_sandbox_of_the_unit_is_named() {
    let folder = Folder::new("sandbox");
    let run = |config: &str, under_systemd: bool| {
        fs::write(folder.0.join("t.toml"), config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ttls"));
        command.args(["check", "--config", "t.toml"]).current_dir(&folder.0).env_remove("INVOCATION_ID");
        if under_systemd {
            command.env("INVOCATION_ID", "0");
        }
        stderr(&command.output().unwrap())
    };
    let chain = |path: &str| format!("{GOOD}[[certificate]]\nchain = '{path}'\n");
    let socket = format!("listen = ['127.0.0.1:0']\nbackend = 'unix:/tmp/none.sock'\n{A}");
    for (config, hint) in [
        (chain("/home/no-such-user/x.pem"), "t.toml:4: /home/no-such-user/x.pem: can not be read: "),
        (chain("/home/no-such-user/x.pem"), "ProtectHome=read-only in `systemctl edit ttls`"),
        (chain("/tmp/no-such-folder/x.pem"), "PrivateTmp=no in `systemctl edit ttls`"),
        (socket, "warning: backend unix:/tmp/none.sock (the unit has a /tmp"),
    ] {
        let said = run(&config, true);
        assert!(said.contains(hint), "{said}");
        assert!(!run(&config, false).contains("systemctl"), "{config}");
    }
}

#[test]
fn paths_count_from_the_configuration() {
    let folder = Folder::new("paths");
    fs::create_dir_all(folder.0.join("sub/logs")).unwrap();
    for file in ["a.pem", "a.key"] {
        fs::copy(folder.0.join(file), folder.0.join("sub").join(file)).unwrap();
    }
    fs::write(folder.0.join("sub/t.toml"), format!("{GOOD}{A}[log]\nfile = 'logs/x'\n")).unwrap();
    let output = ttls(&folder.0, &["check", "--config", "sub/t.toml"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let output = ttls(&folder.0, &["check", "--config", "sub/t.toml", "--log.file", "logs/x"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("there is no folder logs"), "{}", stderr(&output));
}

#[test]
fn pieces_of_pem_are_all_read() {
    let folder = Folder::new("pieces");
    for file in ["joined.pem", "other.pem"] {
        let output =
            folder.run("check", &format!("{GOOD}[[certificate]]\nchain = '{file}'\nkey = 'a.key'\n"));
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        // The second one has been read: it is about to end.
        assert!(
            stderr(&output).contains(": the issuer's certificate expires in "),
            "{file}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn a_bad_staple_is_left_out_with_a_warning() {
    let folder = Folder::new("staples");
    for (file, why) in [
        ("empty.ocsp", "is empty"),
        ("html.ocsp", "is not an OCSP response"),
        ("trylater.ocsp", "tryLater"),
        ("a.pem", "is PEM"),
        ("none.ocsp", "can not be read"),
    ] {
        let output = folder.run("check", &format!("{GOOD}{A}ocsp = '{file}'\n"));
        assert_eq!(output.status.code(), Some(0), "{file}: {}", stderr(&output));
        let said = stderr(&output);
        assert!(said.contains("warning: ") && said.contains(file) && said.contains(why), "{file}: {said}");
        assert!(said.contains("no OCSP response is stapled"), "{file}: {said}");
    }
}

#[test]
fn the_first_of_two_certificates_for_a_name_wins() {
    let folder = Folder::new("same-name");
    let output = folder.run("check", &format!("{GOOD}{A}[[certificate]]\nchain = 'b.pem'\nkey = 'b.key'\n"));
    assert_eq!(output.status.code(), Some(0));
    let said = stderr(&output);
    assert!(said.contains("b.pem: clients that ask for a.example get the certificate in a.pem"), "{said}");
}

#[test]
fn secrets_that_everybody_can_read_are_told() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("readers");
    fs::write(folder.0.join("secret"), [1; 64]).unwrap();
    for file in ["a.key", "secret"] {
        fs::set_permissions(folder.0.join(file), fs::Permissions::from_mode(0o644)).unwrap();
    }
    let output = folder.run("check", &format!("{GOOD}{A}[tickets]\nsecret_file = 'secret'\n"));
    assert_eq!(output.status.code(), Some(0));
    for what in [
        "a.key: the private key can be read by every user",
        "secret: the ticket secret can be read by every user",
    ] {
        assert!(stderr(&output).contains(what), "{}", stderr(&output));
    }
}

#[test]
fn a_second_program_on_the_address_is_refused() {
    let folder = Folder::new("twice");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = ttls(&folder.0, &["serve", "--demo", "--listen", &address]);
    // EX_TEMPFAIL: the other program may end.
    assert_eq!(output.status.code(), Some(75));
    assert!(stderr(&output).contains(&format!("ttls: listen {address}: ")), "{}", stderr(&output));
}

#[test]
fn wrong_use_is_told_from_wrong_configuration() {
    let here = Path::new(".");
    for (arguments, expected) in [
        (&["serve"][..], "nothing to serve"),
        (&["serve", "--nonsense", "1"], "--nonsense is not a flag"),
        (&["check", "--config"], "--config needs a value"),
        (&["nonsense"], "ttls: there is no command `nonsense`"),
        (&[], "ttls serve --demo"),
    ] {
        let output = ttls(here, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(expected), "{arguments:?}: {}", stderr(&output));
    }
    let output = ttls(here, &["serve", "--demo", "--timeouts.idle", "soon"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("--timeouts.idle soon: `soon` is not a duration"),
        "{}",
        stderr(&output)
    );
    let output = ttls(here, &["--version"]);
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("ttls "));
}
