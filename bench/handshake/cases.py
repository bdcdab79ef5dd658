# SPDX-License-Identifier: MIT OR Apache-2.0
"""What is measured: the load of each case, as arguments of `ttls-load`."""

from dataclasses import dataclass, field

TERMINATING = ["ttls", "ttls-scalar", "nginx", "nginx-3.5", "haproxy", "hitch", "rustls"]
# Answering themselves, then as terminators before a backend, then without TLS. HAProxy answers the small request itself.
REQUESTS = ["ttls", "nginx", "nginx-3.5", "rustls", "haproxy", "ttls-proxy", "nginx-proxy", "hitch", "nginx-plain"]


# The server names that loads ask for.
NAME = "bench.example"
BULK = "bulk.bench.example"


@dataclass
class Case:
    """A load whose cost in CPU time is measured."""

    name: str
    title: str
    load: list
    peers: list = field(default_factory=lambda: TERMINATING)
    # What one is counted of: an operation, or a gigabyte received.
    unit: str = "operation"
    seconds: float | None = None  # None: as the run says


THROUGHPUT = [
    Case("tls13-x25519-ecdsa", "TLS 1.3 full, X25519, ECDSA P-256",
         ["--name", NAME, "--tls", "1.3", "--signature", "ecdsa", "--connections", "256"]),
    Case("tls13-x25519mlkem768-ecdsa", "TLS 1.3 full, X25519MLKEM768, ECDSA P-256",
         ["--name", NAME, "--tls", "1.3", "--signature", "ecdsa", "--group", "x25519mlkem768", "--connections", "256"]),
    Case("tls13-x25519-rsa2048", "TLS 1.3 full, X25519, RSA-2048",
         ["--name", NAME, "--tls", "1.3", "--signature", "rsa", "--connections", "256"]),
    Case("tls12-x25519-ecdsa", "TLS 1.2 full, X25519, ECDSA P-256",
         ["--name", NAME, "--tls", "1.2", "--signature", "ecdsa", "--connections", "256"]),
    Case("tls13-psk", "TLS 1.3 resumed, PSK with X25519",
         ["--name", NAME, "--tls", "1.3", "--signature", "ecdsa", "--resume", "--connections", "256"]),
    Case("tls12-ticket", "TLS 1.2 resumed, ticket",
         ["--name", NAME, "--tls", "1.2", "--signature", "ecdsa", "--resume", "--connections", "256"]),
    Case("request-1k", "New connection, TLS 1.3, one response of 1 KiB",
         ["--name", NAME, "--tls", "1.3", "--signature", "ecdsa", "--mode", "request", "--connections", "256"], REQUESTS),
    Case("keepalive-1k", "Responses of 1 KiB on 32 kept connections",
         ["--name", NAME, "--tls", "1.3", "--signature", "ecdsa", "--mode", "keepalive", "--connections", "32"], REQUESTS),
    Case("bulk-100m", "Download of 100 MB, AES-128-GCM: GB per CPU-second",
         ["--name", BULK, "--tls", "1.3", "--signature", "ecdsa", "--mode", "request", "--path", "/100m", "--connections", "2",
          "--count", "6"], REQUESTS, unit="GB", seconds=60),
]

IDLE_CONNECTIONS = 10_000
IDLE_PEERS = ["ttls", "ttls-proxy", "nginx", "nginx-3.5", "haproxy", "hitch", "rustls"]

# Offered load in the latency cases, as a share of what the server's core can do in the first case.
LATENCY_SHARES = [("latency-50", "at 50 % of its capacity", 0.5), ("latency-90", "at 90 % of its capacity", 0.9),
                  ("latency-300", "at 3 times its capacity", 3.0)]
LATENCY_PEERS = TERMINATING

# One connection after the other: what a batch engine must not make slower.
LONE = "latency-lone"
LONE_LOAD = ["--name", NAME, "--tls", "1.3", "--signature", "ecdsa", "--connections", "1"]
