#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""When the parts of a download can be used, from the guest's log: `table.py RESULT.json LOG...`. BENCHMARKS.md explains the method."""

import json
import re
import sys
from pathlib import Path

AMOUNT = 1_000_000
TIMES = ["first_ms", "ms_14k", "ms_64k", "ms_1m"]
FIXED = ["fixed-16k", "fixed-4k", "1369-then-16k"]


def main():
    output, *logs = sys.argv[1:]
    rows = [row(line) for log in logs
            for line in re.findall(r"^row: (.*)$", Path(log).read_text(errors="replace").replace("\r", ""), re.MULTILINE)]
    Path(output).write_text(json.dumps(rows, indent=1) + "\n")
    for kernel in dict.fromkeys(one["kernel"] for one in rows):
        print(f"\n{kernel}: ms from the request to the first byte that can be used, 14 KB, 64 KB, 1 MB; ahead of the best fixed choice")
        print(table([one for one in rows if one["kernel"] == kernel]))
    print(f"\nWritten: {output}")


def row(line):
    variant, kernel, *numbers = line.split()
    rtt, mbit, loss, window, before, between, after, *numbers = map(float, numbers)
    *times, records, overhead, total = numbers
    if total < AMOUNT:
        sys.exit(f"{variant}: {total:.0f} bytes came")
    # The second download has a megabyte more, so its handshake is not counted.
    instructions = (after - between) - (between - before)
    return {"variant": variant, "kernel": kernel, "rtt_ms": rtt, "loss": loss, "mbit": mbit, "window": int(window),
            **dict(zip(TIMES, times)), "records": int(records), "overhead_bytes": int(overhead),
            "instructions_per_mb": round(instructions)}


def table(rows):
    """Each network, and how much later than the best fixed choice each variant is, at worst of the four times."""
    lines = [["RTT", "Mbit/s", "window", "variant", *TIMES, "worst", "records", "overhead", "M instr./MB"]]
    key = lambda one: (one["rtt_ms"], one["mbit"], one["loss"], one["window"])
    for one in rows:
        best = {time: min(other[time] for other in rows if key(other) == key(one) and other["variant"] in FIXED) for time in TIMES}
        worst = max(one[time] / best[time] - 1 for time in TIMES)
        lines.append([f"{one['rtt_ms']:g}", f"{one['mbit']:g}", str(one["window"] or "-"), one["variant"],
                      *(f"{one[time]:.1f}" for time in TIMES), f"{100 * worst:+.1f} %", str(one["records"]),
                      str(one["overhead_bytes"]), f"{one['instructions_per_mb'] / 1e6:.1f}"])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths)) for line in lines)


if __name__ == "__main__":
    main()
