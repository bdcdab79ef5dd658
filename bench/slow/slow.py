#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Slow readers: `slow.py TTLS RESULT.json READERS SECONDS`. They ask for 100 MB each and read 1 KB a second; what the server holds for
them is told, in its own memory and in the kernel's, and how long others wait meanwhile."""

import json
import re
import resource
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PORT = 18443
RATE = 1024
REQUEST = b"GET / HTTP/1.1\r\nHost: bench.example\r\n\r\n"
CONFIG = """listen = ["127.0.0.1:{port}"]
backend = "static:1MiB"
workers = 1
[[certificate]]
chain = "cert.pem"
key = "cert.key"
[[route]]
names = ["slow.bench.example"]
backend = "static:100000000"
[limits]
connections = {connections}
buffer_memory = "64MiB"
[timeouts]
idle = "10m"
"""


def main():
    program, result, readers, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    readers = min(readers, descriptors - 200)
    with tempfile.TemporaryDirectory() as folder:
        certificate(folder)
        Path(folder, "ttls.toml").write_text(CONFIG.format(port=PORT, connections=readers + 100))
        log = open(Path(folder, "log"), "w")
        server = subprocess.Popen([program, "serve", "--config", "ttls.toml"], cwd=folder, stdout=log, stderr=log)
        try:
            row = measure(server, readers, seconds)
        finally:
            server.terminate()
            server.wait()
    Path(result).write_text(json.dumps(row, indent=1) + "\n")
    for name, value in row.items():
        print(f"{name:28} {value}")


def certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                    "-subj", "/CN=bench.example", "-addext", "subjectAltName=DNS:bench.example,DNS:slow.bench.example",
                    "-keyout", "cert.key", "-out", "cert.pem"], cwd=folder, check=True, stderr=subprocess.DEVNULL)


def connect(name, buffer=None):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for attempt in range(100):
        raw = socket.socket()
        if buffer:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        raw.settimeout(60)
        try:
            # Sources of their own: one address has not that many ports.
            raw.connect(("127.0.0.1", PORT))
            return context.wrap_socket(raw, server_hostname=name)
        except ConnectionRefusedError:
            raw.close()
            time.sleep(0.1)
    sys.exit("the server does not listen")


def other():
    """Seconds in which a proper client gets its megabyte."""
    begun = time.monotonic()
    with connect("bench.example") as client:
        client.sendall(REQUEST.replace(b"1.1", b"1.0"))
        size = 0
        while data := client.recv(1 << 16):
            size += len(data)
    assert size > 1 << 20, size
    return time.monotonic() - begun


def resident(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) * 1024


def sockets():
    """Of the server's sockets: how many, bytes that wait in them, and memory that these take, the greatest too."""
    out = subprocess.run(["ss", "-tnmH", "state", "established", "sport", "=", f":{PORT}"], capture_output=True, text=True, check=True,
                         env={"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"}).stdout
    memory = [int(w) for w in re.findall(r"skmem:\(.*?,w(\d+),", out)]
    waiting = [int(line.split()[1]) for line in out.splitlines() if not line.startswith(("\t", " ")) or "127.0.0.1" in line]
    return len(memory), sum(waiting), max(waiting, default=0), sum(memory), max(memory, default=0)


def measure(server, readers, seconds):
    alone = sorted(other() for _ in range(9))[4]
    before = resident(server.pid)
    slow = []
    for _ in range(readers):
        client = connect("slow.bench.example", 4096)
        client.sendall(REQUEST)
        client.setblocking(False)
        slow.append(client)
    ready = resident(server.pid)
    others, got, end = [], 0, time.monotonic() + seconds
    while time.monotonic() < end:
        turn = time.monotonic()
        for client in slow:
            try:
                # What is under TLS: nobody looks at it.
                piece = socket.socket.recv(client, RATE)
            except BlockingIOError:
                continue
            if not piece:
                sys.exit("a slow reader was cut off")
            got += len(piece)
        others.append(other())
        time.sleep(max(0, turn + 1 - time.monotonic()))
    after = resident(server.pid)
    count, waiting, most, memory, most_memory = sockets()
    return {"readers": readers, "seconds": seconds, "read_bytes": got, "server_sockets": count,
            "server_bytes_each": round((after - before) / readers), "server_bytes_each_at_first": round((ready - before) / readers),
            "unsent_bytes_each": round(waiting / max(count, 1)), "unsent_bytes_most": most,
            "kernel_bytes_each": round(memory / max(count, 1)), "kernel_bytes_most": most_memory,
            "other_s_alone": round(alone, 4), "other_s_median": round(sorted(others)[len(others) // 2], 4),
            "other_s_most": round(max(others), 4)}


if __name__ == "__main__":
    main()
