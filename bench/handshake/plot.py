# SPDX-License-Identifier: MIT OR Apache-2.0
"""The figures as an SVG: handshakes per CPU-second, and latency against offered load."""

import cases

COLOURS = {"ttls": "#c2410c", "ttls-scalar": "#fdba74", "nginx": "#15803d", "nginx-3.5": "#86efac", "haproxy": "#1d4ed8", "hitch": "#7c3aed",
           "rustls": "#525252"}
BAR, GAP, LEFT, WIDTH = 13, 18, 300, 900
HEADING = 'font-size="15" font-weight="bold"'


def write(result, path):
    entries = {(entry["case"], entry["peer"]): entry for entry in result["results"] if "cannot" not in entry}
    body, y = throughput(entries, 30)
    latency, y = latencies(entries, y + 30)
    setting = result["setting"]
    foot = f"One core of {setting['cpu']}, {setting['kernel'].split('-')[0]}, {setting['date'][:10]}; median of {setting['rounds']} interleaved rounds; whiskers: minimum and maximum"
    body += latency + [text(10, y + 18, foot, 'font-size="11" fill="#666"')]
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 30}" width="{WIDTH}" '
        f'font-family="system-ui, sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="#fff"/>\n'
        + "\n".join(body) + "\n</svg>\n")


def throughput(entries, y):
    rows = [(case, [name for name in case.peers if name in COLOURS and (case.name, name) in entries])
            for case in cases.THROUGHPUT if case.unit == "operation" and case.name != "keepalive-1k"]
    rows = [(case, names) for case, names in rows if names]
    if not rows:
        return [], y
    most = max(entries[(case.name, name)]["max"] for case, names in rows for name in names)
    scale = (WIDTH - LEFT - 130) / most
    body = [text(10, y, "Handshakes per second of server CPU time", HEADING)]
    y += 14
    for case, names in rows:
        top = y
        for name in names:
            entry = entries[(case.name, name)]
            value = entry["per_cpu_s"]
            middle = y + BAR / 2
            body += [
                f'<rect x="{LEFT}" y="{y}" width="{value * scale:.1f}" height="{BAR - 2}" fill="{COLOURS[name]}"/>',
                f'<path d="M{LEFT + entry["min"] * scale:.1f} {middle - 1}H{LEFT + entry["max"] * scale:.1f}" stroke="#000" stroke-width="1"/>',
                text(LEFT + entry["max"] * scale + 5, y + BAR - 3, f"{value:,.0f}  {name}", 'font-size="10"'),
            ]
            y += BAR
        body.append(text(LEFT - 8, (top + y) / 2 + 4, case.title, 'text-anchor="end" font-size="11"'))
        y += GAP
    return body, y


def latencies(entries, y):
    """p50 to p99.9 of each server at each share of its capacity, on a logarithmic scale."""
    import math

    rows = [(name, title, [peer for peer in cases.LATENCY_PEERS if (name, peer) in entries])
            for name, title, _ in cases.LATENCY_SHARES]
    rows = [row for row in rows if row[2]]
    if not rows:
        return [], y
    most = max(entries[(name, peer)]["p99_9_us"] for name, _, found in rows for peer in found)
    decades = math.ceil(math.log10(max(most, 1000))) - 2
    scale = (WIDTH - LEFT - 130) / decades
    position = lambda microseconds: LEFT + max(0, math.log10(max(microseconds, 100)) - 2) * scale
    body = [text(10, y, "Handshake latency, TLS 1.3, open loop: p50, p99 and p99.9 from when each was due", HEADING)]
    y += 24
    top = y
    for name, title, found in rows:
        start = y
        for peer in found:
            entry = entries[(name, peer)]
            middle = y + BAR / 2
            left, right = position(entry["p50_us"]), position(entry["p99_9_us"])
            body.append(f'<path d="M{left:.1f} {middle}H{right:.1f}" stroke="{COLOURS[peer]}" stroke-width="3"/>')
            for key, radius in (("p50_us", 5), ("p99_us", 4), ("p99_9_us", 3)):
                body.append(f'<circle cx="{position(entry[key]):.1f}" cy="{middle}" r="{radius}" fill="{COLOURS[peer]}"/>')
            body.append(text(right + 8, y + BAR - 3, f"{peer}, {entry['goodput_per_s']:,.0f}/s done", 'font-size="10"'))
            y += BAR
        body.append(text(LEFT - 8, (start + y) / 2 + 4, title, 'text-anchor="end" font-size="11"'))
        y += GAP
    for decade in range(decades + 1):
        x = LEFT + decade * scale
        label = f"{10 ** (decade - 1):g} ms"
        body.insert(0, f'<path d="M{x:.1f} {top - 4}V{y - GAP + 4}" stroke="#ddd"/>')
        body.append(text(x, top - 8, label, 'text-anchor="middle" font-size="10" fill="#666"'))
    return body, y


def text(x, y, content, style=""):
    content = content.replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{content}</text>'
