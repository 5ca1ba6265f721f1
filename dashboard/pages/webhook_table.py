"""How the endpoints of webhooks are doing, as a card; nothing where there are none."""

from collections.abc import Sequence
from typing import Final

from dash import html
from dash.development.base_component import Component

from contracts.times import from_micros
from dashboard.pages.widgets import card, clock, day, shown, table
from dashboard.webhooks import State, WebhookState

_STATES: Final[dict[State, str]] = {
    "delivering": "is told",
    "failing": "does not take changes in; they wait",
    "giving up": "has failed for too long; each change is tried once",
    "stopped": "nobody tells it: start livesegments webhooks run",
    "never ran": "was never told anything: start livesegments webhooks run",
}


def webhook_card(states: Sequence[WebhookState]) -> Component | None:
    """The card, or nothing."""
    if not states:
        return None
    return card(
        "Webhooks",
        table(
            ("Endpoint", "State", "Taken in", "Waiting", "Dead letters"),
            [_row(one) for one in states],
            right=(2, 3, 4),
            caption="Endpoints of webhooks and how they are doing",
        ),
        html.P(
            [
                "What was not taken in is shown and sent again by ",
                html.Code("livesegments webhooks"),
                " or over the HTTP API.",
            ],
            className="note",
        ),
        note="other systems that are told of changes",
    )


def _row(one: WebhookState) -> list[Component | str]:
    error = shown(one.error)
    if one.failing_since is not None:
        moment = from_micros(one.failing_since)
        error = f"{error}, since {day(moment)}, {clock(moment)} UTC"
    return [
        html.Span([html.Strong(one.name), html.Br(), html.Span(shown(one.url), className="note")]),
        html.Span([_STATES[one.state], html.Br(), html.Span(error, className="note")]) if error else _STATES[one.state],
        f"{one.delivered:,}",
        "–" if one.waiting is None else f"{one.waiting:,}",
        f"{one.dead_letters:,}" + (f", {one.trying_again:,} being sent again" if one.trying_again else ""),
    ]
