"""Plots as SVG, written by hand: bars, and lines over a linear or a logarithmic axis."""
import html
import math

from .processes import ROOT

FOLDER = ROOT / "bench" / "plots"
WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 90, 20, 50, 60
COLOURS = ["#0b6e4f", "#c8553d", "#2d5d8b", "#8a6d3b"]
TICKS = 5


def bars(name, title, unit, values):
    """One bar for each name, longest first."""
    values = sorted(values.items(), key=lambda item: -item[1])
    step = (HEIGHT - TOP - BOTTOM) / max(len(values), 1)
    left = 130
    scale = (WIDTH - left - 110) / max(value for _, value in values)
    drawn = []
    for number, (label, value) in enumerate(values):
        y = TOP + number * step
        colour = COLOURS[0] if label == "candeliver" else "#9aa5a0"
        drawn.append(f'<rect x="{left}" y="{y + 4:.1f}" width="{value * scale:.1f}" height="{step - 8:.1f}" '
                     f'fill="{colour}"/>')
        drawn.append(text(left - 8, y + step / 2 + 4, label, "end"))
        drawn.append(text(left + value * scale + 6, y + step / 2 + 4, f"{value:,.0f}"))
    drawn.append(text(WIDTH / 2, HEIGHT - 20, unit, "middle"))
    save(name, title, drawn)


def lines(name, title, x_label, y_label, series, log_x=False, log_y=False):
    """One line for each name; points are (x, y)."""
    points = [point for line in series.values() for point in line]
    x_at = axis([x for x, _ in points], LEFT, WIDTH - RIGHT, log_x)
    y_at = axis([y for _, y in points], HEIGHT - BOTTOM, TOP, log_y)
    drawn = []
    for value in ticks([x for x, _ in points], log_x):
        drawn.append(rule(x_at(value), TOP, x_at(value), HEIGHT - BOTTOM))
        drawn.append(text(x_at(value), HEIGHT - BOTTOM + 18, number(value), "middle"))
    for value in ticks([y for _, y in points], log_y):
        drawn.append(rule(LEFT, y_at(value), WIDTH - RIGHT, y_at(value)))
        drawn.append(text(LEFT - 8, y_at(value) + 4, number(value), "end"))
    for place, (label, line) in enumerate(series.items()):
        colour = COLOURS[place % len(COLOURS)]
        path = " ".join(f"{x_at(x):.1f},{y_at(y):.1f}" for x, y in line)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        drawn += [f'<circle cx="{x_at(x):.1f}" cy="{y_at(y):.1f}" r="3" fill="{colour}"/>' for x, y in line]
        drawn.append(text(LEFT + 12, TOP + 16 + 18 * place, label, colour=colour))
    drawn.append(text((LEFT + WIDTH) / 2, HEIGHT - 14, x_label, "middle"))
    drawn.append(text(10, TOP - 10, y_label))
    save(name, title, drawn)


def axis(values, from_pixel, to_pixel, log):
    low, high = bounds(values, log)
    place = math.log10 if log else float
    span = place(high) - place(low) or 1
    return lambda value: from_pixel + (place(value) - place(low)) / span * (to_pixel - from_pixel)


def bounds(values, log):
    if log:
        return 10 ** math.floor(math.log10(min(values))), 10 ** math.ceil(math.log10(max(values)))
    return 0, max(values) * 1.05


def ticks(values, log):
    low, high = bounds(values, log)
    if log:
        return [10**power for power in range(round(math.log10(low)), round(math.log10(high)) + 1)]
    size = 10 ** math.floor(math.log10(high / TICKS))
    step = next(size * part for part in (1, 2, 5, 10) if high / (size * part) <= TICKS + 1)
    return [step * count for count in range(int(high / step) + 1)]


def number(value):
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:g}"


def rule(x1, y1, x2, y2):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#ddd"/>'


def text(x, y, words, anchor="start", colour="#222"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{html.escape(str(words))}</text>'


def save(name, title, drawn):
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.svg").write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n'
        f'<text x="{WIDTH / 2}" y="24" text-anchor="middle" font-size="16">{html.escape(title)}</text>\n'
        + "\n".join(drawn) + "\n</svg>\n")
