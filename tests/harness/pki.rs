// SPDX-License-Identifier: MIT OR Apache-2.0
//! Certificates and keys, made by `openssl` when the first test needs them, in every format that
//! operators have.
//!
//! They stay under the target directory, so that a thousand tests do not wait for RSA-4096 keys.

use crate::process::run;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The name that the certificates below are valid for; `*.wild.test` and `other.test` have their own.
pub const NAME: &str = "ttls.test";
/// A second name, with a certificate of its own.
pub const OTHER: &str = "other.test";

/// Bump when the contents change: an old directory is then left alone.
const VERSION: &str = "1";

/// The folder with all of it.
pub struct Pki {
    dir: PathBuf,
}

/// The certificates and keys, made on first use.
pub fn pki() -> &'static Pki {
    static PKI: OnceLock<Pki> = OnceLock::new();
    PKI.get_or_init(|| {
        let dir = target_dir().join(format!("test-pki-{VERSION}"));
        if !dir.is_dir() {
            // Made aside and renamed, so that test processes running at once never see half of it.
            let aside = tempfile::tempdir_in(target_dir()).expect("a directory in the target directory");
            make(aside.path());
            let aside = aside.keep();
            if fs::rename(&aside, &dir).is_err() {
                fs::remove_dir_all(&aside).expect("another process was first");
            }
        }
        Pki { dir }
    })
}

impl Pki {
    /// A file by its name; see the code of this module for what there is.
    #[track_caller]
    pub fn path(&self, name: &str) -> PathBuf {
        let path = self.dir.join(name);
        assert!(path.is_file(), "{} is not among the test certificates", path.display());
        path
    }

    /// The same as text, for command lines.
    #[track_caller]
    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8 path").to_owned()
    }

    /// The root that clients trust.
    pub fn root(&self) -> String {
        self.text("root.pem")
    }
}

/// The build's target directory: where this test program itself lies in `<target>/<profile>/deps`.
pub fn target_dir() -> PathBuf {
    let program = std::env::current_exe().expect("own path");
    program.ancestors().nth(3).expect("a test lies three levels down in the target directory").to_owned()
}

/// Every leaf certificate: file stem, key, names.
const LEAVES: &[(&str, &[&str], &str)] = &[
    (
        "ecdsa",
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        "DNS:ttls.test,DNS:localhost,IP:127.0.0.1",
    ),
    ("rsa2048", &["-newkey", "rsa:2048"], "DNS:ttls.test,DNS:localhost,IP:127.0.0.1"),
    ("rsa3072", &["-newkey", "rsa:3072"], "DNS:ttls.test"),
    ("rsa4096", &["-newkey", "rsa:4096"], "DNS:ttls.test"),
    ("wild", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "DNS:*.wild.test"),
    ("other", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "DNS:other.test"),
    ("p384", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"], "DNS:ttls.test"),
];

fn make(dir: &Path) {
    root(dir, "root", "ttls test root");
    issue(
        dir,
        "root",
        "intermediate",
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        CA_EXTENSIONS,
    );
    for (stem, key, names) in LEAVES {
        issue(
            dir,
            "intermediate",
            stem,
            key,
            &format!("subjectAltName={names}\nextendedKeyUsage=serverAuth\n"),
        );
        // What a server sends: the leaf and the intermediate.
        let chain = [format!("{stem}.crt"), "intermediate.crt".into()].map(|f| read(dir, &f)).concat();
        fs::write(dir.join(format!("{stem}.pem")), chain).expect("write");
    }
    fs::copy(dir.join("root.crt"), dir.join("root.pem")).expect("copy");

    // The other key formats: openssl req writes PKCS#8.
    openssl(dir, &["ec", "-in", "ecdsa.key", "-out", "ecdsa.sec1.key"]);
    openssl(dir, &["rsa", "-in", "rsa2048.key", "-traditional", "-out", "rsa2048.pkcs1.key"]);

    clients(dir);
    staple(dir);
}

const CA_EXTENSIONS: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n";

/// Client certificates: one good, one revoked, one of a stranger; and the revocation list.
fn clients(dir: &Path) {
    root(dir, "client-ca", "ttls test client CA");
    root(dir, "stranger-ca", "a CA that the server does not trust");
    let client = "extendedKeyUsage=clientAuth\n";
    for (issuer, stem) in [("client-ca", "client"), ("client-ca", "revoked"), ("stranger-ca", "stranger")] {
        issue(dir, issuer, stem, &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], client);
    }
    issue(dir, "client-ca", "client-rsa", &["-newkey", "rsa:2048"], client);

    fs::write(dir.join("crl.txt"), "").expect("write");
    fs::write(dir.join("crlnumber"), "01\n").expect("write");
    let config = "[ca]\ndefault_ca=c\n[c]\ndatabase=crl.txt\ncrlnumber=crlnumber\ndefault_md=sha256\ndefault_crl_days=3650\n";
    fs::write(dir.join("crl.cnf"), config).expect("write");
    let ca = ["ca", "-config", "crl.cnf", "-cert", "client-ca.crt", "-keyfile", "client-ca.key"];
    openssl(dir, &[&ca[..], &["-revoke", "revoked.crt"]].concat());
    openssl(dir, &[&ca[..], &["-gencrl", "-out", "crl.pem"]].concat());
}

/// An OCSP response that says the ECDSA certificate is good.
fn staple(dir: &Path) {
    let serial = run(
        Command::new("openssl").args(["x509", "-in", "ecdsa.crt", "-noout", "-serial"]).current_dir(dir),
        b"",
    );
    let serial = serial.stdout.trim().trim_start_matches("serial=").to_owned();
    fs::write(dir.join("ocsp.txt"), format!("V\t350101000000Z\t\t{serial}\tunknown\t/CN=ecdsa\n"))
        .expect("write");
    let issuer = ["-issuer", "intermediate.crt", "-cert", "ecdsa.crt"];
    openssl(dir, &[&["ocsp"], &issuer[..], &["-reqout", "ocsp.req", "-no_nonce"]].concat());
    let signer = [
        "-index",
        "ocsp.txt",
        "-CA",
        "intermediate.crt",
        "-rsigner",
        "intermediate.crt",
        "-rkey",
        "intermediate.key",
    ];
    openssl(
        dir,
        &[&["ocsp"], &signer[..], &["-reqin", "ocsp.req", "-respout", "ocsp.der", "-ndays", "3650"]].concat(),
    );
}

fn root(dir: &Path, stem: &str, name: &str) {
    let subject = format!("/O=ttls tests/CN={name}");
    let (key, crt) = (format!("{stem}.key"), format!("{stem}.crt"));
    openssl(
        dir,
        &["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days", "3650"]
            .into_iter()
            .chain(["-subj", &subject, "-keyout", &key, "-out", &crt])
            .chain(["-addext", "keyUsage=critical,keyCertSign,cRLSign"])
            .collect::<Vec<_>>(),
    );
}

fn issue(dir: &Path, issuer: &str, stem: &str, key: &[&str], extensions: &str) {
    let [csr, crt, private, ext] = ["csr", "crt", "key", "ext"].map(|end| format!("{stem}.{end}"));
    let (ca, ca_key) = (format!("{issuer}.crt"), format!("{issuer}.key"));
    let subject = format!("/O=ttls tests/CN={stem}");
    fs::write(dir.join(&ext), extensions).expect("write");
    openssl(
        dir,
        &[&["req", "-nodes"], key, &["-subj", &subject, "-keyout", &private, "-out", &csr]].concat(),
    );
    let sign =
        ["x509", "-req", "-days", "3650", "-CAcreateserial", "-in", &csr, "-out", &crt, "-extfile", &ext];
    openssl(dir, &[&sign[..], &["-CA", &ca, "-CAkey", &ca_key]].concat());
}

fn read(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join(name)).expect("just made")
}

#[track_caller]
fn openssl(dir: &Path, arguments: &[&str]) {
    let output = run(Command::new("openssl").args(arguments).current_dir(dir), b"");
    assert!(output.success, "openssl {arguments:?}:\n{output:#?}");
}
