# SPDX-License-Identifier: MIT OR Apache-2.0
"""What `ttls-load flood` says, as one object for each class of clients, and as a table."""

import statistics

CLASSES = ["new", "returning", "known", "established"]
TITLES = {
    "full": "full handshakes from 10,000 addresses",
    "hello": "ClientHellos only: the flight is read, then a reset",
    "leave": "clients that leave after 200 ms",
    "rsa": "ClientHellos only, that ask for RSA",
    "half-open": "silent clients",
    "drip": "one byte a second",
    "oversized": "large, fragmented and endless ClientHellos",
    "tickets": "tickets that nobody issued",
    "key-updates": "KeyUpdates with data between them",
    "few-addresses": "8 addresses with random fingerprints",
    "one-fingerprint": "100,000 addresses with one fingerprint",
    "browsers": "100,000 addresses with browsers' fingerprints",
    "reconnect": "all clients at once, as after a restart",
    "mix": "of all kinds",
    "nat": "full handshakes from the address that all clients share",
    "none": "no attack",
}


def of(peer, attack, times, capacity, result, snapshots):
    """The rows of one run."""
    common = server_side(result, snapshots)
    attackers = result["attackers"]
    common |= {
        "capacity_per_s": capacity,
        "attack_per_s": attackers["started_per_s"],
        # What the generator could offer, of what it should: what it had no time to look at is not among `due`.
        "attack_offered": min(1.0, attackers["started_per_s"] / result["attack_rate"]) if attackers["due"] and attack != "reconnect" else None,
        "attack_late": attackers["late"],
        "attackers": attackers,
        "generator_cpu_s": result["generator"]["cpu_s"],
    }
    rows = []
    for name in CLASSES:
        found = result["classes"][name]
        calm, during = found["calm"], found["attack"]
        row = {
            "peer": peer, "attack": attack, "times": times, "class": name,
            "served": during["share"], "p50_ms": during["p50_ms"], "p99_ms": during["p99_ms"], "p99_9_ms": during["p99_9_ms"],
            "calm_served": calm["share"], "calm_p50_ms": calm["p50_ms"], "calm_p99_ms": calm["p99_ms"],
            "throughput": found["throughput"], "due": during["due"], "back_to_calm_s": found["back_to_calm_s"],
            "resumed": found["resumed"], "late_starts": found["late_starts"], "latest_start_ms": found["latest_start_ms"],
            "failures": found["failures"], "course": found["course"],
        }
        if name == "new":
            row["fair_share"] = fair(capacity, attackers["started_per_s"], result)
        rows.append(row | common)
    if result["reconnecting"]:
        back = result["reconnecting"]
        rows.append({"peer": peer, "attack": attack, "times": times, "class": "reconnecting", "throughput": None, "calm_p99_ms": None,
                     **back} | common)
    return rows


def fair(capacity, attack_per_s, result):
    """The share that each of those gets who ask for a handshake, if all get the same."""
    seconds = result["parts_s"]["end"] - result["parts_s"]["window"]
    clients = sum(result["classes"][name]["attack"]["due"] for name in ("new", "returning", "known")) / seconds
    return min(1.0, capacity / (attack_per_s + clients)) if attack_per_s + clients else 1.0


def server_side(result, snapshots):
    """What the server spent in the measured part, and on how much."""
    begin, end = snapshots["window"], snapshots["end"]
    handshakes = result["attackers"]["handshakes"] + sum(
        result["classes"][name]["attack"]["served"] for name in ("new", "returning", "known"))
    used = end["cpu_s"] - begin["cpu_s"]
    counted = {name: end["metrics"][name] - begin["metrics"].get(name, 0) for name in end["metrics"] if name.partition("{")[0].endswith("_total")}
    user, system = end["user_s"] - begin["user_s"], end["system_s"] - begin["system_s"]
    return {
        "server_cpu_s": used,
        "server_cpu_share": used / (end["at"] - begin["at"]),
        "server_system_share": system / (user + system) if user + system else None,
        "handshakes_delivered": handshakes,
        "flights_received": result["attackers"]["flights"] + handshakes - result["attackers"]["handshakes"],
        "cpu_us_per_handshake": used / handshakes * 1e6 if handshakes else None,
        "server_peak_bytes": max(taken["peak_bytes"] for taken in snapshots.values()),
        "server_counted": counted,
    }


def median(rounds):
    """The rows of all rounds as one set: numbers are medians."""
    merged = []
    for same in zip(*rounds):
        row = dict(same[0])
        for key, value in row.items():
            values = [other.get(key) for other in same]
            if isinstance(value, (int, float)) and not isinstance(value, bool) and all(isinstance(other, (int, float)) for other in values):
                row[key] = statistics.median(values)
        row["rounds"] = [{key: other.get(key) for key in ("served", "p50_ms", "p99_ms", "throughput")} for other in same]
        merged.append(row)
    return merged


def table(result):
    entries = [entry for entry in result["results"] if "cannot" not in entry]
    cells = list(dict.fromkeys((entry["attack"], entry["times"]) for entry in entries))
    lines = []
    for attack, times in cells:
        lines += ["", f"{TITLES.get(attack, attack)}, {times:g} times capacity  ({attack}); served in %, p50 / p99 (in calm) of those in ms",
                  f"  {'':14}{'capacity/s':>11}{'attack/s':>10}  " + "".join(f"{name:>29}" for name in CLASSES)
                  + f"{'kept req.':>10}{'CPU us each':>12}"]
        for peer in dict.fromkeys(entry["peer"] for entry in entries):
            found = {entry["class"]: entry for entry in entries if (entry["peer"], entry["attack"], entry["times"]) == (peer, attack, times)}
            if not found:
                continue
            one = found["new"]
            lines.append(
                f"  {peer:14}{one['capacity_per_s']:>11.0f}{one['attack_per_s']:>10.0f}  " + "".join(cell(found[name]) for name in CLASSES)
                + f"{percent(found['established']['throughput']):>10}{number(one['cpu_us_per_handshake']):>12}"
                + (f"   back: {percent(found['reconnecting']['served'])} in time" if "reconnecting" in found else "")
                + (f"   offered {percent(one['attack_offered'])} only" if (one["attack_offered"] or 1) < 0.95 else ""))
    for entry in result["results"]:
        if "cannot" in entry:
            lines.append(f"\n{entry['peer']}, {entry['attack']} at {entry['times']:g} times: cannot: {entry['cannot']}")
    return "\n".join(lines)


def cell(entry):
    latencies = f"{number(entry['p50_ms'])} / {number(entry['p99_ms'])} ({number(entry['calm_p99_ms'])})"
    return f"{percent(entry['served']):>8} {latencies:>20}"


def percent(share):
    return "-" if share is None else f"{share * 100:.1f}"


def number(value):
    return "-" if value is None else f"{value:.0f}" if value >= 10 else f"{value:.1f}"
