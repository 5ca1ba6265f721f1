"""The report: one HTML file with everything in it. What the data say is text in it, never markup or script."""

import html
import json
from collections.abc import Iterator, Sequence
from importlib import resources
from typing import Any, Final

from contracts.errors import LivesegmentsError
from livesegments import __version__
from livesegments.explore.drawing import Figure
from livesegments.explore.figures import Section, sections
from livesegments.explore.findings import Column, Exploration, NumberColumn, Outliers, Table

COLOURS: Final = 8
"""Of a figure: `--c0` and on in the style sheet, used again from the first one after the last."""
_POLICY: Final = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
"""The page fetches nothing, whatever stands in it."""


class PlotlyMissingError(LivesegmentsError):
    """The report needs plotly, which is not installed."""


def page(found: Exploration) -> str:
    """The report as HTML, with plotly.js inside. Raises PlotlyMissingError."""
    try:
        from plotly.offline import get_plotlyjs  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        raise PlotlyMissingError(
            "to draw a report, pip install 'livesegments[explore]'; --json needs nothing"
        ) from None
    parts = list(sections(found))
    figures = [figure for section in parts for figure in section.figures]
    title = f"Exploration of {found.source}"
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{_text(title)}</title>",
            f"<style>{_resource('page.css')}</style>",
            "</head>",
            "<body>",
            *_head(found, title, parts),
            "<main>",
            *_body(found, parts),
            "</main>",
            f"<footer>livesegments {_text(__version__)}, {_text(_minute(found.explored_at))}</footer>",
            f'<script type="application/json" id="figures">{_data([figure.spec for figure in figures])}</script>',
            f"<script>{get_plotlyjs()}</script>",
            f"<script>{_resource('page.js')}</script>",
            "</body>",
            "</html>",
        ]
    )


def _head(found: Exploration, title: str, parts: Sequence[Section]) -> Iterator[str]:
    yield f"<header><h1>{_text(title)}</h1>"
    yield from (f'<p class="quiet">{_text(note)}</p>' for note in found.notes)
    facts = "".join(f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in found.facts)
    yield f'<dl class="facts">{facts}</dl>'
    links = "".join(f'<a href="#s{number}">{_text(part.title)}</a>' for number, part in enumerate(parts))
    yield f"<nav>{links}</nav></header>"


def _body(found: Exploration, parts: Sequence[Section]) -> Iterator[str]:
    tables: list[Table | None] = [None] * (len(parts) - len(found.tables)) + list(found.tables)
    number = 0
    for place, (part, table) in enumerate(zip(parts, tables, strict=True)):
        yield f'<section id="s{place}"><h2>{_text(part.title)}</h2>'
        if table is not None:
            yield f'<p class="quiet">{_text(table.about)} {table.rows:,} rows, {len(table.columns)} columns.</p>'
            yield _columns(table)
        elif found.orders is not None:
            yield f'<p class="quiet">{_text(_used(found.orders.used, dict(found.orders.skipped)))}</p>'
        yield '<div class="grid">'
        for figure in part.figures:
            yield _figure(figure, number)
            number += 1
        yield "</div>"
        if table is not None and table.outliers is not None and table.outliers.farthest:
            yield _farthest(table.outliers)
        yield "</section>"


def _used(used: int, skipped: dict[str, int]) -> str:
    left = ", ".join(f"{count:,} {reason}" for reason, count in skipped.items())
    return f"{used:,} rows are order lines of customers" + (f"; left out: {left}." if left else ".")


def _figure(figure: Figure, number: int) -> str:
    height = int(figure.spec["layout"].get("height", 320))
    return (
        f"<figure{' class=wide' if figure.wide else ''}><figcaption><h3>{_text(figure.title)}</h3>"
        f"<p>{_text(figure.note)}</p>{_legend(figure.legend)}</figcaption>"
        f'<div class="plot" id="plot-{number}" style="min-height:{height}px"></div></figure>'
    )


def _legend(names: Sequence[str]) -> str:
    dots = "".join(
        f'<span style="--of:var(--c{place % COLOURS})">{_text(name)}</span>' for place, name in enumerate(names)
    )
    return f'<div class="legend">{dots}</div>' if names else ""


def _columns(table: Table) -> str:
    heads = ("column", "kind", "missing", "different", "median", "5 % to 95 %", "mean")
    rows = [_column_cells(column, table.rows) for column in table.columns]
    return _html_table(heads, rows, names=2)


def _column_cells(column: Column, rows: int) -> list[str]:
    missing = f"{column.missing / rows:.1%}" if column.missing else "–"
    cells = [column.name, column.kind, missing, f"{column.distinct:,}" if column.kind != "time" else ""]
    if isinstance(column, NumberColumn):
        quantiles = column.quantiles
        cells += [
            f"{quantiles['median']:,.4g}",
            f"{quantiles['p05']:,.4g} to {quantiles['p95']:,.4g}",
            f"{column.mean:,.4g}",
        ]
    elif column.kind == "time":
        cells += ["", f"{column.first[:10]} to {column.last[:10]}", ""]
    else:
        cells += ["", "", ""]
    return cells


def _farthest(found: Outliers) -> str:
    rows = [
        [one.row, ", ".join(f"{name} {value:,.6g} (z {one.z[name]:+.1f})" for name, value in one.values.items())]
        for one in found.farthest
    ]
    return _html_table(("row", "values that lie far out"), rows, names=2)


def _html_table(heads: Sequence[str], rows: Sequence[Sequence[str]], names: int) -> str:
    """A table whose first columns are texts, the others numbers."""
    kinds = ["name" if place < names else "number" for place in range(len(heads))]
    head = "".join(f'<th class="{kind}">{_text(one)}</th>' for one, kind in zip(heads, kinds, strict=True))
    body = "".join(
        "<tr>"
        + "".join(f'<td class="{kind}">{_text(one)}</td>' for one, kind in zip(row, kinds, strict=True))
        + "</tr>"
        for row in rows
    )
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _minute(moment: str) -> str:
    """An RFC 3339 time in UTC as people write it."""
    return f"{moment[:10]} {moment[11:16]} UTC"


def _text(text: str) -> str:
    return html.escape(text)


def _data(value: Any) -> str:
    """JSON for a script element: nothing in it can end the element or begin a comment."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _resource(name: str) -> str:
    return resources.files("livesegments.explore").joinpath(name).read_text(encoding="utf-8")
