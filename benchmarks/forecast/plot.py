"""Expected and actual repeat purchases, week by week, as a picture: SVG, by hand."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

from contracts.errors import LivesegmentsError

_WIDTH, _HEIGHT = 860, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 20, 48, 52
_FONT: Final = 'font-family="sans-serif" font-size="13"'
_STYLES: Final = {"actual": ("#1b2634", ""), "mbg_nbd": ("#0b6bb8", "7 4"), "bg_nbd": ("#c2571a", "2 4")}
_NAMES: Final = {"actual": "actual", "mbg_nbd": "MBG/NBD", "bg_nbd": "BG/NBD"}


class PlotError(LivesegmentsError):
    """The picture can not be written."""


def draw(weeks: Sequence[dict[str, float]], title: str) -> str:
    """Lines of a report's `weeks` as SVG."""
    top = max(max(line[name] for name in _STYLES) for line in weeks) * 1.08 or 1.0
    step = _step(top)

    def x(week: float) -> float:
        return _LEFT + (week - 1) / max(len(weeks) - 1, 1) * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - value / top * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" {_FONT}>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="22" font-size="15">{escape(title)}</text>',
    ]
    for number in range(int(top / step) + 1):
        at = y(number * step)
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}" stroke="#dde3ea"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{number * step:,.0f}</text>')
    parts.extend(
        f'<text x="{x(week):.1f}" y="{_HEIGHT - _BOTTOM + 20}" text-anchor="middle">{week}</text>'
        for week in range(1, len(weeks) + 1, max(len(weeks) // 10, 1))
    )
    parts.append(f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 10}" text-anchor="middle">weeks after the cut</text>')
    for place, (name, (color, dashes)) in enumerate(_STYLES.items()):
        points = " ".join(f"{x(line['week']):.1f},{y(line[name]):.1f}" for line in weeks)
        style = f'fill="none" stroke="{color}" stroke-width="2" stroke-dasharray="{dashes}"'
        parts.append(f'<polyline points="{points}" {style}/>')
        at = _WIDTH - _RIGHT - 300 + 105 * place
        parts.append(f'<line x1="{at}" x2="{at + 26}" y1="38" y2="38" {style}/>')
        parts.append(f'<text x="{at + 32}" y="42">{_NAMES[name]}</text>')
    return "\n".join([*parts, "</svg>\n"])


def write(path: Path, weeks: Sequence[dict[str, float]], title: str) -> None:
    """Draw into a file. Raises PlotError."""
    if not weeks:
        raise PlotError("--plot: the table ends less than a week after --calibrate-until; choose an earlier date")
    try:
        path.write_text(draw(weeks, title), encoding="utf-8")
    except OSError as error:
        raise PlotError(f"{path}: can not be written: {error.strerror}") from error


def _step(top: float) -> float:
    """Between two lines of the grid: 1, 2 or 5 times a power of ten, some five lines in all."""
    size = 10.0 ** (len(str(int(max(top / 5, 1)))) - 1)
    return next(factor * size for factor in (1, 2, 5, 10) if factor * size >= top / 6)
