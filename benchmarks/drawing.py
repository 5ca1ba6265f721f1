"""Plots as small SVG files, put together by hand: bars, and a line over time."""

from collections.abc import Sequence
from html import escape
from typing import Final

_WIDTH: Final = 720
_BAR: Final = 26
_LEFT: Final = 190
_HEIGHT: Final = 220
_STYLE: Final = (
    "<style>text{font:13px system-ui,sans-serif;fill:#57606a}.us{fill:#2f7d5b}.them{fill:#9aa4ae}"
    "path{fill:none;stroke:#2f7d5b;stroke-width:2}line{stroke:#d0d7de}</style>"
)


def _svg(height: int, title: str, body: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">'
    return "\n".join((head, f"<title>{escape(title)}</title>", _STYLE, *body, "</svg>\n"))


def bars(title: str, values: Sequence[tuple[str, float]], ours: str) -> str:
    """A bar for each value, longest where it is largest; those that begin with `ours` stand out."""
    most = max(value for _, value in values)
    body = []
    for place, (name, value) in enumerate(values):
        y, length = place * _BAR + 4, value / most * (_WIDTH - _LEFT - 90)
        kind = "us" if name.startswith(ours) else "them"
        body += [
            f'<text x="{_LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" x="{_LEFT}" y="{y}" width="{length:.1f}" height="{_BAR - 8}"/>',
            f'<text x="{_LEFT + length + 6:.1f}" y="{y + 14}">{value:,.0f}</text>',
        ]
    return _svg(len(values) * _BAR + 8, title, body)


def line(title: str, points: Sequence[tuple[float, float]], unit: str) -> str:
    """One figure over seconds, from 0 on."""
    last, most = max(x for x, _ in points) or 1.0, max(y for _, y in points) or 1.0
    low, right = _HEIGHT - 24, _WIDTH - 12
    places = [(60 + x / last * (right - 60), low - y / most * (low - 16)) for x, y in points]
    path = "M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in places)
    body = [
        f'<line x1="60" y1="{low}" x2="{right}" y2="{low}"/><line x1="60" y1="16" x2="60" y2="{low}"/>',
        f'<text x="54" y="20" text-anchor="end">{most:,.0f}</text><text x="54" y="{low}" text-anchor="end">0</text>',
        f'<text x="{right}" y="{_HEIGHT - 6}" text-anchor="end">{last:,.0f} s</text>',
        f'<text x="68" y="20">{escape(unit)}</text><path d="{path}"/>',
    ]
    return _svg(_HEIGHT, title, body)
