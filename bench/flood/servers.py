# SPDX-License-Identifier: MIT OR Apache-2.0
"""The servers that are attacked, each with what it has against floods.

What can only be chosen when its capacity is known (queues, rates) is chosen from that: `capacity` is what the same server
has served of new clients in a second, with the same share of a CPU and nothing in their way.
"""

import os
import re
import resource
import urllib.request

import peers
from share import Share

# A server's own descriptors: as many as there may be, so that this is not what ends a flood.
FILES = min(200_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
# Seconds of work that may wait where a server has a queue to be set.
QUEUE = 0.25
# Connections that are kept, at most.
KEPT = 64


class Server:
    """What a server of bench/handshake needs beside that."""

    # Set by the driver.
    quota, period = 1000, 10_000
    capacity = None
    # While it runs.
    share = None

    def start(self):
        self.share = Share(self.name, self.quota, self.period)
        self.share.open()
        peers.FILES = FILES
        # If that fails, it has called stop().
        super().start()

    def stop(self):
        super().stop()
        if self.share is not None:
            self.share.close()
            self.share = None

    def command(self):
        # Asked for its version, it has no share yet.
        return self.share.enter(super().command())

    def waiting(self):
        """Connections that may wait."""
        return max(32, round((self.capacity or 1000) * QUEUE))

    def metrics(self):
        """Counters by name, if the server tells."""
        return {}


class Ttls(Server, peers.Ttls):
    """`ttls serve` with its defaults."""

    port = 21561
    metrics_port = 21571
    flags = []

    def command(self):
        keys = ["--metrics.listen", f"127.0.0.1:{self.metrics_port}", *self.flags]
        configuration = self.directory / "ttls.toml"
        text = super().command() + keys
        # bench/handshake's configuration sets the queue's length: here the default counts.
        configuration.write_text(configuration.read_text().replace("backlog = 4096\n", ""))
        return text

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        return {name: float(value) for name, value in re.findall(r"^(ttls_\S+) (\S+)$", text, re.M)}


class Nginx(Server, peers.Nginx):
    """nginx with a short queue. It accepts one connection at a time and computes its handshake at once, so all wait in the
    kernel's queue, and that is what has to be short."""

    port = 21562

    def listen(self):
        # Reset what waits in vain instead of keeping it.
        return (f"listen 127.0.0.1:{self.port} ssl deferred backlog={self.waiting()};\n"
                "        client_header_timeout 3s; reset_timedout_connection on; lingering_close off;\n"
                "        limit_conn perip 50;")

    def command(self):
        command = super().command()
        configuration = self.directory / "nginx.conf"
        text = configuration.read_text()
        text = re.sub(r"events \{[^}]*\}", f"events {{ worker_connections {FILES // 2}; multi_accept off; }}", text)
        text = text.replace("http {", "http {\n    limit_conn_zone $binary_remote_addr zone=perip:10m;", 1)
        configuration.write_text(text)
        return command


def unpacked(program):
    sid = os.environ["SID"]
    libraries = ":".join(f"{sid}/usr/lib/x86_64-linux-gnu{more}" for more in ("", "/systemd"))
    return [f"{sid}/usr/lib64/ld-linux-x86-64.so.2", "--library-path", libraries, f"{sid}/usr/sbin/{program}"]


class Nginx130(Nginx):
    """The same, of Debian's unstable release."""

    name = "nginx-1.30"
    port = 21563
    groups = "X25519MLKEM768:X25519:prime256v1"

    def program(self):
        return unpacked("nginx")


class Haproxy(Server, peers.Haproxy):
    """HAProxy with rules by source, and as much of a queue as nginx."""

    name = "haproxy"
    port = 21564

    def command(self):
        command = super().command()
        configuration = self.directory / "haproxy.cfg"
        text = configuration.read_text()
        text = re.sub(r"    maxconn \d+\n", f"    maxconn {KEPT + self.waiting()}\n" + self.rate(), text)
        text = text.replace("timeout http-request 1h", "timeout http-request 3s\n    option abortonclose")
        text = text.replace("defer-accept backlog 4096", f"defer-accept backlog {self.waiting()}")
        text = text.replace("    http-request return", f"{self.rules()}    http-request return", 1)
        configuration.write_text(text)
        return [*command[:command.index("haproxy")], *unpacked("haproxy"), *command[command.index("haproxy") + 1:]]

    def rate(self):
        # As many handshakes as it can compute, and not one more: those above wait in the kernel.
        return f"    maxsslrate {max(1, round(self.capacity * 0.9))}\n" if self.capacity else ""

    def rules(self):
        return ("    stick-table type ip size 1m expire 30s store conn_rate(10s),conn_cur\n"
                "    tcp-request connection track-sc0 src\n"
                "    tcp-request connection reject if { sc0_conn_rate gt 50 } || { sc0_conn_cur gt 50 }\n")

    def version(self):
        found = peers.output(*unpacked("haproxy"), "-vv")
        openssl = re.search(r"Running on SSL library version : (OpenSSL \S+)", found)
        return "HAProxy {}, {}".format(re.search(r"version (\S+)", found)[1], openssl[1])


class HaproxyPlain(Haproxy):
    """HAProxy with the same queue and without the rules and the rate."""

    name = "haproxy-plain"
    port = 21565

    def rate(self):
        return ""

    def rules(self):
        return ""


class Rustls(Server, peers.Rustls):
    """As it is."""

    port = 21566


ALL = [Ttls, Nginx, Nginx130, Haproxy, HaproxyPlain, Rustls]
