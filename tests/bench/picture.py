"""Horizontal bars on a logarithmic scale as SVG, written by hand: no plotting library.

    text = bars(title, [(group, [(label, value, kind)])])       # kind: O2, O0 (ours) or peer

Within a group the bars are relative to its smallest value; all groups share one scale.
"""
import html
import math

COLOURS = {"O2": "#1a6b3c", "O0": "#7fb492", "peer": "#b9bec7"}
LEFT, RIGHT, WIDTH, BAR, GAP, TOP = 150, 150, 860, 18, 26, 58


def time_text(ns):
    return f"{ns:.0f} ns" if ns < 1e3 else f"{ns / 1e3:.3g} µs" if ns < 1e6 else f"{ns / 1e6:.3g} ms"


def text(x, y, words, anchor="start", size=12, weight="normal", fill="#22262e"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" fill="{fill}">'
            f"{html.escape(words)}</text>")


def bars(title, groups):
    groups = [(name, rows) for name, rows in groups if rows]
    most = max((max(v for _, v, _ in rows) / min(v for _, v, _ in rows) for _, rows in groups), default=1)
    decades = max(math.log10(most), 0.3)
    scale = (WIDTH - LEFT - RIGHT) / decades
    height = TOP + sum(GAP + BAR * len(rows) + 10 for _, rows in groups) + 10
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
           'font-family="sans-serif">', f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
           text(12, 24, title, size=15, weight="bold")]
    for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000):
        x = LEFT + scale * math.log10(tick)
        if tick <= 10 ** decades * 1.001:
            out.append(f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{height - 8}" stroke="#e4e6ea"/>')
            out.append(text(x, TOP - 11, f"{tick}x", "middle", 11, fill="#6b7280"))
    y = TOP
    for name, rows in groups:
        out.append(text(12, y + 16, name, weight="bold", size=13))
        y += GAP
        least = min(value for _, value, _ in rows)
        for label, value, kind in sorted(rows, key=lambda row: row[1]):
            length = max(scale * math.log10(value / least), 2)
            out.append(text(LEFT - 8, y + 13, label, "end"))
            out.append(f'<rect x="{LEFT}" y="{y + 2}" width="{length:.1f}" height="{BAR - 4}" rx="2" fill="{COLOURS[kind]}"/>')
            out.append(text(LEFT + length + 6, y + 13, f"{value / least:.3g}x · {time_text(value)}", size=11, fill="#4b5563"))
            y += BAR
        y += 10
    return "\n".join(out + ["</svg>\n"])
