# SPDX-License-Identifier: MIT OR Apache-2.0
"""The servers that are compared: how each is configured, started and asked for its version.

Each gets one worker, the same two certificates, the same groups and suites, the same two files to serve, session
tickets, TCP_DEFER_ACCEPT where it has it, a backlog of 4096 and no access log. Those that serve no files
(HAProxy for the large one, hitch, and "-proxy" on purpose) fetch them from one nginx, which runs beside the load
generator and is not measured.
"""

import os
import re
import resource
import signal
import socket
import subprocess
import time
from pathlib import Path

# A terminator needs two descriptors per connection.
FILES = min(50_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
CONNECTIONS = (FILES - 200) // 2
SUITES12 = ":".join(f"ECDHE-{key}-{cipher}" for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
                    for key in ("ECDSA", "RSA"))
SUITES13 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
BACKEND_PORT = 21080


class Peer:
    """A server under test. `port` is where it listens; `plain` says it speaks plain TCP there."""

    name = ""
    port = 0
    plain = False

    def __init__(self, root, core):
        self.root = root
        self.directory = root / self.name
        self.directory.mkdir(parents=True, exist_ok=True)
        self.core = core
        self.process = None

    def port_for(self, load):
        """Where this load goes."""
        return self.port

    def command(self):
        """Writes what the server needs and returns its command line."""
        raise NotImplementedError

    def version(self):
        """One line."""
        raise NotImplementedError

    def start(self):
        command = self.command()
        self.log = open(self.directory / "output.log", "wb")
        self.process = subprocess.Popen(
            ["taskset", "-c", str(self.core), "prlimit", f"--nofile={FILES}", *command],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True)
        for _ in range(200):
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                time.sleep(0.2)
                return
            except OSError:
                time.sleep(0.05)
        output = (self.directory / "output.log").read_text(errors="replace")
        self.stop()
        raise RuntimeError(f"{self.name} does not start:\n{output}")

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.process = None


def output(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout


class Nginx(Peer):
    name = "nginx"
    port = 21441
    groups = "X25519:prime256v1"

    def listen(self):
        return f"listen 127.0.0.1:{self.port} ssl deferred backlog=4096;"

    def location(self):
        return f"root {self.root}/www; open_file_cache max=10;"

    def tls(self):
        return f"""
    ssl_certificate {self.root}/ecdsa.pem;
    ssl_certificate_key {self.root}/ecdsa.key;
    ssl_certificate {self.root}/rsa.pem;
    ssl_certificate_key {self.root}/rsa.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers {SUITES12};
    ssl_conf_command Ciphersuites {SUITES13};
    ssl_ecdh_curve {self.groups};
    ssl_session_tickets on;
    ssl_session_cache off;"""

    def command(self):
        configuration = self.directory / "nginx.conf"
        configuration.write_text(f"""
{"user root;" if os.geteuid() == 0 else ""}
worker_processes 1;
daemon off;
pid {self.directory}/nginx.pid;
error_log {self.directory}/error.log error;
events {{ worker_connections {CONNECTIONS * 2}; multi_accept on; }}
http {{
    access_log off;
    server_tokens off;
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    client_body_temp_path {self.directory}/body;
    proxy_temp_path {self.directory}/proxy;
    fastcgi_temp_path {self.directory}/fastcgi;
    uwsgi_temp_path {self.directory}/uwsgi;
    scgi_temp_path {self.directory}/scgi;
    upstream backend {{ server 127.0.0.1:{BACKEND_PORT}; keepalive 64; }}
    server {{
        {self.listen()}{self.tls()}
        location / {{ {self.location()} }}
    }}
}}
""")
        return [*self.program(), "-e", f"{self.directory}/error.log", "-c", str(configuration)]

    def program(self):
        return ["nginx"]

    def version(self):
        found = output(*self.program(), "-V")
        openssl = re.search(r"running with (OpenSSL \S+)", found) or re.search(r"built with (OpenSSL \S+)", found)
        return "{}, {}".format(re.search(r"nginx/\S+", found)[0], openssl[1])


class Nginx35(Nginx):
    """nginx with OpenSSL 3.5, of the next Debian: it runs from where it was unpacked, with that Debian's C library."""

    name = "nginx-3.5"
    port = 21450
    groups = "X25519MLKEM768:X25519:prime256v1"

    def program(self):
        debian = os.environ["NEXT_DEBIAN"]
        return [f"{debian}/usr/lib64/ld-linux-x86-64.so.2", "--library-path", f"{debian}/usr/lib/x86_64-linux-gnu",
                f"{debian}/usr/sbin/nginx"]


class NginxProxy(Nginx):
    """nginx as a terminator before the same backend, for the bulk and keep-alive cases."""

    name = "nginx-proxy"
    port = 21442

    def location(self):
        return "proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection '';"


class NginxPlain(Nginx):
    """nginx without TLS: the floor of what the kernel's TCP and an HTTP server cost."""

    name = "nginx-plain"
    port = 21081
    plain = True

    def listen(self):
        return f"listen 127.0.0.1:{self.port} deferred backlog=4096;"

    def tls(self):
        return ""


class Backend(NginxPlain):
    name = "backend"
    port = BACKEND_PORT


class Haproxy(Peer):
    name = "haproxy"
    port = 21443

    def command(self):
        configuration = self.directory / "haproxy.cfg"
        # HAProxy takes a certificate and its key from one file, several keys by their names' endings.
        for kind in ("ecdsa", "rsa"):
            bundle = (self.root / f"{kind}.pem").read_text() + (self.root / f"{kind}.key").read_text()
            (self.directory / f"server.pem.{kind}").write_text(bundle)
        configuration.write_text(f"""
global
    nbthread 1
    maxconn {CONNECTIONS}
    ssl-load-extra-files bundle
    tune.ssl.cachesize 0
    tune.bufsize 32768
defaults
    mode http
    timeout connect 10s
    timeout client 1h
    timeout server 1h
    timeout http-request 1h
frontend tls
    bind 127.0.0.1:{self.port} ssl crt {self.directory}/server.pem ssl-min-ver TLSv1.2 curves X25519:P-256 ciphers {SUITES12} ciphersuites {SUITES13} alpn http/1.1 defer-accept backlog 4096
    http-request return status 200 content-type text/html file {self.root}/www/index.html if {{ path / }}
    default_backend files
backend files
    server nginx 127.0.0.1:{BACKEND_PORT}
""")
        return ["haproxy", "-db", "-f", str(configuration)]

    def version(self):
        found = output("haproxy", "-vv")
        openssl = re.search(r"Running on OpenSSL version : (OpenSSL \S+)", found)
        return "HAProxy {}, {}".format(re.search(r"version (\S+)", found)[1], openssl[1])


class Hitch(Peer):
    name = "hitch"
    port = 21444
    # It chooses among certificates by name only, so the RSA one listens elsewhere.
    rsa_port = 21449

    def port_for(self, load):
        return self.rsa_port if "rsa" in load else self.port

    def command(self):
        configuration = self.directory / "hitch.conf"
        for kind in ("ecdsa", "rsa"):
            bundle = (self.root / f"{kind}.key").read_text() + (self.root / f"{kind}.pem").read_text()
            (self.directory / f"{kind}.pem").write_text(bundle)
        user = 'user = "nobody"\ngroup = "nogroup"' if os.geteuid() == 0 else ""
        configuration.write_text(f"""
frontend = {{
    host = "127.0.0.1"
    port = "{self.port}"
    pem-file = "{self.directory}/ecdsa.pem"
}}
frontend = {{
    host = "127.0.0.1"
    port = "{self.rsa_port}"
    pem-file = "{self.directory}/rsa.pem"
}}
backend = "[127.0.0.1]:{BACKEND_PORT}"
tls-protos = TLSv1.2 TLSv1.3
ciphers = "{SUITES12}"
ciphersuites = "{SUITES13}"
ecdh-curve = "X25519:prime256v1"
alpn-protos = "http/1.1"
workers = 1
backlog = 4096
keepalive = 3600
quiet = on
syslog = off
daemon = off
{user}
""")
        return ["hitch", "--config", str(configuration)]

    def version(self):
        return output("hitch", "-V").strip().splitlines()[0]


class Rustls(Peer):
    name = "rustls"
    port = 21445

    def command(self):
        return [os.environ["RUSTLS_SERVER"], f"127.0.0.1:{self.port}", str(self.root / "www"),
                str(self.root / "ecdsa.pem"), str(self.root / "ecdsa.key"),
                str(self.root / "rsa.pem"), str(self.root / "rsa.key")]

    def version(self):
        lock = (Path(__file__).parent.parent / "rustls-server/Cargo.lock").read_text()
        found = dict(re.findall(r'name = "(rustls|aws-lc-rs)"\nversion = "(.*)"', lock))
        return f"rustls {found['rustls']}, aws-lc-rs {found['aws-lc-rs']}"


class Ttls(Peer):
    name = "ttls"
    port = 21446
    environment = {}
    backend = "static:1KiB"
    bulk = "static:100000000"

    def command(self):
        configuration = self.directory / "ttls.toml"
        configuration.write_text(f"""
listen = ["127.0.0.1:{self.port}"]
backend = "{self.backend}"
workers = 1
backlog = 4096

[[route]]
names = ["bulk.bench.example"]
backend = "{self.bulk}"

[[certificate]]
chain = "{self.root}/ecdsa.pem"
key = "{self.root}/ecdsa.key"
default = true

[[certificate]]
chain = "{self.root}/rsa.pem"
key = "{self.root}/rsa.key"

[tls]
alpn = ["http/1.1"]

[timeouts]
idle = "1h"

[log]
connections = "off"
""")
        environment = [f"{name}={value}" for name, value in self.environment.items()]
        return ["env", *environment, os.environ["TTLS"], "serve", "--config", str(configuration)]

    def version(self):
        commit = output("git", "describe", "--always", "--dirty").strip()
        return f"ttls {commit}"


class TtlsScalar(Ttls):
    """ttls with batching switched off."""

    name = "ttls-scalar"
    port = 21447
    environment = {"TTLS_CPU": "scalar"}


class TtlsProxy(Ttls):
    """ttls as a terminator before the same backend as the others."""

    name = "ttls-proxy"
    port = 21448
    backend = bulk = f"127.0.0.1:{BACKEND_PORT}"


ALL = [Ttls, TtlsScalar, TtlsProxy, Nginx, Nginx35, NginxProxy, NginxPlain, Haproxy, Hitch, Rustls]
