# SPDX-License-Identifier: MIT OR Apache-2.0
"""The figures as an SVG: who is served under each attack, by server."""

import plot
import rows

COLOURS = plot.COLOURS | {"nginx-1.30": "#86efac", "haproxy-plain": "#93c5fd"}
COLUMNS = [("new", "served", "New clients served"), ("returning", "served", "Returning clients served"),
           ("established", "throughput", "Requests on kept connections")]
BAR, GAP, LEFT, COLUMN = 11, 16, 270, 210


def write(result, path):
    entries = {(entry["attack"], entry["times"], entry["peer"], entry["class"]): entry for entry in result["results"] if "cannot" not in entry}
    cells = list(dict.fromkeys(key[:2] for key in entries))
    peers = list(dict.fromkeys(key[2] for key in entries))
    width = LEFT + len(COLUMNS) * COLUMN
    body, y = [], 50
    for place, (_, _, title) in enumerate(COLUMNS):
        body.append(plot.text(LEFT + place * COLUMN, 30, title, 'font-size="13" font-weight="bold"'))
    for attack, times in cells:
        top = y
        for peer in peers:
            for place, (name, key, _) in enumerate(COLUMNS):
                entry = entries.get((attack, times, peer, name))
                share = entry and entry[key]
                if share is None:
                    continue
                x, length = LEFT + place * COLUMN, min(share, 1) * (COLUMN - 90)
                label = f"{share * 100:.1f} %" + (f" {peer}" if place == 0 else "")
                body += [
                    f'<rect x="{x}" y="{y}" width="{COLUMN - 90}" height="{BAR - 2}" fill="#eee"/>',
                    f'<rect x="{x}" y="{y}" width="{length:.1f}" height="{BAR - 2}" fill="{COLOURS.get(peer, "#000")}"/>',
                    plot.text(x + COLUMN - 86, y + BAR - 2, label, 'font-size="9"'),
                ]
            y += BAR
        middle = (top + y) / 2
        body += [plot.text(LEFT - 8, middle - 2, rows.TITLES.get(attack, attack), 'text-anchor="end" font-size="11"'),
                 plot.text(LEFT - 8, middle + 12, f"{times:g} times capacity", 'text-anchor="end" font-size="10" fill="#666"')]
        y += GAP
    setting = result["setting"]
    share = setting["share_of_cpu"]
    foot = (f"Each server: {share['quota_us'] / share['period_us']:.0%} of a core of {setting['cpu']}, {setting['kernel'].split('-')[0]}, "
            f"{setting['date'][:10]}; open loop, clients wait for 3 s")
    body.append(plot.text(10, y + 14, foot, 'font-size="11" fill="#666"'))
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y + 26}" width="{width}" '
        f'font-family="system-ui, sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="#fff"/>\n'
        + "\n".join(body) + "\n</svg>\n")
