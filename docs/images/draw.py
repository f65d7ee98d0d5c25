#!/usr/bin/env python3
"""draw.py [--check]: draws the pictures of the README, each for light and dark pages. --check: fails if one is stale.

parts-*.svg shows the parts of the library; figures-*.svg the figures of figures.json, which come from `make bench`.
"""

import html
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
FONT = "font-family='-apple-system, Segoe UI, Helvetica, Arial, sans-serif'"
PALETTES = {
    "light": {"text": "#1f2328", "faint": "#59636e", "box": "#f6f8fa", "line": "#d1d9e0", "ours": "#0969da", "bar": "#afb8c1"},
    "dark": {"text": "#f0f6fc", "faint": "#9198a1", "box": "#151b23", "line": "#3d444d", "ours": "#4493f8", "bar": "#656c76"},
}


class Picture:
    def __init__(self, width, height, title, palette):
        self.palette = palette
        self.parts = [f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' "
                      f"height='{height}' role='img' {FONT}>", f"<title>{html.escape(title)}</title>"]

    def text(self, x, y, text, size=13, color="text", weight="normal", anchor="start"):
        self.parts.append(f"<text x='{x}' y='{y}' font-size='{size}' fill='{self.palette[color]}' font-weight='{weight}' "
                          f"text-anchor='{anchor}'>{html.escape(text)}</text>")

    def rect(self, x, y, width, height, fill="box", stroke="line", radius=6):
        edge = f" stroke='{self.palette[stroke]}'" if stroke else ""
        self.parts.append(f"<rect x='{x}' y='{y}' width='{width:g}' height='{height}' rx='{radius}' "
                          f"fill='{self.palette[fill]}'{edge}/>")

    def box(self, x, y, width, height, title, detail="", accent=False):
        self.rect(x, y, width, height, stroke="ours" if accent else "line")
        middle = x + width / 2
        top = y + height / 2 + (5 if not detail else -2)
        self.text(middle, top, title, 14, weight="bold", anchor="middle")
        if detail:
            self.text(middle, top + 18, detail, 12, "faint", anchor="middle")

    def arrow(self, x, y, to_x, to_y):
        color = self.palette["faint"]
        self.parts.append(f"<line x1='{x}' y1='{y}' x2='{to_x}' y2='{to_y}' stroke='{color}' stroke-width='1.5'/>")
        tip = f"{to_x},{to_y} {to_x - 4},{to_y - 7} {to_x + 4},{to_y - 7}" if to_y > y else \
              f"{to_x},{to_y} {to_x - 7},{to_y - 4} {to_x - 7},{to_y + 4}"
        self.parts.append(f"<polygon points='{tip}' fill='{color}'/>")

    def done(self):
        return "\n".join([*self.parts, "</svg>"]) + "\n"


def parts(palette):
    picture = Picture(800, 330, "The parts of wtgram", palette)
    for x, (title, detail) in zip((20, 285, 550), (("C", "wtgram.h"), ("C++17", "header-only wrapper"), ("Go", "cgo wrapper"))):
        picture.box(x, 10, 230, 48, title, detail)
        picture.arrow(x + 115, 58, x + 115, 82)
    picture.box(20, 82, 760, 40, "C interface: handles, statuses, one poller with one file descriptor", accent=True)
    uppers = ("reliability", "structured objects", "broadcaster", "monitor")
    for i, title in enumerate(uppers):
        picture.arrow(112.5 + i * 191.5, 122, 112.5 + i * 191.5, 144)
        picture.box(20 + i * 191.5, 144, 185, 36, title)
        picture.arrow(112.5 + i * 191.5, 180, 112.5 + i * 191.5, 202)
    picture.box(20, 202, 760, 40, "transports: queues, priorities, TTL, outcomes, statistics", accent=True)
    picture.arrow(400, 242, 400, 264)
    picture.box(20, 264, 760, 54, "sessions on lanes", "HTTP/3 and WebTransport (wtransport), QUIC (quinn-proto), TLS (rustls), UDP sockets")
    return picture.done()


def figures(palette):
    data = json.loads((HERE / "figures.json").read_text(encoding="utf-8"))
    row, left, width = 26, 230, 470
    height = 40 + sum(30 + row * len(group["bars"]) + 10 for group in data["groups"]) + 24
    picture = Picture(800, height, f"{data['unit']}, {data['date']}", palette)
    picture.text(20, 24, data["unit"][0].upper() + data["unit"][1:], 14, weight="bold")
    y = 40
    for group in data["groups"]:
        picture.text(20, y + 20, group["title"], 13, "faint", "bold")
        y += 30
        most = max(bar["value"] for bar in group["bars"])
        for bar in group["bars"]:
            length = max(2, width * bar["value"] / most)
            picture.text(left - 10, y + 16, bar["name"], 12, anchor="end")
            picture.rect(left, y + 4, length, row - 10, "ours" if bar.get("ours") else "bar", None, 3)
            picture.text(left + length + 8, y + 16, f"{bar['value']:.2f}", 12)
            y += row
        y += 10
    picture.text(20, y + 14, f"{data['command']}, {data['date']}: {data['machine']}", 11, "faint")
    return picture.done()


def main():
    stale = []
    for mode, palette in PALETTES.items():
        for name, draw in (("parts", parts), ("figures", figures)):
            path, made = HERE / f"{name}-{mode}.svg", draw(palette)
            if "--check" in sys.argv[1:]:
                if not path.exists() or path.read_text(encoding="utf-8") != made:
                    stale.append(path.name)
            else:
                path.write_text(made, encoding="utf-8")
    if stale:
        sys.exit(f"stale: {', '.join(stale)}; run docs/images/draw.py")


if __name__ == "__main__":
    main()
