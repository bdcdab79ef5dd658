#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Instructions per connection from the guest's log: `table.py RESULT.json LOG...`. BENCHMARKS.md explains the method."""

import json
import re
import sys
from pathlib import Path

PARTS = ["process", "receive", "worker", "other"]
CASES = {"tls13-full": "TLS 1.3 full", "tls13-resumed": "TLS 1.3 resumed", "tls12-full": "TLS 1.2 full",
         "tls12-resumed": "TLS 1.2 resumed", "plain": "TCP without TLS"}
PEERS = {"ttls": "ttls.ko, plain server", "nginx-ttls": "ttls.ko, nginx", "nginx": "nginx, OpenSSL", "server": "plain server"}


def main():
    output, *logs = sys.argv[1:]
    kernels = [read(Path(log).read_text(errors="replace").replace("\r", "")) for log in logs]
    Path(output).write_text(json.dumps({"kernels": kernels}, indent=1) + "\n")
    for kernel in kernels:
        print(f"\n{kernel['versions']}: thousands of instructions per connection, user and kernel")
        print(table(kernel["results"]))
    print(f"\nWritten: {output}")


def read(log):
    """A guest's versions and its measurements: what one connection more costs, in each round."""
    versions = re.search(r"^versions: (.*)", log, re.MULTILINE)[1]
    runs = {}
    for line in re.findall(r"cost: (.*)", log, re.MULTILINE):
        case, peer, number, count, *numbers = line.split()
        numbers = [float(number) for number in numbers]
        run = dict(zip(PARTS, (after - before for before, after in zip(numbers[0:4], numbers[4:8]))))
        operations, resumed, client_seconds = numbers[8:]
        run["client"] = client_seconds * 1e9
        if operations != int(count) or resumed != (int(count) if case.endswith("resumed") else 0):
            sys.exit(f"{case} {peer}: {operations:.0f} operations of {count}, {resumed:.0f} resumed")
        runs.setdefault((case, peer), {}).setdefault(number, []).append((int(count), run))
    return {"versions": versions, "results": [entry(*key, list(rounds.values())) for key, rounds in runs.items()]}


def entry(case, peer, rounds):
    each = []
    for (few, first), (more, second) in rounds:
        growth = {part: (second[part] - first[part]) / (more - few) for part in [*PARTS, "client"]}
        each.append({"instructions": sum(growth[part] for part in PARTS), **growth})
    totals = [one["instructions"] for one in each]
    return {"peer": peer, "case": case,
            **{key: round(sum(one[key] for one in each) / len(each)) for key in each[0]},
            "min": round(min(totals)), "max": round(max(totals))}


def table(results):
    """Each case beside nginx with its own TLS."""
    titles = ["case", "server", "total", "min-max", "/nginx", "process", "receiving", "worker", "other",
              "client"]
    reference = {one["case"]: one["instructions"] for one in results if one["peer"] == "nginx"}
    rows = [titles]
    for one in results:
        ratio = one["instructions"] / reference[one["case"]]
        rows.append([CASES[one["case"]], PEERS[one["peer"]], thousands(one["instructions"]),
                     f"{thousands(one['min'])}-{thousands(one['max'])}", f"{ratio:.2f}",
                     *(thousands(one[part]) for part in [*PARTS, "client"])])
    widths = [max(len(row[column]) for row in rows) for column in range(len(titles))]
    return "\n".join("  ".join(cell.ljust(width) if column < 2 else cell.rjust(width)
                               for column, (cell, width) in enumerate(zip(row, widths))) for row in rows)


def thousands(count):
    return f"{count / 1000:.1f}"


if __name__ == "__main__":
    main()
