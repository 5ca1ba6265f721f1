"""Data: what became of events, by type; those that changed nothing, and those that could not be used."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from anyio import to_thread
from dash import Input, Output, html
from dash.development.base_component import Component

from contracts.documents import SegmentList, WorkerStatus
from contracts.times import from_micros
from dashboard.analysis import LettersOfReason
from dashboard.figures.quality import IGNORED, REASONS, TYPES, added, ordered
from dashboard.pages.import_table import import_table, reasons
from dashboard.pages.live import Snapshot
from dashboard.pages.page import PULSE, Callbacks, Page, Visit
from dashboard.pages.parts import PageParts
from dashboard.pages.visitor import may
from dashboard.pages.webhook_table import webhook_card
from dashboard.pages.widgets import attributes, card, clock, day, nothing, number, share, shown

_MEANT = {
    "repeated": "An event that counted before: nothing counts twice.",
    "late": "Older than the customer's newest event by more than the allowed lateness.",
    "erased": "Of somebody who asked to be forgotten, from before that.",
    "closed": "From before the time up to which a customer's events are closed.",
    "active": "Somebody was to be erased for silence, and came back.",
    "separate": "A customer was erased, and an id was no longer that customer's.",
    "elsewhere": "What another deployment on this log says of ids that are joined.",
}


async def layout(parts: PageParts, _: Visit) -> Component:
    """The page as it stands."""
    seen = await parts.live.current()
    return html.Div(
        [
            html.Div(numbers(seen), id="data-numbers", className="numbers"),
            html.Div(
                [
                    card(
                        "Events that counted",
                        html.Div(id="data-types"),
                        note="since the workers started",
                    ),
                    card(
                        "Valid, but changed nothing",
                        html.Div(id="data-ignored"),
                        note="since the workers started",
                    ),
                ],
                className="grid two",
            ),
            card(
                "Could not be used",
                html.Div(id="data-letters"),
                note="dead letters, counted on their log",
            ),
            html.Div(id="data-webhooks"),
            card(
                "Imports and replays",
                html.Div(id="data-imports"),
                note="the newest run of each set of files",
            ),
            card(
                "Guests",
                html.P(guests(seen.segments), id="data-guests"),
                html.P(
                    [
                        html.Code("livesegments import"),
                        " publishes orders that name no customer as those of guests: they count for recommendations",
                        ", and make no customer. ",
                        html.Code("livesegments replay"),
                        " leaves them out.",
                    ],
                    className="note",
                ),
            ),
        ]
    )


def register(callbacks: Callbacks, parts: PageParts) -> None:
    """What the page answers to."""

    @callbacks.on(
        Output("data-numbers", "children"),
        Output("data-types", "children"),
        Output("data-ignored", "children"),
        Output("data-guests", "children"),
        Input(PULSE, "data"),
    )
    async def follow(_: Any) -> Any:
        seen = await parts.live.current()
        ignored = added(seen.workers, "ignored")
        return (
            numbers(seen),
            counts(added(seen.workers, "events"), TYPES, "Nothing has counted yet."),
            [counts(ignored, IGNORED, "Every valid event changed something."), _explained(ignored)],
            guests(seen.segments),
        )

    @callbacks.on(Output("data-imports", "children"), Input(PULSE, "data"))
    async def imports(_: Any) -> Any:
        found = await to_thread.run_sync(parts.analysis.imports)
        left_out = reasons(found)
        return [
            html.Div([html.H3("Left out, by reason"), counts(left_out, {}, "")]) if left_out else None,
            import_table(found, parts.web.now(), names=may("audit:read")),
        ]

    @callbacks.on(Output("data-letters", "children"), Input("data-letters", "id"))
    async def letters(_: str) -> Any:
        found = await to_thread.run_sync(parts.analysis.letters)
        still = {one.reason: one.open for one in found}
        return [
            counts(
                still,
                REASONS,
                "Nothing waits to be looked at." if found else "Everything could be used so far.",
                wrong=True,
            ),
            told_letters(found, ids=may("ids")),
        ]

    @callbacks.on(Output("data-webhooks", "children"), Input("data-webhooks", "id"))
    async def webhooks(_: str) -> Any:
        if not may("webhooks:read"):
            return None
        return webhook_card(await to_thread.run_sync(parts.web.webhooks.states))


def counts(found: Mapping[str, int], words: Mapping[str, str], nobody: str, *, wrong: bool = False) -> Component:
    """A line for each: what it is, a bar, how many."""
    if not any(found.values()):
        return nothing(nobody)
    lines: list[Component] = []
    for name, count, part in ordered(found):
        bar = html.Div(
            html.Span(style={"width": f"{100 * part:.1f}%"}), className="bar", **attributes(aria_hidden="true")
        )
        lines += [html.Dt(words.get(name) or shown(name)), html.Dd(bar), html.Dd(f"{count:,}", className="figure")]
    return html.Dl(lines, className="counts wrong" if wrong else "counts")


def numbers(seen: Snapshot) -> list[Component]:
    """How many of each, since the workers started."""
    events, ignored, dead = (added(seen.workers, what) for what in ("events", "ignored", "dead_letters"))
    whole = events.total() + ignored.total() + dead.total()

    def part(counts: Mapping[str, int]) -> str:
        return share(sum(counts.values()) / whole) if whole else ""

    return [
        number("Events that counted", f"{events.total():,}", _since(seen.workers)),
        number("Changed nothing", f"{ignored.total():,}", part(ignored)),
        number("Could not be used", f"{dead.total():,}", part(dead), tone="bad" if dead else ""),
        number("Wait to be read", "–" if seen.lag is None else f"{seen.lag:,}"),
    ]


def guests(listed: SegmentList | None) -> str:
    """How much of the business nobody known does."""
    if listed is None or not listed.guest_orders:
        return "No order of a guest has counted so far."
    part = listed.guest_share_of_revenue
    told = f"{listed.guest_orders:,} orders are of guests"
    return f"{told}." if part is None else f"{told}: {share(part)} of revenue, less what came back."


def told_letters(found: Sequence[LettersOfReason], *, ids: bool) -> Component:
    """Each reason with the newest example; without the scope `ids` only what went wrong, since examples name people."""
    return html.Div(
        [
            html.Details(
                [
                    html.Summary(
                        [
                            html.Strong(REASONS.get(one.reason, shown(one.reason))),
                            f": {one.open:,} open, {one.replayed:,} replayed, {one.dropped:,} dropped",
                        ]
                    ),
                    html.P(shown(one.message)) if ids else None,
                    html.P(f"The newest of {_when(one.newest_at)}, from {shown(one.where)}.", className="note"),
                    html.Pre(_lines(one.text), className="example", tabIndex=0) if ids else None,
                ],
                className="letter",
            )
            for one in found
        ]
    )


def _explained(ignored: Counter[str]) -> Component | None:
    there = [reason for reason in _MEANT if ignored[reason]]
    if not there:
        return None
    return html.Ul([html.Li([html.Strong(IGNORED[one]), f": {_MEANT[one]}"]) for one in there])


def _since(workers: Sequence[WorkerStatus]) -> str:
    if not workers:
        return "no worker is there"
    first = min(one.started_at for one in workers)
    return f"since {day(first)}, {clock(first)} UTC"


def _when(micros: int) -> str:
    moment = from_micros(micros)
    return f"{day(moment)}, {clock(moment)} UTC"


def _lines(text: str) -> str:
    return "\n".join(shown(line) for line in text.split("\n"))


PAGE = Page(
    path="data", title="Data", icon="data", needs="analysis:read", layout=layout, register=register, analysts=True
)
