"""Horizontal bars and curves on logarithmic scales as SVG, written by hand: no plotting library.

    text = bars(title, [(group, [(label, value, kind)])])       # kind: O2, O0 (ours) or peer
    text = curves(title, x_title, [(panel, [(label, [(x, y)], colour, dashed)])])

Within a group the bars are relative to its smallest value; all groups share one scale. Every panel of curves has its own axes.
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


# ---- curves ----

PANEL, HIGH, KEY = 360, 330, 190


def decades(values, steps=1):
    """Powers of ten (exponents that are multiples of 1/steps) around all the values."""
    low, high = (math.log10(f(values)) for f in (min, max))
    return math.floor(low * steps) / steps, max(math.ceil(high * steps) / steps, math.floor(low * steps) / steps + 1)


def tick_text(exponent):
    return f"{10 ** exponent:g}" if -3 <= exponent <= 3 else f"1e{exponent}"


def panel(out, x0, y0, title, x_title, lines):
    """One pair of logarithmic axes, and in them the curves."""
    points = [p for _, line, _, _ in lines for p in line]
    (x_low, x_high), (y_low, y_high) = decades([x for x, _ in points]), decades([y for _, y in points])

    def at(x, y):
        return (x0 + PANEL * (math.log10(x) - x_low) / (x_high - x_low), y0 + HIGH * (y_high - math.log10(y)) / (y_high - y_low))
    out.append(text(x0, y0 - 10, title, weight="bold", size=13))
    for e in range(math.ceil(x_low), math.floor(x_high) + 1):
        x, _ = at(10 ** e, 10 ** y_low)
        out.append(f'<line x1="{x:.1f}" y1="{y0}" x2="{x:.1f}" y2="{y0 + HIGH}" stroke="#e4e6ea"/>')
        out.append(text(x, y0 + HIGH + 16, tick_text(e), "middle", 11, fill="#6b7280"))
    for e in range(math.ceil(y_low), math.floor(y_high) + 1):
        _, y = at(10 ** x_low, 10 ** e)
        out.append(f'<line x1="{x0}" y1="{y:.1f}" x2="{x0 + PANEL}" y2="{y:.1f}" stroke="#e4e6ea"/>')
        out.append(text(x0 - 6, y + 4, tick_text(e), "end", 11, fill="#6b7280"))
    out.append(text(x0 + PANEL / 2, y0 + HIGH + 32, x_title, "middle", 12, fill="#4b5563"))
    for _, line, colour, dashed in lines:
        path = " ".join("{:.1f},{:.1f}".format(*at(*p)) for p in line)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{1.4 if dashed else 2}"'
                   + (' stroke-dasharray="5 4"' if dashed else "") + "/>")
        if not dashed:
            out += ['<circle cx="{:.1f}" cy="{:.1f}" r="2.6" fill="{}"/>'.format(*at(*p), colour) for p in line]


def curves(title, x_title, panels):
    """Panels side by side, [(title, [(label, [(x, y)], colour, dashed)])], x and y above 0; one key for all."""
    panels = [(name, [line for line in lines if line[1]]) for name, lines in panels]
    panels = [(name, lines) for name, lines in panels if lines]
    step = PANEL + 70
    labels = list(dict.fromkeys((label, colour, dashed) for _, lines in panels for label, _, colour, dashed in lines))
    width, height = 60 + step * len(panels) + KEY, max(80 + HIGH + 50, 80 + 18 * len(labels))
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
           'font-family="sans-serif">', f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
           text(12, 24, title, size=15, weight="bold")]
    for i, (name, lines) in enumerate(panels):
        panel(out, 60 + step * i, 70, name, x_title, lines)
    for i, (label, colour, dashed) in enumerate(labels):
        x, y = 60 + step * len(panels) - 40, 76 + 18 * i
        out.append(f'<line x1="{x}" y1="{y}" x2="{x + 22}" y2="{y}" stroke="{colour}" stroke-width="2.4"'
                   + (' stroke-dasharray="5 4"' if dashed else "") + "/>")
        out.append(text(x + 28, y + 4, label))
    return "\n".join(out + ["</svg>\n"])
