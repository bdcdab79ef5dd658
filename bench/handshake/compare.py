#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Compares `ttls serve` with other TLS servers: `make bench-handshake`. BENCHMARKS.md explains the method."""

import argparse
import datetime
import json
import os
import platform
import random
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cases
import cpu
import peers
import plot

ROOT = Path(__file__).resolve().parent.parent.parent
OUTPUT = ROOT / "target/bench"


def main():
    arguments = parse()
    work = OUTPUT / "handshake"
    (work / "www").mkdir(parents=True, exist_ok=True)
    prepare(work)
    bench = Bench(arguments, work)
    try:
        bench.start()
        bench.run()
    finally:
        bench.stop()
    result = bench.result()
    (OUTPUT / "handshake.json").write_text(json.dumps(result, indent=1) + "\n")
    print(table(result))
    plot.write(result, OUTPUT / "handshake.svg")
    print(f"\nWritten: {OUTPUT}/handshake.json, {OUTPUT}/handshake.svg")


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of all peers and cases (default 5)")
    parser.add_argument("--seconds", type=float, default=1.5, help="of load per peer, case and round (default 1.5)")
    parser.add_argument("--cases", default="", help="comma-separated names; default: all")
    parser.add_argument("--peers", default="", help="comma-separated names; default: all")
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1)
    return parser.parse_args()


def certificates(work):
    """One of each kind of key, self-signed, in the folder `work`."""
    if not (work / "rsa.pem").exists():
        for name, key in (("ecdsa", ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]), ("rsa", ["rsa:2048"])):
            subprocess.run(["openssl", "req", "-x509", "-newkey", *key, "-sha256", "-nodes", "-days", "3650",
                            "-subj", "/CN=bench.example", "-addext", "subjectAltName=DNS:bench.example",
                            "-keyout", work / f"{name}.key", "-out", work / f"{name}.pem"],
                           check=True, capture_output=True)


def prepare(work):
    """Certificates and files to serve."""
    certificates(work)
    # hitch reads its keys before it becomes nobody, HAProxy and nginx as root.
    (work / "www/index.html").write_bytes(b"x" * 1024)
    if not (work / "www/100m").exists():
        (work / "www/100m").write_bytes(bytes(100_000_000))


class Bench:
    def __init__(self, arguments, work):
        self.arguments = arguments
        self.work = work
        chosen_peers = arguments.peers.split(",") if arguments.peers else [peer.name for peer in peers.ALL]
        self.peers = {kind.name: kind(work, arguments.server_core) for kind in peers.ALL if kind.name in chosen_peers}
        self.chosen_cases = set(filter(None, arguments.cases.split(",")))
        self.backend = peers.Backend(work, arguments.load_core)
        self.rounds = {}  # (case, peer) -> list of measurements
        self.cannot = {}  # (case, peer) -> why

    def start(self):
        self.backend.start()
        for peer in self.peers.values():
            peer.start()

    def stop(self):
        for peer in [*self.peers.values(), self.backend]:
            peer.stop()

    def wanted(self, case):
        return not self.chosen_cases or case in self.chosen_cases

    def run(self):
        started = time.monotonic()
        for number in range(self.arguments.rounds):
            work = [(case, name) for case in cases.THROUGHPUT if self.wanted(case.name)
                    for name in case.peers if name in self.peers]
            random.shuffle(work)
            for done, (case, name) in enumerate(work):
                progress(f"round {number + 1}/{self.arguments.rounds}, {done + 1}/{len(work)}: {case.name} {name}", started)
                self.throughput(case, self.peers[name])
        for share_case, _, share in cases.LATENCY_SHARES:
            if self.wanted(share_case):
                for number in range(min(3, self.arguments.rounds)):
                    for name in cases.LATENCY_PEERS:
                        if name in self.peers:
                            progress(f"{share_case}, round {number + 1}: {name}", started)
                            self.latency(share_case, share, self.peers[name])
        if self.wanted(cases.LONE):
            for number in range(self.arguments.rounds):
                for name in cases.LATENCY_PEERS:
                    if name in self.peers:
                        progress(f"{cases.LONE}, round {number + 1}: {name}", started)
                        self.lone(self.peers[name])
        if self.wanted("idle-memory"):
            for name in cases.IDLE_PEERS:
                if name in self.peers:
                    progress(f"idle-memory: {name}", started)
                    self.idle(self.peers[name])
        progress("done", started)

    def load(self, peer, load, seconds):
        """Runs `ttls-load`; its result and what the server used meanwhile, or None and why not."""
        tls = ["--tls", "none"] if peer.plain else []
        load = [*strip_tls(load), *tls] if peer.plain else load
        with tempfile.NamedTemporaryFile(dir=self.work, suffix=".json") as result:
            command = ["taskset", "-c", str(self.arguments.load_core), os.environ["TTLS_LOAD"],
                       "--seconds", str(seconds), *load, "--json", result.name, f"127.0.0.1:{peer.port_for(load)}"]
            pids = cpu.tree(peer.process.pid)
            before, modes = cpu.nanoseconds(pids), cpu.user_and_system(pids)
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            time.sleep(0.05)
            used = cpu.nanoseconds(pids) - before
            user, system = (after - start for after, start in zip(cpu.user_and_system(pids), modes))
            if done.returncode != 0:
                return None, done.stderr.strip()
            result = json.loads(Path(result.name).read_text())
        if result["failed"] > result["started"] / 100 and "--rate" not in load:
            return None, f"{result['failed']} connections of {result['started']} failed: {result['failures']}"
        result["cpu_s"] = used / 1e9
        result["system_share"] = system / (user + system) if user + system else None
        return result, None

    def throughput(self, case, peer):
        result, why = self.load(peer, case.load, case.seconds or self.arguments.seconds)
        key = (case.name, peer.name)
        if result is None:
            self.cannot[key] = why
            return
        if "--resume" in case.load and result["resumed"] < result["handshakes"] * 0.99:
            self.cannot[key] = f"resumed only {result['resumed']} of {result['handshakes']}"
            return
        count = result["bytes"] / 1e9 if case.unit == "GB" else result["operations"]
        self.rounds.setdefault(key, []).append({
            "per_cpu_s": count / result["cpu_s"],
            "per_s": count / result["seconds"],
            "cpu_us": result["cpu_s"] / count * 1e6,
            "system_share": result["system_share"],
            "client_cpu_us": result["client_cpu_s"] / count * 1e6,
            "operations": result["operations"],
        })

    def latency(self, name, share, peer):
        full = self.rounds.get((cases.THROUGHPUT[0].name, peer.name))
        if not full:
            self.cannot[(name, peer.name)] = f"needs {cases.THROUGHPUT[0].name}"
            return
        capacity = statistics.median(measured["per_cpu_s"] for measured in full)
        rate = round(capacity * share)
        load = [*cases.THROUGHPUT[0].load, "--rate", str(rate), "--timeout", "3"]
        result, why = self.load(peer, load, 2)
        if result is None:
            self.cannot[(name, peer.name)] = why
            return
        latency = result["handshake_latency_us"]
        self.rounds.setdefault((name, peer.name), []).append({
            "rate": rate,
            "reached_rate": result["started"] / 2,
            "latest_start_us": result["latest_start_us"],
            "p50_us": latency["p50"], "p99_us": latency["p99"], "p99_9_us": latency["p99.9"],
            "goodput_per_s": result["handshakes"] / result["seconds"],
            "failed": result["failed"], "unfinished": result["unfinished"],
        })

    def lone(self, peer):
        result, why = self.load(peer, cases.LONE_LOAD, self.arguments.seconds)
        if result is None:
            self.cannot[(cases.LONE, peer.name)] = why
            return
        latency = result["handshake_latency_us"]
        self.rounds.setdefault((cases.LONE, peer.name), []).append(
            {"p50_us": latency["p50"], "p99_us": latency["p99"], "p99_9_us": latency["p99.9"]})

    def idle(self, peer):
        """A fresh server, since what earlier load left behind would hide what idle connections take."""
        peer.stop()
        peer.start()
        # Fewer where the limit on file descriptors does not allow a terminator its two per connection.
        count = min(cases.IDLE_CONNECTIONS, peers.CONNECTIONS)
        warm, why = self.load(peer, ["--count", "100", "--connections", "4"], 5)
        if warm is None:
            self.cannot[("idle-memory", peer.name)] = why
            return
        pids = cpu.tree(peer.process.pid)
        before = cpu.memory(pids)
        command = ["taskset", "-c", str(self.arguments.load_core), os.environ["TTLS_LOAD"], "--mode", "idle",
                   "--connections", str(count), "--seconds", "60", f"127.0.0.1:{peer.port}"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as held:
            line = held.stderr.readline()
            if line.startswith("holding"):
                time.sleep(0.5)
                grown = cpu.memory(cpu.tree(peer.process.pid)) - before
                self.rounds[("idle-memory", peer.name)] = [{"bytes_per_connection": grown / count, "connections": count}]
            else:
                self.cannot[("idle-memory", peer.name)] = line.strip()
            held.terminate()
        peer.stop()
        peer.start()

    def result(self):
        measurements = []
        for (case, peer), rounds in sorted(self.rounds.items()):
            entry = {"peer": peer, "case": case, "rounds": rounds}
            if "per_cpu_s" in rounds[0]:
                values = [measured["per_cpu_s"] for measured in rounds]
                entry |= {"per_cpu_s": statistics.median(values), "min": min(values), "max": max(values),
                          "unit": next(found.unit for found in cases.THROUGHPUT if found.name == case)}
                for key in ("per_s", "cpu_us", "client_cpu_us"):
                    entry[key] = statistics.median(measured[key] for measured in rounds)
                shares = [measured["system_share"] for measured in rounds if measured["system_share"] is not None]
                entry["system_share"] = statistics.median(shares) if shares else None
            else:
                for key in rounds[0]:
                    entry[key] = statistics.median(measured[key] for measured in rounds)
            measurements.append(entry)
        for (case, peer), why in sorted(self.cannot.items()):
            if (case, peer) not in self.rounds:
                measurements.append({"peer": peer, "case": case, "cannot": why})
        return {"setting": setting(self), "results": measurements}


def strip_tls(load):
    """The load without the options that plain TCP does not have."""
    kept, skip = [], False
    for word in load:
        if skip:
            skip = False
        elif word in ("--tls", "--signature", "--group", "--cipher"):
            skip = True
        else:
            kept.append(word)
    return kept


def setting(bench):
    cpuinfo = Path("/proc/cpuinfo").read_text()
    flags = re.search(r"^flags\s*:(.*)$", cpuinfo, re.M)
    model = re.search(r"^model name\s*:\s*(.*)$", cpuinfo, re.M)
    frequency = re.search(r"^cpu MHz\s*:\s*(.*)$", cpuinfo, re.M)
    return {
        "command": shlex.join(["make", "bench-handshake"] + ([f"BENCH={shlex.join(sys.argv[1:])}"] if sys.argv[1:] else [])),
        "date": datetime.datetime.now(datetime.UTC if hasattr(datetime, "UTC") else datetime.timezone.utc).isoformat(timespec="seconds"),
        "cpu": model[1] if model else platform.processor(),
        "cpu_mhz": float(frequency[1]) if frequency else None,
        "cores": os.cpu_count(),
        "avx512ifma": bool(flags and "avx512ifma" in flags[1].split()),
        "kernel": f"{platform.system()} {platform.release()}",
        "load_average_after": os.getloadavg(),
        "rounds": bench.arguments.rounds,
        "seconds": bench.arguments.seconds,
        "versions": {name: peer.version() for name, peer in bench.peers.items()},
    }


def table(result):
    entries = {(entry["case"], entry["peer"]): entry for entry in result["results"]}
    lines = []
    for case in cases.THROUGHPUT:
        rows = [(name, entries[(case.name, name)]) for name in case.peers if (case.name, name) in entries]
        if not rows:
            continue
        best = {name: entry.get("per_cpu_s") for name, entry in rows}
        lines += ["", f"{case.title}  ({case.name})",
                  f"  {'':14}{'per CPU-s':>11}{'min':>10}{'max':>10}{'/ nginx':>9}{'/ nginx-3.5':>13}{'/ rustls':>9}{'us each':>10}{'system':>8}{'client us':>11}"]
        for name, entry in rows:
            if "cannot" in entry:
                lines.append(f"  {name:14}cannot: {entry['cannot'].splitlines()[-1] if entry['cannot'] else ''}")
                continue
            digits = 2 if case.unit == "GB" else 0
            scale = 1e-3 if case.unit == "GB" else 1
            lines.append(
                f"  {name:14}{entry['per_cpu_s']:>11.{digits}f}{entry['min']:>10.{digits}f}{entry['max']:>10.{digits}f}"
                f"{ratio(entry, best.get('nginx')):>9}{ratio(entry, best.get('nginx-3.5')):>13}{ratio(entry, best.get('rustls')):>9}"
                f"{entry['cpu_us'] * scale:>10.1f}{(entry['system_share'] or 0) * 100:>7.0f}%{entry['client_cpu_us'] * scale:>11.1f}"
                + (" (ms)" if case.unit == "GB" else ""))
    for name, title, _ in cases.LATENCY_SHARES:
        rows = [(peer, entries[(name, peer)]) for peer in cases.LATENCY_PEERS if (name, peer) in entries]
        if rows:
            lines += ["", f"TLS 1.3 full handshake, open loop, {title}  ({name}); milliseconds from when each was due",
                      f"  {'':14}{'offered/s':>11}{'opened/s':>10}{'done/s':>10}{'p50':>10}{'p99':>10}{'p99.9':>10}{'failed':>8}"]
        for peer, entry in rows:
            if "cannot" in entry:
                lines.append(f"  {peer:14}cannot: {entry['cannot']}")
                continue
            lines.append(f"  {peer:14}{entry['rate']:>11.0f}{entry['reached_rate']:>10.0f}{entry['goodput_per_s']:>10.0f}"
                         f"{entry['p50_us'] / 1e3:>10.2f}{entry['p99_us'] / 1e3:>10.2f}{entry['p99_9_us'] / 1e3:>10.2f}"
                         f"{entry['failed']:>8.0f}")
    rows = [(peer, entries[(cases.LONE, peer)]) for peer in cases.LATENCY_PEERS if (cases.LONE, peer) in entries]
    if rows:
        lines += ["", f"TLS 1.3 full handshake, one connection after the other  ({cases.LONE}); milliseconds",
                  f"  {'':14}{'p50':>10}{'p99':>10}{'p99.9':>10}"]
    for peer, entry in rows:
        lines.append(f"  {peer:14}cannot: {entry['cannot']}" if "cannot" in entry else
                     f"  {peer:14}{entry['p50_us'] / 1e3:>10.3f}{entry['p99_us'] / 1e3:>10.3f}{entry['p99_9_us'] / 1e3:>10.3f}")
    rows = [(peer, entries[("idle-memory", peer)]) for peer in cases.IDLE_PEERS if ("idle-memory", peer) in entries]
    if rows:
        lines += ["", f"Memory of the server's processes per idle TLS 1.3 connection  (idle-memory)"]
    for peer, entry in rows:
        found = f"{entry['bytes_per_connection'] / 1024:.1f} KiB  ({entry['connections']:.0f} held)" if "bytes_per_connection" in entry else f"cannot: {entry['cannot']}"
        lines.append(f"  {peer:14}{found:>28}")
    return "\n".join(lines)


def ratio(entry, other):
    return f"{entry['per_cpu_s'] / other:.2f}" if other else "-"


def progress(what, started):
    print(f"{time.monotonic() - started:6.0f} s  {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
