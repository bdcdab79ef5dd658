#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Tests of what bench/flood makes of the generator's results: `make test-bench`."""

import copy
import sys
import tempfile
import unittest
import xml.etree.ElementTree
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "handshake"))

import plot_flood
import rows


def figures(due, served):
    return {"due": due, "served": served, "share": served / due, "p50_ms": 4.0, "p99_ms": 9.0, "p99_9_ms": 9.5, "per_s": served / 5}


def generated():
    """As `ttls-load flood` writes it; 100 newcomers of whom 25 were served, all others served."""
    classes = {name: {"calm": figures(60, 60), "attack": figures(100, 25 if name == "new" else 100), "after": figures(60, 60),
                      "throughput": 0.25 if name == "new" else 1.0, "back_to_calm_s": 0.5, "resumed": 0, "late_starts": 1,
                      "latest_start_ms": 6.0, "failures": {}, "course": []} for name in rows.CLASSES}
    return {"parts_s": {"attack": 3, "window": 5, "end": 10, "after": 13, "done": 16}, "classes": classes, "reconnecting": None, "attack_rate": 1000.0,
            "attackers": {"seconds": 5, "due": 5000, "started": 4000, "started_per_s": 800.0, "late": 10, "left_out": 1000,
                          "flights": 300, "handshakes": 275, "refused": 5, "gave_up": 3000, "recycled": 0, "failures": {}},
            "generator": {"cpu_s": 3.0, "attack_processes": 1}}


def snapshots():
    def at(seconds, cpu, jobs):
        return {"at": seconds, "cpu_s": cpu, "user_s": cpu * 0.75, "system_s": cpu * 0.25, "peak_bytes": 1 << 20,
                "metrics": {"ttls_public_key_jobs_total": jobs, "ttls_connections": 7.0, 'ttls_handshakes_total{version="1.3"}': jobs}}
    return {"calm": at(0, 0.0, 0), "window": at(5, 0.5, 100.0), "end": at(10, 1.0, 900.0)}


class Rows(unittest.TestCase):
    def setUp(self):
        self.rows = rows.of("ttls", "full", 10, 100.0, generated(), snapshots())

    def test_each_class_has_a_row_with_what_was_promised(self):
        self.assertEqual([row["class"] for row in self.rows], ["new", "returning", "known", "established"])
        for row in self.rows:
            for key in ("peer", "attack", "times", "class", "served", "p50_ms", "p99_ms", "calm_p99_ms", "throughput"):
                self.assertIn(key, row)
            for share in ("served", "throughput", "attack_offered"):
                self.assertTrue(0 <= row[share] <= 1)
        self.assertEqual(self.rows[0]["served"], 0.25)

    def test_the_server_is_charged_for_what_clients_got(self):
        # 275 attackers' handshakes and 225 of clients, in half a second of CPU time.
        self.assertEqual(self.rows[0]["handshakes_delivered"], 500)
        self.assertAlmostEqual(self.rows[0]["cpu_us_per_handshake"], 1000)
        self.assertAlmostEqual(self.rows[0]["server_cpu_share"], 0.1)
        self.assertEqual(self.rows[0]["server_counted"], {"ttls_public_key_jobs_total": 800.0, 'ttls_handshakes_total{version="1.3"}': 800.0})
        self.assertEqual(self.rows[0]["attack_offered"], 0.8)

    def test_the_fair_share_counts_all_who_ask(self):
        # 800 attackers and 60 clients a second share 100 handshakes.
        self.assertAlmostEqual(self.rows[0]["fair_share"], 100 / 860)

    def test_rounds_give_their_median(self):
        rounds = [copy.deepcopy(self.rows) for _ in range(3)]
        for number, served in enumerate((0.1, 0.9, 0.4)):
            rounds[number][0]["served"] = served
        rounds[0][1]["p99_ms"] = None  # nobody was served
        merged = rows.median(rounds)
        self.assertEqual(merged[0]["served"], 0.4)
        self.assertEqual([one["served"] for one in merged[0]["rounds"]], [0.1, 0.9, 0.4])
        self.assertIsNone(merged[1]["p99_ms"])

    def test_nobody_served_is_no_division_by_zero(self):
        result = generated()
        result["attackers"] |= {"handshakes": 0, "due": 0}
        for name in rows.CLASSES:
            result["classes"][name]["attack"] |= {"served": 0, "share": 0.0, "p50_ms": None, "p99_ms": None}
        row = rows.of("ttls", "full", 10, 100.0, result, snapshots())[0]
        self.assertIsNone(row["cpu_us_per_handshake"])
        self.assertIn("0.0", rows.table({"results": rows.of("ttls", "full", 10, 100.0, result, snapshots())}))

    def test_table_and_plot_show_every_peer_and_what_could_not_be(self):
        result = generated() | {"reconnecting": {"served": 0.5, "served_at_all": 1.0, "due": 100, "p50_ms": 5.0, "p99_ms": 9.0, "last_s": 4.0}}
        entries = [*self.rows, *rows.of("nginx", "reconnect", 3, 90.0, result, snapshots()),
                   {"peer": "rustls", "attack": "full", "times": 10, "cannot": "it does not start"}]
        setting = {"share_of_cpu": {"quota_us": 1000, "period_us": 10000}, "cpu": "A & B", "kernel": "Linux 6.1", "date": "2026-01-01T00:00:00"}
        text = rows.table({"results": entries})
        for word in ("ttls", "nginx", "it does not start", "25.0", "back: 50.0 in time"):
            self.assertIn(word, text)
        with tempfile.TemporaryDirectory() as folder:
            plot_flood.write({"setting": setting, "results": entries}, Path(folder, "flood.svg"))
            drawn = xml.etree.ElementTree.parse(Path(folder, "flood.svg")).getroot()
        self.assertGreater(len(list(drawn)), 20)


if __name__ == "__main__":
    unittest.main()
