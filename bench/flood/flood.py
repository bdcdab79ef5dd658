#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Clients beside an attack, for `ttls serve` and its peers: `make bench-flood`. BENCHMARKS.md explains the method."""

import argparse
import datetime
import json
import os
import platform
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench/handshake"))

import compare
import cpu
import plot_flood
import rows
import servers

OUTPUT = ROOT / "target/bench"
ATTACKS = ["full", "hello", "leave", "rsa", "half-open", "drip", "oversized", "tickets", "key-updates", "few-addresses",
           "one-fingerprint", "browsers", "reconnect", "mix", "nat"]
SHORT = ["full", "few-addresses", "one-fingerprint", "half-open"]
TIMES = [1, 3, 10, 50]
SHORT_TIMES = [10]
# All at once is work for as many seconds: nobody waits for 50.
LIMITED = {"reconnect": 10}
# How long a ban may last is to be seen.
AFTER = {"nat": 12}
SYSCTLS = ["net.core.somaxconn", "net.ipv4.tcp_max_syn_backlog", "net.ipv4.tcp_syncookies", "net.ipv4.ip_local_port_range",
           "net.ipv4.tcp_max_orphans", "net.ipv4.tcp_abort_on_overflow", "net.ipv4.tcp_synack_retries", "net.ipv4.tcp_tw_reuse"]


def main():
    # So that what is begun is ended also then.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    arguments = parse()
    work = OUTPUT / "flood"
    (work / "www").mkdir(parents=True, exist_ok=True)
    compare.certificates(work)
    (work / "www/index.html").write_bytes(b"x" * 1024)
    bench = Bench(arguments, work)
    try:
        bench.run()
    finally:
        bench.stop()
        if bench.rounds or bench.cannot:
            result = bench.result()
            (OUTPUT / "flood.json").write_text(json.dumps(result, indent=1) + "\n")
    print(rows.table(result))
    plot_flood.write(result, OUTPUT / "flood.svg")
    print(f"\nWritten: {OUTPUT}/flood.json, {OUTPUT}/flood.svg")


def parse():
    cores = os.cpu_count()
    parser = argparse.ArgumentParser(description=__doc__)
    names = [peer.name for peer in servers.ALL]
    parser.add_argument("--short", action="store_true", help=f"minutes: {','.join(SHORT)} at {SHORT_TIMES[0]} times")
    parser.add_argument("--peers", type=listed(names), default=names, help=f"of {','.join(names)}; default: all")
    parser.add_argument("--attacks", type=listed(["none", *ATTACKS]), help=f"of none,{','.join(ATTACKS)}; default: all but none")
    parser.add_argument("--times", type=lambda text: [float(part) for part in text.split(",")], help="capacity, default 1,3,10,50")
    parser.add_argument("--rounds", type=int, default=1, help="of all; the median counts (default 1)")
    parser.add_argument("--quota", type=int, default=1000, help="microseconds of CPU that a server has (default 1000; the least)")
    parser.add_argument("--period", type=int, default=10_000, help="in so many microseconds (default 10000)")
    parser.add_argument("--legitimate", type=float, default=0.1, help="share of capacity for each class (default 0.1)")
    parser.add_argument("--calm", type=float, default=3, help="seconds (default 3)")
    parser.add_argument("--lead-in", type=float, default=5, help="seconds of attack that are not measured (default 5)")
    parser.add_argument("--seconds", type=float, default=5, help="of attack that are (default 5)")
    parser.add_argument("--after", type=float, default=3, help="seconds (default 3)")
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--client-core", type=int, default=0, help="of the legitimate clients (default 0: the server leaves most of it)")
    parser.add_argument("--attack-cores", default=",".join(map(str, range(1, cores))) or "0", help="default: all others")
    parser.add_argument("--ttls", action="append", default=[], metavar="KEY=VALUE", help="a key of ttls' configuration; may be repeated")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    arguments.attacks = arguments.attacks or (SHORT if arguments.short else ATTACKS)
    arguments.times = arguments.times or (SHORT_TIMES if arguments.short else TIMES)
    if arguments.quota < 1000 or arguments.period < arguments.quota:
        parser.error("the kernel takes no --quota below 1000, and --period is at least that")
    if os.geteuid() != 0:
        parser.error("needs root, for the control group")
    return arguments


def listed(known):
    def convert(text):
        chosen = text.split(",")
        for name in chosen:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name}: choose of {', '.join(known)}")
        return chosen
    return convert


class Bench:
    def __init__(self, arguments, work):
        self.arguments = arguments
        self.work = work
        self.servers = {kind.name: kind(work, arguments.server_core) for kind in servers.ALL if kind.name in arguments.peers}
        for server in self.servers.values():
            server.quota, server.period = arguments.quota, arguments.period
        if "ttls" in self.servers:
            self.servers["ttls"].flags = [word for key in arguments.ttls for word in ("--" + key.split("=", 1)[0], key.split("=", 1)[1])]
        self.capacities = {}
        self.rounds = {}  # (peer, attack, times) -> list of rows of each round
        self.cannot = {}  # (peer, attack, times) -> why
        self.generator = None
        self.started = time.monotonic()

    def stop(self):
        if self.generator is not None and self.generator.poll() is None:
            self.generator.kill()
            self.generator.wait()
        for server in self.servers.values():
            server.stop()

    def run(self):
        for name, server in list(self.servers.items()):
            self.progress(f"capacity of {name}")
            try:
                self.capacities[name] = self.capacity(server)
            except RuntimeError as error:
                self.progress(f"{name} is left out: {error}")
                self.cannot[(name, "none", 0)] = str(error)
                del self.servers[name]
        cells = [(attack, times) for attack in self.arguments.attacks for times in self.arguments.times
                 if times <= LIMITED.get(attack, times)]
        for number in range(self.arguments.rounds):
            for attack, times in cells:
                # In an order of their own each time: what the machine does meanwhile falls on all alike.
                names = list(self.servers)
                random.shuffle(names)
                for name in names:
                    self.progress(f"round {number + 1}/{self.arguments.rounds}: {attack} at {times:g} times, {name}")
                    try:
                        measured = self.cell(self.servers[name], attack, times, number)
                        self.rounds.setdefault((name, attack, times), []).append(measured)
                    except RuntimeError as error:
                        self.progress(f"cannot: {error}")
                        self.cannot[(name, attack, times)] = str(error)

    def capacity(self, server):
        """New clients served per second: without limits, then with those that follow from it."""
        def once():
            server.start()
            try:
                return self.generate(server, ["--capacity", "--seconds", "3"])[0]["capacity_per_s"]
            finally:
                server.stop()

        server.capacity = None
        # What else the machine does can only make it less.
        server.capacity = max(once(), once())
        return {"unlimited": server.capacity, "configured": once()}

    def cell(self, server, attack, times, number):
        arguments = self.arguments
        capacity = self.capacities[server.name]["unlimited"]
        rate = str(capacity * arguments.legitimate)
        server.start()
        try:
            result, snapshots = self.generate(server, [
                "--attack", attack, "--attack-rate", str(capacity * times),
                "--new-rate", rate, "--returning-rate", rate, "--known-rate", rate, "--kept-rate", rate,
                "--calm", str(arguments.calm), "--lead-in", str(arguments.lead_in), "--seconds", str(arguments.seconds),
                "--after", str(AFTER.get(attack, arguments.after)), "--seed", str(arguments.seed + number)])
        finally:
            server.stop()
        return rows.of(server.name, attack, times, capacity, result, snapshots)

    def generate(self, server, options):
        """Runs `ttls-load flood`; its result, and what the server had used when each part began."""
        output = self.work / "generated.json"
        command = [os.environ["TTLS_LOAD"], "flood", "--client-core", str(self.arguments.client_core),
                   "--attack-cores", self.arguments.attack_cores, *options, "--json", str(output), f"127.0.0.1:{server.port}"]
        self.generator = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        snapshots, said = {}, []
        for line in self.generator.stderr:
            part = re.fullmatch(r"flood: (\w+)\n", line)
            if part:
                snapshots[part[1]] = snapshot(server)
            else:
                said.append(line.strip())
        if self.generator.wait() != 0:
            raise RuntimeError(" ".join(said) or f"the generator ended with status {self.generator.returncode}")
        if server.process.poll() is not None:
            raise RuntimeError(f"{server.name} has ended with status {server.process.returncode}")
        return json.loads(output.read_text()), snapshots

    def result(self):
        entries = [row for rounds in self.rounds.values() for row in rows.median(rounds)]
        for (peer, attack, times), why in self.cannot.items():
            if (peer, attack, times) not in self.rounds:
                entries.append({"peer": peer, "attack": attack, "times": times, "cannot": why})
        return {"setting": self.setting(), "results": entries}

    def setting(self):
        arguments = self.arguments
        cpuinfo = Path("/proc/cpuinfo").read_text()
        model = re.search(r"^model name\s*:\s*(.*)$", cpuinfo, re.M)
        return {
            "command": shlex.join(["make", "bench-flood"] + ([f"BENCH={shlex.join(sys.argv[1:])}"] if sys.argv[1:] else [])),
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "cpu": model[1] if model else platform.processor(),
            "cores": os.cpu_count(),
            "kernel": f"{platform.system()} {platform.release()}",
            "load_average_after": os.getloadavg(),
            "sysctls": {name: value for name in SYSCTLS if (value := sysctl(name)) is not None},
            "share_of_cpu": {"quota_us": arguments.quota, "period_us": arguments.period},
            "cores_used": {"server": arguments.server_core, "clients": arguments.client_core, "attackers": arguments.attack_cores},
            "legitimate_share": arguments.legitimate,
            "seconds": {"calm": arguments.calm, "lead_in": arguments.lead_in, "measured": arguments.seconds, "after": arguments.after},
            "rounds": arguments.rounds,
            "capacities_per_s": self.capacities,
            "versions": {name: server.version() for name, server in self.servers.items()},
        }

    def progress(self, what):
        print(f"{time.monotonic() - self.started:6.0f} s  {what}", file=sys.stderr, flush=True)


def snapshot(server):
    """What the server has used and counted so far."""
    pids = cpu.tree(server.process.pid)
    user, system = cpu.user_and_system(pids)
    taken = {"at": time.monotonic(), "cpu_s": cpu.nanoseconds(pids) / 1e9, "user_s": user, "system_s": system, "peak_bytes": peak(pids)}
    try:
        taken["metrics"] = server.metrics()
    except (OSError, ValueError) as error:
        taken["metrics"] = {}
        taken["metrics_failed"] = str(error)
    return taken


def peak(pids):
    """The most memory that the processes had resident so far, in bytes."""
    total = 0
    for pid in pids:
        found = re.search(r"^VmHWM:\s*(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.M)
        total += int(found[1]) * 1024 if found else 0
    return total


def sysctl(name):
    try:
        return Path("/proc/sys", *name.split(".")).read_text().split()
    except OSError:
        return None


if __name__ == "__main__":
    main()
