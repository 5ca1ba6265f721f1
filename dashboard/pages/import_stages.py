"""What the page of imports shows at each stage."""

from collections.abc import Callable, Mapping
from typing import Any, Final
from zoneinfo import available_timezones

from dash import dcc, html
from dash.development.base_component import Component

from dashboard.imports import Asked, ImportState, Step, Understood
from dashboard.pages.corrections import WHAT
from dashboard.pages.widgets import attributes, card, nothing, number, shown, table

Cards = list[Component | None]
_VALUES: Final = {"dmy": "day first", "mdy": "month first", "ymd": "year first"}
_FIELDS: Final = {
    "customer_id": "Customer",
    "email": "Customer's e-mail address",
    "order_id": "Order",
    "occurred_at": "When",
    "item_id": "Item",
    "name": "Item's name",
    "category": "Item's category",
    "quantity": "How many",
    "unit_price": "Price of one",
    "amount": "Price of the line",
    "currency": "Currency",
    "decimal": "Decimal sign",
    "time_format": "Dates",
    "zone": "Time zone",
}


def body(state: ImportState, room: int) -> Cards:
    """What stands there at this stage."""
    return [_choose(room)] if state.stage == "choose" else _STAGES[state.stage](state)


def progress(step: Step | None) -> Component | None:
    """How far it is."""
    if step is None:
        return None
    told = f"{shown(step.doing)}: {step.done:,}" + (f" of {step.of:,}" if step.of else " rows")
    part = min(1.0, step.done / step.of) if step.of else None
    bar = (
        html.Div(html.Span(style={"width": f"{100 * part:.1f}%"}), className="bar", **attributes(aria_hidden="true"))
        if part is not None
        else None
    )
    return card(None, html.P(told[0].upper() + told[1:], className="import-step"), bar, name="import-bar")


def _choose(room: int) -> Component:
    if not room:
        return card("Import", nothing("This is a demonstration: nothing is imported into it."))
    return card(
        "Your shop's own orders",
        html.P(
            "Choose exports of your shop as they are: CSV of any kind, Excel, JSON lines or Parquet. Nothing is"
            " published before you have seen what was understood, with totals to hold against your books."
        ),
        html.Ul(
            [
                html.Li("Where orders and their lines are in two files, choose both at once."),
                html.Li("Several files of the same columns, such as one a month, are read as one."),
                html.Li("The same file again changes nothing: every order counts once."),
                html.Li(
                    "History first: import it before live orders come in, or the old ones may be too late to count."
                ),
            ]
        ),
        html.Div(
            [
                html.Button("Choose files", id="import-choose", className="button primary", type="button"),
                html.Span(f"or drop them here; {_size(room)} together at most", className="note"),
            ],
            id="import-drop",
            className="drop",
            **attributes(data_room=str(room)),
        ),
        html.P(id="import-status", className="note", role="status"),
    )


def _looking(state: ImportState) -> Cards:
    return [card("Looking at the files", _names(state), html.Div(_over("Cancel"), className="row"))]


def _publishing(state: ImportState) -> Cards:
    return [
        card(
            "Publishing",
            _names(state),
            html.P("You may leave this page: it goes on, and what came of it stands here.", className="note"),
        )
    ]


def _failed(state: ImportState) -> Cards:
    return [
        card(
            "This could not be read",
            *(html.P(shown(line), className="wrong") for line in state.problem.splitlines()),
            _names(state),
            _correction(state),
            html.Div(_over("Choose other files"), className="row"),
        )
    ]


def _question(state: ImportState) -> Cards:
    asked = state.asked
    if asked is None:
        return []
    text = asked.text[0].upper() + asked.text[1:]
    buttons = [
        html.Button(
            shown(meaning[0].upper() + meaning[1:]) if place < len(asked.choices) and not asked.key else shown(meaning),
            id={"type": "import-answer", "place": place},
            className="button",
        )
        for place, (meaning, _) in enumerate(asked.choices)
    ]
    return [
        card(
            "One question",
            html.P(shown(text), className="import-question"),
            html.Div(buttons, className="stack") if buttons else None,
            _own_words(asked, state) if asked.key else None,
            _names(state),
            html.Div(_over("Choose other files"), className="row"),
            note="what the files do not say",
        )
    ]


def _own_words(asked: Asked, state: ImportState) -> Component:
    """An entry for any text; of time zones all there are are proposed."""
    zones = sorted(available_timezones()) if asked.key == "zone" else []
    return html.Div(
        [
            html.Div(
                [
                    html.Label("Or enter it" if asked.choices else "Your answer", htmlFor=_id("import-text", state)),
                    dcc.Input(
                        id={"type": "import-text", "turn": state.turn},
                        type="text",
                        autoComplete="off",
                        list="import-zones" if zones else "",
                        placeholder="Europe/Berlin" if zones else "EUR" if asked.key == "set.currency" else "",
                    ),
                    html.Datalist([html.Option(value=one) for one in zones], id="import-zones") if zones else None,
                ],
                className="field",
            ),
            html.Button("Answer", id={"type": "import-answer", "place": -1}, className="button primary"),
        ],
        className="row import-own",
    )


def _shown(state: ImportState) -> Cards:
    found = state.understood
    if found is None:
        return []
    made = [
        [_FIELDS.get(one.what, shown(one.what)), _VALUES.get(one.value, shown(one.value)), shown(one.because)]
        for one in found.made
    ]
    orders = [
        [
            shown(one.order) + (" (came back)" if one.returned else ""),
            "guest" if one.customer is None else shown(one.customer),
            one.when,
            html.Div([html.Div(shown(line)) for line in one.lines]),
            one.total,
        ]
        for one in found.orders
    ]
    return [
        _confirm(found, state),
        card(
            "The first orders, as they are understood",
            table(("Order", "Customer", "When", "What", "Sum"), orders, right=(4,), caption="The first orders"),
            note="are days, prices and customers right?",
        ),
        card(
            "Totals",
            _totals(found),
            *(html.P(shown(one)) for one in found.said),
            note="hold them against your books",
        ),
        _unread(found),
        card(
            "What was made out",
            table(("What", "Is", "Because"), made, caption="What was made out, and by what"),
            _correction(state),
        ),
    ]


def _confirm(found: Understood, state: ImportState) -> Component:
    buttons = [_over("Choose other files")]
    if found.events and not found.obstacles:
        buttons.insert(
            0,
            html.Button(
                f"Publish {found.events:,} events",
                id={"type": "import-do", "act": "publish"},
                className="button primary",
            ),
        )
    return card(
        "Is this right?",
        html.Div(
            [
                number("Rows read", f"{found.rows:,}"),
                number("Lines of orders", f"{found.lines:,}"),
                number("Customers", f"{found.customers:,}"),
                number("Orders of guests", f"{found.guests:,}"),
                number("Could not be used", f"{sum(found.unread.values()):,}", "rows"),
            ],
            className="numbers",
        ),
        *(html.P(shown(one), className="wrong") for one in found.obstacles),
        None if found.events else nothing("There is no order in these files that could be published."),
        _names(state),
        html.Div(buttons, className="row"),
        note="nothing is published yet",
    )


def _totals(found: Understood) -> Component:
    titles = ["Month", "Orders", "Returns"]
    for currency in found.currencies:
        titles += [f"Revenue {shown(currency)}", f"Refunds {shown(currency)}"]
    *months, total = found.months
    rows: list[list[Any]] = [[shown(cell) for cell in row] for row in months]
    rows.append([html.Strong(shown(cell)) for cell in total])
    return table(titles, rows, right=range(1, len(titles)), caption="Orders and money by month")


def _unread(found: Understood) -> Component | None:
    if not found.unread and not found.refused:
        return None
    rows = [[shown(reason), f"{count:,}"] for reason, count in sorted(found.unread.items(), key=lambda one: -one[1])]
    return card(
        "What could not be read",
        table(("Why", "Rows"), rows, right=(1,), caption="Rows that could not be used, by reason") if rows else None,
        html.Div([html.P("These orders are left out:"), html.Ul([html.Li(shown(one)) for one in found.refused])])
        if found.refused
        else None,
        note="left out; all else counts",
    )


def _correction(state: ImportState) -> Component:
    """For a guess that is wrong."""
    return html.Details(
        [
            html.Summary("Something is not right"),
            html.Div(
                [
                    html.Div(
                        [
                            html.Label("What", htmlFor=_id("import-what", state)),
                            dcc.Dropdown(
                                id={"type": "import-what", "turn": state.turn},
                                options=[{"label": label, "value": key} for key, label in WHAT.items()],
                                value=next(iter(WHAT)),
                                clearable=False,
                            ),
                        ],
                        className="field",
                    ),
                    html.Div(
                        [
                            html.Label("Is", htmlFor=_id("import-value", state)),
                            dcc.Input(
                                id={"type": "import-value", "turn": state.turn},
                                type="text",
                                autoComplete="off",
                                list=_id("import-values", state),
                            ),
                            html.Datalist(id={"type": "import-values", "turn": state.turn}),
                        ],
                        className="field",
                    ),
                    html.Button("Look again", id={"type": "import-correct", "turn": state.turn}, className="button"),
                ],
                className="row",
            ),
        ],
        className="by-numbers",
        open=state.stage == "failed",
    )


def _done(state: ImportState) -> Cards:
    done = state.published
    if done is None:
        return []
    unread = _unread(state.understood) if state.understood is not None else None
    kept = (
        html.P(f"Files with these columns are read like this from now on: “{shown(done.name)}” in {done.file}.")
        if not done.entry
        else html.Div(
            [
                html.P(
                    "Files with these columns are read like this until livesegments starts again. It could not be"
                    " written into a settings file: to keep it for good, put this there."
                ),
                html.Pre(shown_lines(done.entry), id="import-entry", className="example", tabIndex=0),
                html.Button("Copy", id="import-copy", className="button small"),
            ]
        )
    )
    return [
        card(
            html.Span([html.Span(f"{done.events:,}", id="import-count"), " events published"]),
            html.P("The workers take them in now: customers and segments follow within minutes."),
            kept,
            _names(state),
            html.Div(_over("Import more"), className="row"),
        ),
        unread,
    ]


def _names(state: ImportState) -> Component:
    return html.P(
        ", ".join(f"{shown(one.name)} ({_size(one.size)})" for one in state.uploads), className="note import-names"
    )


def _over(label: str) -> Component:
    return html.Button(label, id={"type": "import-do", "act": "drop"}, className="button")


def shown_lines(text: str) -> str:
    """A text of several lines, see `shown`."""
    return "\n".join(shown(line) for line in text.split("\n"))


def _size(size: int) -> str:
    """Bytes as one says them.

    >>> _size(300), _size(5 * 1024**2), _size(512 * 1024**2)
    ('1 KiB', '5.0 MiB', '512 MiB')
    """
    if size < 1024**2:
        return f"{-(-size // 1024):,} KiB"
    return f"{size / 1024**2:,.1f} MiB" if size < 100 * 1024**2 else f"{size / 1024**2:,.0f} MiB"


def _id(kind: str, state: ImportState) -> str:
    """The id that Dash gives an element of that kind and turn."""
    return f'{{"turn":{state.turn},"type":"{kind}"}}'


_STAGES: Final[Mapping[str, Callable[[ImportState], Cards]]] = {
    "looking": _looking,
    "asking": _question,
    "shown": _shown,
    "publishing": _publishing,
    "done": _done,
    "failed": _failed,
}
