// SPDX-License-Identifier: MIT OR Apache-2.0
//! Client certificates of all kinds, shown by `openssl s_client`: who gets in, and what the log says of who does not.

use crate::{REQUEST, Version};
use harness::backend::Backend;
use harness::process::{Output, run};
use harness::server::{Config, Server};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder of certificates, made when the test runs: all are of P-256 unless said otherwise, and quick to make.
struct Folder(tempfile::TempDir);

const CLIENT: &str = "keyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n";
const P256: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().expect("a temporary directory"));
        folder.key("root", P256);
        folder.openssl(&[
            "req",
            "-x509",
            "-key",
            "root.key",
            "-out",
            "root.crt",
            "-days",
            "99",
            "-subj",
            "/CN=root",
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign",
        ]);
        folder
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn text(&self, file: &str) -> String {
        self.path(file).to_str().expect("UTF-8").to_owned()
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).expect("just made")
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.path(file), text).expect("write");
    }

    #[track_caller]
    fn openssl(&self, arguments: &[&str]) {
        let output = run(Command::new("openssl").args(arguments).current_dir(self.0.path()), b"");
        assert!(output.success, "openssl {arguments:?}:\n{output:#?}");
    }

    fn key(&self, stem: &str, how: &[&str]) {
        self.openssl(&[&["genpkey"], how, &["-out", &format!("{stem}.key")]].concat());
    }

    /// Makes `stem.key` and `stem.crt`, signed by `issuer`.
    fn issue(&self, issuer: &str, stem: &str, key: &[&str], extensions: &str, more: &[&str]) {
        self.key(stem, key);
        self.write("extensions", extensions);
        let [key, csr, crt] = ["key", "csr", "crt"].map(|end| format!("{stem}.{end}"));
        self.openssl(&["req", "-new", "-key", &key, "-subj", &format!("/CN={stem}"), "-out", &csr]);
        let (ca, ca_key) = (format!("{issuer}.crt"), format!("{issuer}.key"));
        let sign =
            ["x509", "-req", "-in", &csr, "-CA", &ca, "-CAkey", &ca_key, "-CAcreateserial", "-out", &crt];
        let days: &[&str] = if more.is_empty() { &["-days", "50"] } else { more };
        let extensions: &[&str] = if extensions.is_empty() { &[] } else { &["-extfile", "extensions"] };
        self.openssl(&[&sign[..], days, extensions].concat());
    }

    /// A server that asks for certificates of `ca_file`.
    fn server(&self, ca_file: &str, more: &str) -> (Backend, Server) {
        let backend = Backend::http();
        let ca_file = self.text(ca_file);
        let table = format!("[client_certificates]\nmode = \"required\"\nca_file = {ca_file:?}\n{more}");
        let server = Server::start(&Config::new(&backend).table(&table));
        (backend, server)
    }
}

/// What a client with this certificate gets; `chain` stands in a file of its own.
fn get(server: &Server, folder: &Path, stem: &str, chain: Option<&str>, more: &[&str]) -> Output {
    let mut command = Command::new("openssl");
    command.args([
        "s_client",
        "-ign_eof",
        "-connect",
        &server.address.to_string(),
        "-servername",
        "ttls.test",
    ]);
    command.arg("-cert").arg(folder.join(format!("{stem}.crt")));
    command.arg("-key").arg(folder.join(format!("{stem}.key")));
    if let Some(chain) = chain {
        command.arg("-cert_chain").arg(folder.join(chain)).arg("-build_chain");
    }
    run(command.args(more), REQUEST)
}

#[test]
fn keys_of_all_kinds_prove_themselves_with_every_suite() {
    let folder = Folder::new();
    let kinds: [(&str, &[&str]); 5] = [
        ("p256", P256),
        ("p384", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]),
        ("rsa", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
        ("pss", &["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"]),
        ("ed25519", &["-algorithm", "ED25519"]),
    ];
    for (stem, key) in kinds {
        folder.issue("root", stem, key, CLIENT, &[]);
    }
    let (_backend, server) = folder.server("root.crt", "");
    for (stem, _) in kinds {
        for suite in ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"] {
            let arguments = [Version::Tls12.openssl(), "-cipher", suite];
            get(&server, folder.0.path(), stem, None, &arguments)
                .must_say(&format!("cn={stem}\n"))
                .must_say("verify=00000000\n");
        }
        for suite in ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"] {
            let arguments = [Version::Tls13.openssl(), "-ciphersuites", suite];
            get(&server, folder.0.path(), stem, None, &arguments).must_say(&format!("cn={stem}\n"));
        }
    }
}

#[test]
fn the_log_names_the_certificate_and_the_rule() {
    let folder = Folder::new();
    folder.issue("root", "server-only", P256, "extendedKeyUsage=serverAuth\n", &[]);
    folder.issue("root", "expired", P256, CLIENT, &["-days", "-1"]);
    folder.issue("root", "old", P256, "", &[]);
    folder.issue("root", "p521", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"], CLIENT, &[]);
    let (_backend, mut server) = folder.server("root.crt", "");
    for (stem, alert, rule) in [
        ("server-only", "certificate unknown", "extendedKeyUsage lacks clientAuth"),
        ("expired", "certificate expired", "it expired at"),
        ("old", "unsupported certificate", "it is of version 1"),
        ("p521", "unsupported certificate", "not RSA, ECDSA P-256, ECDSA P-384 or Ed25519"),
    ] {
        for version in Version::BOTH {
            // In TLS 1.3 a scheme names the curve, and P-521's is not asked for: OpenSSL sends no certificate.
            let alert = match (stem, version) {
                ("p521", Version::Tls13) => "certificate required",
                _ => alert,
            };
            let output = get(&server, folder.0.path(), stem, None, &[version.openssl()]);
            assert!(
                output.all().contains(&format!("alert {alert}")),
                "{stem}, {version:?}: {}",
                output.all()
            );
            assert!(!output.stdout.contains("HTTP/1.1 200"), "{stem} was served");
        }
        server.logged(&[&format!("refused=\"certificate 1 (CN={stem}): "), rule]);
    }
}

#[test]
fn pieces_of_pem_are_all_read() {
    let folder = Folder::new();
    let list = |folder: &Folder, ca: &str| {
        folder.write("index", "R\t301231235959Z\t250101000000Z\t11\tunknown\t/CN=revoked\n");
        folder.write("number", "01\n");
        folder.write("ca", "[ca]\ndefault_ca=d\n[d]\ndatabase=index\ncrlnumber=number\ndefault_md=sha256\ndefault_crl_days=30\n");
        let (crt, key, out) = (format!("{ca}.crt"), format!("{ca}.key"), format!("{ca}.crl"));
        folder.openssl(&["ca", "-config", "ca", "-gencrl", "-cert", &crt, "-keyfile", &key, "-out", &out]);
    };
    list(&folder, "root");
    folder.key("second", P256);
    folder.openssl(&[
        "req",
        "-x509",
        "-key",
        "second.key",
        "-out",
        "second.crt",
        "-days",
        "99",
        "-subj",
        "/CN=second",
    ]);
    list(&folder, "second");
    for ca in ["root", "second"] {
        folder.issue(ca, &format!("{ca}-good"), P256, CLIENT, &[]);
        folder.issue(ca, &format!("{ca}-revoked"), P256, CLIENT, &["-days", "50", "-set_serial", "0x11"]);
    }
    let joined = |end: &str| {
        let [a, b] = ["root", "second"].map(|ca| folder.read(&format!("{ca}.{end}")));
        format!("\u{feff}{}\u{feff}{}", a.trim_end(), b.replace('\n', "\r\n  "))
    };
    folder.write("both.crt", &joined("crt"));
    folder.write("both.crl", &joined("crl"));
    let lists = format!("crl_file = {:?}", folder.text("both.crl"));
    let (_backend, server) = folder.server("both.crt", &lists);
    for ca in ["root", "second"] {
        get(&server, folder.0.path(), &format!("{ca}-good"), None, &[]).must_say("HTTP/1.1 200");
        let output = get(&server, folder.0.path(), &format!("{ca}-revoked"), None, &[]);
        assert!(output.all().contains("alert certificate revoked"), "{ca}: {}", output.all());
    }
}
