"""What imports and replays of files came to, on the page *Data*: what was published, what was left out, and why."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from dash import html
from dash.development.base_component import Component

from contracts.documents import ImportReport, LeftOut
from contracts.times import to_micros
from dashboard.pages.widgets import Children, clock, day, nothing, seconds, shown, table

SILENT: Final = 30.0
"""Seconds without a word of a run that is at work; one that is writes every five."""
_OPEN: Final = 3
"""Reasons of one run that stand in its row; the others are below a click."""


def reasons(found: Sequence[ImportReport]) -> Counter[str]:
    """Rows that were left out, by reason, in all runs that are kept."""
    total: Counter[str] = Counter()
    for report in found:
        for one in report.left_out:
            total[_sentence(one.reason)] += one.rows
        if report.refused:
            total["Orders that no event can be"] += report.refused
    return total


def import_table(found: Sequence[ImportReport], now: int, *, names: bool) -> Component:
    """A row for each run, the newest first; `names`: with the names of keys. `now` in microseconds UTC."""
    if not found:
        return nothing("No files were imported or replayed so far.")
    return table(
        ("Files", "Published", "Left out"),
        [_row(one, now, names=names) for one in found],
        right=(1,),
        caption="Imports and replays of files, the newest first",
    )


def _row(one: ImportReport, now: int, *, names: bool) -> list[Children]:
    files = ", ".join(shown(name) for name in one.files)
    if one.more_files:
        files += f" and {one.more_files:,} more"
    return [
        html.Span([html.Strong(files), html.Br(), html.Span(_when(one, names=names), className="note")]),
        html.Span([f"{one.published:,}", html.Br(), html.Span(_how(one, now), className="note")]),
        _left_out(one),
    ]


def _when(one: ImportReport, *, names: bool) -> str:
    what = "Replayed" if one.command == "replay" else "Imported"
    where = "on the command line" if one.who is None else "by page"
    if one.who and names:
        where += f" by {one.who}"
    return f"{what} {where}, {day(one.started_at)}, {clock(one.started_at)} UTC"


def _how(one: ImportReport, now: int) -> str:
    """Of what, and how it ended."""
    rows = f"events, from {one.rows:,} rows"
    if one.outcome == "done":
        return rows
    told = f"of {one.events:,} {rows}"
    silent = (now - to_micros(one.at)) / 1e6
    if one.outcome == "publishing":
        return told if silent < SILENT else f"{told}; silent for {seconds(silent)}"
    return f"{told}; then it was stopped"


def _left_out(one: ImportReport) -> Children:
    told = [_reason(reason) for reason in one.left_out]
    if one.refused:
        told.append(html.Li(f"{one.refused:,}: orders that no event can be"))
    if not told:
        return "nothing"
    first = html.Ul(told[:_OPEN], className="reasons")
    if len(told) <= _OPEN:
        return first
    more = html.Details([html.Summary(f"{len(told) - _OPEN} more"), html.Ul(told[_OPEN:], className="reasons")])
    return html.Div([first, more])


def _reason(one: LeftOut) -> Component:
    place = f" (first: row {one.row:,} of {shown(one.file)})" if one.file is not None and one.row is not None else ""
    return html.Li([f"{one.rows:,}: {shown(one.reason)}", html.Span(place, className="note")])


def _sentence(reason: str) -> str:
    return shown(reason[:1].upper() + reason[1:])
