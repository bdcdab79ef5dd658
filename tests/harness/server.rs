// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ttls serve` under test: started with a configuration, waited for, its log kept, ended with the test.

use crate::backend::{self, Backend};
use crate::pki::{pki, target_dir};
use rustix::process::{Pid, Signal, kill_process};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take that the server does at once, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program under test, built from this workspace unless `TTLS_PROGRAM` names another.
pub fn program() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM
        .get_or_init(|| {
            if let Some(path) = std::env::var_os("TTLS_PROGRAM") {
                return path.into();
            }
            let mut build = Command::new(env!("CARGO"));
            build.args(["build", "--quiet", "-p", "ttls-server", "--target-dir"]).arg(target_dir());
            assert!(build.status().expect("cargo runs").success(), "the program under test does not build");
            target_dir().join("debug/ttls")
        })
        .clone()
}

/// A configuration file in the making.
#[derive(Clone)]
pub struct Config {
    top: String,
    certificates: String,
    tables: String,
}

impl Config {
    /// Connections go to `backend`, announced by PROXY v2; the certificate is ECDSA; every error is logged.
    pub fn new(backend: &Backend) -> Self {
        Self::bare(&backend_text(&backend.address))
            .certificate("ecdsa.pem", "ecdsa.key")
            .table("[proxy_protocol]\nto_backend = \"v2\"")
            .table("[log]\nerrors_per_second = 0")
    }

    /// Nothing but where connections go.
    pub fn bare(backend: &str) -> Self {
        Self { top: format!("backend = {backend:?}\n"), certificates: String::new(), tables: String::new() }
    }

    /// Replaces the certificates so far by none.
    pub fn without_certificates(mut self) -> Self {
        self.certificates.clear();
        self
    }

    /// Adds a certificate by file names of [`crate::pki`].
    pub fn certificate(self, chain: &str, key: &str) -> Self {
        self.certificate_with(chain, key, "")
    }

    /// The same with more keys of the `[[certificate]]` table.
    pub fn certificate_with(mut self, chain: &str, key: &str, more: &str) -> Self {
        let (chain, key) = (pki().text(chain), pki().text(key));
        writeln!(self.certificates, "[[certificate]]\nchain = {chain:?}\nkey = {key:?}\n{more}")
            .expect("a string");
        self
    }

    /// Adds top-level lines.
    pub fn top(mut self, lines: &str) -> Self {
        self.top = self.top + lines + "\n";
        self
    }

    /// Adds a table, or replaces the one of that name.
    pub fn table(mut self, text: &str) -> Self {
        let name = text.lines().next().expect("a table's name");
        if let Some(at) = self.tables.find(name) {
            let end = self.tables[at + 1..].find("\n[").map_or(self.tables.len(), |n| at + 2 + n);
            self.tables.replace_range(at..end, "");
        }
        self.tables = self.tables + text + "\n";
        self
    }

    fn text(&self, listen: &str, metrics: SocketAddr) -> String {
        let Self { top, certificates, tables } = self;
        let listen =
            if top.contains("listen =") { String::new() } else { format!("listen = [{listen:?}]\n") };
        format!("{listen}{top}{certificates}{tables}[metrics]\nlisten = \"{metrics}\"\n")
    }
}

/// A backend's address as the configuration writes it.
pub fn backend_text(address: &backend::Address) -> String {
    match address {
        backend::Address::Tcp(address) => address.to_string(),
        backend::Address::Unix(path) => format!("unix:{}", path.display()),
    }
}

/// A running `ttls serve`; killed when dropped.
pub struct Server {
    /// Where it listens for TLS.
    pub address: SocketAddr,
    /// Where it answers with metrics.
    pub metrics: SocketAddr,
    /// A folder of its own, with its configuration `ttls.toml`.
    pub dir: tempfile::TempDir,
    child: Child,
    /// Who has taken over from the child.
    successor: Option<Pid>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts it and waits until it serves.
    #[track_caller]
    pub fn start(config: &Config) -> Self {
        Self::start_with(config, &[])
    }

    /// The same with more arguments.
    #[track_caller]
    pub fn start_with(config: &Config, arguments: &[&str]) -> Self {
        Self::spawn(Command::new(program()), config, arguments, Stdio::piped())
    }

    /// The same with another standard error, which is not kept.
    #[track_caller]
    pub fn start_into(config: &Config, stderr: Stdio) -> Self {
        Self::spawn(Command::new(program()), config, &[], stderr)
    }

    /// The same for a process that may have so many descriptors.
    #[track_caller]
    pub fn start_with_descriptors(config: &Config, descriptors: usize) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -n $0 && exec \"$@\"", &descriptors.to_string()]).arg(program());
        Self::spawn(command, config, &[], Stdio::piped())
    }

    /// The same for a process that sees this file as /etc/hosts: only root can.
    #[track_caller]
    pub fn start_with_hosts(config: &Config, hosts: &Path) -> Self {
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", "mount --bind \"$0\" /etc/hosts && exec \"$@\""]);
        command.arg(hosts).arg(program());
        Self::spawn(command, config, &[], Stdio::piped())
    }

    #[track_caller]
    fn spawn(mut command: Command, config: &Config, arguments: &[&str], stderr: Stdio) -> Self {
        let host = own_host();
        let (address, metrics) = (SocketAddr::new(host, 8443), SocketAddr::new(host, 9443));
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("ttls.toml");
        fs::write(&file, config.text(&address.to_string(), metrics)).expect("write the configuration");

        command.args(["serve", "--config"]).arg(file).args(arguments);
        let mut child = command.stdin(Stdio::null()).stderr(stderr).spawn().expect("the program runs");
        let log = Arc::new(Mutex::new(Vec::new()));
        if let Some(stderr) = child.stderr.take() {
            let lines = log.clone();
            thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    lock(&lines).push(line);
                }
            });
        }
        let mut server = Self { address, metrics, dir, child, successor: None, log };
        server.wait("it to answer on its metrics address", |s| {
            assert_eq!(
                s.child.try_wait().expect("wait"),
                None,
                "ttls serve ended at once:\n{}",
                s.log_text()
            );
            TcpStream::connect(s.metrics).is_ok()
        });
        server
    }

    /// Replaces the configuration file and asks for a reload.
    pub fn reload(&self, config: &Config) {
        self.write(config);
        self.signal(Signal::HUP);
    }

    /// Replaces the configuration file.
    pub fn write(&self, config: &Config) {
        let file = self.dir.path().join("ttls.toml");
        fs::write(file, config.text(&self.address.to_string(), self.metrics))
            .expect("write the configuration");
    }

    /// Sends it a signal; once there is a successor, to that.
    pub fn signal(&self, signal: Signal) {
        let pid = self.successor.unwrap_or_else(|| Pid::from_child(&self.child));
        kill_process(pid, signal).expect("signal the server");
    }

    /// Lets a new process take over, and waits until the old one drains.
    #[track_caller]
    pub fn upgrade(&mut self) {
        self.signal(Signal::USR2);
        self.logged(&["event=drain"]);
        let log = self.log_text();
        let line = log.lines().rfind(|line| line.contains("event=listening")).expect("it listens");
        let id = line.split_once("pid=").and_then(|(_, rest)| rest.split(' ').next()).map(str::parse);
        self.successor = Some(id.and_then(Result::ok).and_then(Pid::from_raw).expect("a process"));
    }

    /// Waits for the end of the process it was started with.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        self.wait("its end", |s| {
            status = s.child.try_wait().expect("wait");
            status.is_some()
        });
        status.expect("it ended")
    }

    /// Number of the process it was started with.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Is it still running?
    pub fn alive(&mut self) -> bool {
        self.child.try_wait().expect("wait").is_none()
    }

    /// Everything logged so far.
    pub fn log_text(&self) -> String {
        lock(&self.log).join("\n")
    }

    /// Waits for a log line that contains all of `needles`.
    #[track_caller]
    pub fn logged(&mut self, needles: &[&str]) -> String {
        let mut found = None;
        self.wait(&format!("a log line with {needles:?}"), |s| {
            found = lock(&s.log).iter().find(|l| needles.iter().all(|n| l.contains(n))).cloned();
            found.is_some()
        });
        found.expect("found")
    }

    /// Waits for the line of the connection that came from `peer`.
    #[track_caller]
    pub fn logged_connection(&mut self, peer: SocketAddr) -> String {
        self.logged(&[&format!("peer={peer} ")])
    }

    /// Waits until `done` says so.
    #[track_caller]
    pub fn wait(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(
                Instant::now() < deadline,
                "waited {PATIENCE:?} for {what}; the log:\n{}",
                self.log_text()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Resident memory in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the server runs");
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Open file descriptors.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("the server runs").count()
    }

    /// The metrics page.
    pub fn metrics_text(&self) -> String {
        let mut stream = TcpStream::connect(self.metrics).expect("connect to the metrics address");
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").expect("send");
        let mut page = String::new();
        stream.read_to_string(&mut page).expect("receive");
        page
    }

    /// The sum of a metric over its labels.
    #[track_caller]
    pub fn metric(&self, name: &str) -> f64 {
        let page = self.metrics_text();
        let values: Vec<f64> = page
            .lines()
            .filter(|l| l.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])))
            .map(|l| l.rsplit(' ').next().and_then(|v| v.parse().ok()).expect("a value"))
            .collect();
        assert!(!values.is_empty(), "no metric {name} in:\n{page}");
        values.iter().sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(successor) = self.successor {
            let _ = kill_process(successor, Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let log = self.log_text();
        if thread::panicking() {
            eprintln!("--- the server's log ---\n{log}");
        } else {
            assert!(!log.contains("panicked"), "the server panicked:\n{log}");
        }
    }
}

/// A loopback address that no other server of these tests has: tests run at the same time.
fn own_host() -> IpAddr {
    static COUNT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 1 + high % 200, low, COUNT.fetch_add(1, Ordering::SeqCst)).into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
