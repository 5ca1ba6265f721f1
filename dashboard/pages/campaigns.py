"""Campaigns: who was frozen, how far each one is, and what the treated did more, with its interval."""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from anyio import to_thread
from dash import ALL, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from contracts.campaigns import MAX_NAME, Campaign, CampaignResults, Effect, GroupOutcome
from contracts.errors import LivesegmentsError
from contracts.times import to_micros
from dashboard import campaign_words as words
from dashboard.figures.effect import HEIGHT, effect_figure
from dashboard.pages.downloads import downloads
from dashboard.pages.page import ADDRESS, MODE, PREFIX, Callbacks, Page, Visit
from dashboard.pages.parts import PageParts
from dashboard.pages.theme import Mode
from dashboard.pages.visitor import require
from dashboard.pages.widgets import attributes, card, day, figure, money, nothing, number, share, shown, table

_HERE: Final = f"{PREFIX}campaigns"
_CONTROL: Final = 10
_DAYS: Final = 28
_DONE: Final = {"start": "Start it now", "stop": "Stop it", "results": "Work out what came of it"}


class EntryError(LivesegmentsError):
    """What was entered is no number."""


Measures = tuple[tuple[str, Effect, float, str], ...]


async def layout(parts: PageParts, visit: Visit) -> Component:
    """The page as it stands: one campaign where the address names one."""
    found = await to_thread.run_sync(parts.web.campaigns.all)
    now = await to_thread.run_sync(parts.web.campaigns.now)
    asked = visit.query.get("name", "")
    chosen = next((one for one in found if one.name == asked), None)
    may_write = "campaigns:write" in visit.caller.scopes
    body: list[Component | None] = []
    if chosen is not None:
        body.append(html.Div(_one(chosen, now, parts, visit), id="campaigns-one"))
    elif asked:
        body.append(card("There is no such campaign", html.P(shown(asked))))
    body += [_all(list(found), now, parts.currency), _new(parts) if may_write else None]
    return html.Div(body)


def register(callbacks: Callbacks, parts: PageParts) -> None:
    """What the page answers to."""
    desk = parts.web.campaigns

    @callbacks.on(
        Output(ADDRESS, "search", allow_duplicate=True),
        Input("campaigns-create", "n_clicks"),
        State("campaigns-name", "value"),
        State("campaigns-audience", "value"),
        State("campaigns-control", "value"),
        State("campaigns-days", "value"),
        prevent_initial_call=True,
        needs="campaigns:write",
    )
    async def create(
        pressed: int | None, name: str | None, audience: str, control: str | None, days: str | None
    ) -> Any:
        if not pressed:
            return no_update
        share, length = _number(control, "what is held back") / 100, _number(days, "the days")
        if not length.is_integer():
            raise EntryError("Enter a whole number of days.")
        told = name or ""
        made = await _noted(parts, f"create {told}", lambda: desk.create(told, audience, share, int(length)))
        return _address(made.name)

    @callbacks.on(
        Output(ADDRESS, "search", allow_duplicate=True),
        Input({"type": "campaigns-do", "act": ALL, "name": ALL}, "n_clicks"),
        prevent_initial_call=True,
        needs="campaigns:write",
    )
    async def do(pressed: list[int | None]) -> Any:
        if not any(pressed) or not ctx.triggered_id:
            return no_update
        act, name = ctx.triggered_id["act"], ctx.triggered_id["name"]
        work: dict[str, Callable[[str], Campaign]] = {"start": desk.start, "stop": desk.stop, "results": desk.results}
        done = await _noted(parts, f"{act} {name}", lambda: work[act](name))
        return _address(done.name, done)

    @callbacks.on(
        Output({"type": "campaigns-figure", "place": ALL}, "figure"),
        Input(MODE, "data"),
        Input("campaigns-effects", "data"),
    )
    async def draw(mode: Mode | None, effects: list[dict[str, Any]] | None) -> Any:
        return [
            effect_figure(Effect(**one["effect"]), one["scale"], one["unit"], mode or "light") for one in effects or []
        ]


async def _noted(parts: PageParts, what: str, work: Callable[[], Campaign]) -> Campaign:
    caller = require("campaigns:write")
    await parts.web.audit.noted(parts.web.now(), caller.name, "campaign", what)
    return await to_thread.run_sync(work)


def _address(name: str, done: Campaign | None = None) -> str:
    # The address of the page as it stands would not be gone to again.
    state = "" if done is None else f"&at={hash((done.started_at, done.ends_at, done.results)) & 0xFFFFFFFF:x}"
    return f"?name={quote(name, safe='')}{state}"


def _new(parts: PageParts) -> Component:
    if not parts.conditions:
        return card("A new campaign", nothing("It takes an audience: settings name none yet."))
    names = [{"label": shown(one), "value": one} for one in parts.conditions]
    return card(
        "A new campaign",
        html.Div(
            [
                _entry("Name", "campaigns-name", "", maxLength=MAX_NAME, autoComplete="off"),
                html.Div(
                    [
                        html.Label("Audience", htmlFor="campaigns-audience"),
                        dcc.Dropdown(id="campaigns-audience", options=names, value=names[0]["value"], clearable=False),
                    ],
                    className="field",
                ),
                _entry("Held back, %", "campaigns-control", f"{_CONTROL}", inputMode="decimal"),
                _entry("Days", "campaigns-days", f"{_DAYS}", inputMode="numeric"),
                html.Button("Freeze", id="campaigns-create", className="button primary"),
            ],
            className="row",
        ),
        html.P(
            "Freezes who is in the audience now and may be written to, and holds some of them back by chance. Nobody"
            " is written to: take the table to your tool, then start the campaign.",
            className="note",
        ),
    )


def _entry(label: str, name: str, value: str, **more: Any) -> Component:
    return html.Div(html.Label([label, dcc.Input(id=name, type="text", value=value, **more)]), className="field")


def _number(text: str | None, what: str) -> float:
    try:
        return float((text or "").strip().removesuffix("%"))
    except ValueError:
        raise EntryError(f"Enter a number for {what}, such as 10.") from None


def _all(found: list[Campaign], now: int, currency: str) -> Component:
    if not found:
        return card("There are no campaigns yet", nothing("Freeze an audience, hold some of it back, and compare."))
    rows = []
    for one in found:
        effect = one.results.net_spend if one.results else None
        rows.append(
            [
                dcc.Link(shown(one.name), href=f"{_HERE}{_address(one.name)}"),
                shown(one.audience),
                words.stage(one, now),
                f"{one.treated:,}",
                f"{one.control:,}",
                "–" if effect is None else words.spend_said(effect, currency),
            ]
        )
    titles = ("Campaign", "Audience", "Stage", "Treated", "Controls", "Net spend a customer, treated less controls")
    return card("All campaigns", table(titles, rows, right=(3, 4), caption="All campaigns, the newest first"))


def _one(one: Campaign, now: int, parts: PageParts, visit: Visit) -> list[Component | None]:
    currency, found = parts.currency, one.results
    said = [shown(text) for text in words.frozen(one)]
    measures = _measures(found, currency)
    return [
        card(
            shown(one.name),
            html.Div(
                [
                    number("Treated", f"{one.treated:,}"),
                    number("Controls", f"{one.control:,}", share(one.control_share)),
                    number("Days", f"{one.days}", _dates(one)),
                    number("Without consent", f"{one.without_consent + one.consent_unknown:,}", "left out"),
                ],
                className="numbers",
            ),
            *(html.P(text) for text in said),
            html.Code(shown(one.condition), className="condition"),
            html.Div(_buttons(one, now, visit), className="foot"),
            note=words.stage(one, now),
            **attributes(data_campaign=one.name),
        ),
        None if measures else _before(one, currency),
        *(
            [card(None, *(html.P(shown(note), className="note") for note in words.results_notes(one)))]
            if one.started_at is not None and not measures
            else []
        ),
        _results(one, found, measures, currency) if found is not None and measures else None,
        dcc.Store(
            id="campaigns-effects",
            data=[{"effect": effect.model_dump(), "scale": scale, "unit": unit} for _, effect, scale, unit in measures],
        ),
    ]


def _before(one: Campaign, currency: str) -> Component:
    return card("What can be seen", *(html.P(shown(text)) for text in words.detectable(one.expected, currency)))


def _measures(found: CampaignResults | None, currency: str) -> Measures:
    if found is None or found.conversion is None or found.net_spend is None:
        return ()
    return (
        (f"Who orders: {words.conversion_said(found.conversion)}", found.conversion, 100.0, "points"),
        (
            f"Net spend a customer: {words.spend_said(found.net_spend, currency)}",
            found.net_spend,
            1.0,
            f"{currency} a customer",
        ),
    )


def _results(one: Campaign, found: CampaignResults, measures: Measures, currency: str) -> Component:
    body: list[Component] = []
    for place, (said, _, _, _) in enumerate(measures):
        body += [
            html.P(html.Strong(said)),
            figure({"type": "campaigns-figure", "place": place}, height=HEIGHT, said=said),
        ]
    if found.net_spend is not None:
        total = words.total_said(found.net_spend, found.treated.customers, currency)
        body.append(html.P(f"Of all who were treated: {total}"))
    groups = [("Treated", found.treated), ("Controls", found.control)]
    body.append(
        table(
            ("Group", "Customers", "With an order", "Share", "Net spend each"),
            [_group(name, group, currency) for name, group in groups],
            right=(1, 2, 3, 4),
            caption=f"Both groups of {shown(one.name)}",
        )
    )
    body += [html.P(shown(note), className="note") for note in words.results_notes(one)]
    return card("What the treated did more", *body, note=f"as of {day(found.as_of)}, by intention to treat")


def _group(name: str, group: GroupOutcome, currency: str) -> list[str]:
    each = max(1, group.customers)
    return [
        name,
        f"{group.customers:,}",
        f"{group.buyers:,}",
        f"{group.buyers / each:.1%}".replace("%", " %"),
        money(group.net_spend / each, currency),
    ]


def _dates(one: Campaign) -> str:
    if one.started_at is None or one.ends_at is None:
        return "not started"
    return f"{day(one.started_at)} to {day(one.ends_at)}"


def _buttons(one: Campaign, now: int, visit: Visit) -> list[Component]:
    found: list[Component] = []
    if "campaigns:write" in visit.caller.scopes:
        acts = []
        if one.started_at is None:
            acts.append("start")
        else:
            if one.ends_at is not None and to_micros(one.started_at) < now < to_micros(one.ends_at):
                acts.append("stop")
            if one.results is None or not one.results.final:
                acts.append("results")
        found += [
            html.Button(
                _DONE[act],
                id={"type": "campaigns-do", "act": act, "name": one.name},
                className="button small" if act == "stop" else "button primary small",
            )
            for act in acts
        ]
    table_of = f"campaigns/{quote(one.name, safe='')}/treated"
    return [*found, *downloads(visit.caller, table_of, f"the treated of {shown(one.name)}")]


PAGE = Page(
    path="campaigns", title="Campaigns", icon="campaigns", needs="members:read", layout=layout, register=register
)
