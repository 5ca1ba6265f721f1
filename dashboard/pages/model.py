"""Model: how many segments and why, which are alike, others tried out, versions, and what became of segments."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

from anyio import to_thread
from dash import ALL, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from contracts.documents import ReviewDocument
from contracts.model import ModelDocument
from contracts.model_requests import ModelRequest
from dashboard.figures.k_curves import MEASURES, Measure, k_curve, told
from dashboard.figures.timeline import drift, lineage, timeline
from dashboard.figures.tree import Group, SegmentTree, dendrogram
from dashboard.pages import trials
from dashboard.pages.page import MODE, PULSE, Callbacks, Page, Visit
from dashboard.pages.parts import PageParts
from dashboard.pages.theme import Mode, segment_color
from dashboard.pages.visitor import require
from dashboard.pages.widgets import attributes, card, clock, day, figure, named, nothing, share, shown, table
from online_model.features import FEATURES

VERSIONS_SHOWN: Final = 25
VERSIONS_AT_FIRST: Final = 8
EVENTS_SHOWN: Final = 20
MOST_TRIED: Final = 12
"""More segments than that nobody keeps in mind."""
AS_SET: Final = "as set"


async def layout(parts: PageParts, visit: Visit) -> Component:
    """The page as it stands."""
    versions = await to_thread.run_sync(parts.analysis.versions)
    if not versions:
        return card("No segments yet", nothing("They need a worker, and customers who bought."))
    review = await to_thread.run_sync(parts.analysis.review)
    pinned = await to_thread.run_sync(parts.analysis.pinned)
    newest = versions[0]
    may_write = "model:write" in visit.caller.scopes
    return html.Div(
        [
            dcc.Store(id="model-known", data=newest.version),
            html.P(
                "There is little data yet: customers are in segments by rule, while those below are already learnt.",
                className="banner",
            )
            if newest.by_rule
            else None,
            card(
                "How many segments",
                html.Ul([html.Li(shown(one)) for one in told(review)], className="sentences"),
                _curves(review),
                note=_reviewed(review),
            ),
            card(
                "Which segments are alike",
                html.P(
                    "Branches join where two segments would become one: the further left, the more alike they are."
                    " Move the cut to see what fewer segments would be."
                ),
                html.Div(
                    [
                        html.Div(
                            [
                                figure("model-tree", height=max(220, 46 * len(newest.segments) + 70)),
                                html.Div(
                                    [
                                        html.Label("Cut into so many groups", id="model-cut-label"),
                                        dcc.Slider(
                                            id="model-cut",
                                            min=1,
                                            max=max(2, len(newest.segments)),
                                            step=1,
                                            value=max(1, len(newest.segments) - 1),
                                            marks=marks(len(newest.segments)),
                                        ),
                                    ],
                                    role="group",
                                    **attributes(aria_labelledby="model-cut-label"),
                                ),
                            ]
                        ),
                        html.Div(id="model-groups", **attributes(aria_live="polite")),
                    ],
                    className="grid wide",
                ),
            ),
            _trial_card(newest, may_write=may_write),
            html.Div(_versions(versions, pinned, may_write=may_write), id="model-versions"),
            html.Div(
                [
                    card(
                        "What became of segments",
                        figure("model-timeline", height=max(240, 40 * _ever(versions) + 90)),
                        html.Div(_events(versions), id="model-events"),
                        note="births, splits and merges",
                    ),
                    card(
                        "Drift",
                        html.P("How far the middle of each segment was from where it is now, in standard deviations."),
                        figure("model-drift", height=320, said="Drift of each segment over versions"),
                    ),
                ],
                className="grid two top",
            ),
        ]
    )


def register(callbacks: Callbacks, parts: PageParts) -> None:
    """What the page answers to."""

    @callbacks.on(
        *(Output(f"model-k-{one.name}", "figure") for one in MEASURES),
        Input(MODE, "data"),
        Input("model-known", "data"),
    )
    async def curves(mode: Mode | None, _: int) -> Any:
        review = await to_thread.run_sync(parts.analysis.review)
        if review is None or review.look is None:
            return [no_update] * len(MEASURES)
        return [k_curve(review, one, mode or "light") for one in MEASURES]

    @callbacks.on(
        Output("model-tree", "figure"),
        Output("model-groups", "children"),
        Output("model-cut", "max"),
        Output("model-cut", "marks"),
        Input("model-cut", "value"),
        Input(MODE, "data"),
        Input("model-known", "data"),
    )
    async def cut(groups: int, mode: Mode | None, _: int) -> Any:
        tree = SegmentTree.of((await to_thread.run_sync(parts.analysis.versions))[0])
        most = len(tree.ids)
        groups = min(max(int(groups), 1), most)
        drawn, told = dendrogram(tree, groups, mode or "light"), preview(tree.cut(groups), mode or "light")
        return drawn, told, max(2, most), marks(most)

    @callbacks.on(
        Output("model-timeline", "figure"),
        Output("model-drift", "figure"),
        Input(MODE, "data"),
        Input("model-known", "data"),
    )
    async def past(mode: Mode | None, _: int) -> Any:
        versions = await to_thread.run_sync(parts.analysis.versions)
        return timeline(versions, mode or "light"), drift(versions, mode or "light")

    @callbacks.on(
        Output("model-known", "data"),
        Output("model-versions", "children"),
        Output("model-events", "children"),
        Input(PULSE, "data"),
        State("model-known", "data"),
        prevent_initial_call=True,
    )
    async def follow(_: Any, known: int) -> Any:
        seen = await parts.live.current()
        # The list of segments follows a version some time after it was adopted: never back to an older one.
        if seen.segments is None or seen.segments.model_version <= known:
            return no_update, no_update, no_update
        return await again(parts)

    _register_versions(callbacks, parts)
    _register_trials(callbacks, parts)


async def again(parts: PageParts) -> Any:
    """The version in force, the list of all and what became of segments, as they are now."""
    versions = await to_thread.run_sync(parts.analysis.versions)
    pinned = await to_thread.run_sync(parts.analysis.pinned)
    may_write = "model:write" in require("analysis:read").scopes
    return versions[0].version, _versions(versions, pinned, may_write=may_write), _events(versions)


async def asked(parts: PageParts, request: ModelRequest, what: str) -> str:
    """Ask the leader for something, after it was written down; what it answered."""
    caller = require("model:write")
    await parts.web.audit.noted(parts.web.now(), caller.name, "model", what)
    answer = await to_thread.run_sync(parts.analysis.ask, request)
    return answer.message[:1].upper() + answer.message[1:]


def _register_versions(callbacks: Callbacks, parts: PageParts) -> None:
    @callbacks.on(
        Output("model-told", "children"),
        Output("model-known", "data", allow_duplicate=True),
        Output("model-versions", "children", allow_duplicate=True),
        Output("model-events", "children", allow_duplicate=True),
        Input({"type": "model-do", "act": ALL, "version": ALL}, "n_clicks"),
        prevent_initial_call=True,
        needs="model:write",
    )
    async def act(_: list[int | None]) -> Any:
        pressed = ctx.triggered_id
        if not pressed or not ctx.triggered[0]["value"]:
            return no_update, no_update, no_update, no_update
        kind, version = pressed["act"], int(pressed["version"])
        if kind not in {"pin", "unpin", "rollback"}:
            return no_update, no_update, no_update, no_update
        request = ModelRequest(kind=kind, asked_at=parts.web.now(), version=None if kind == "unpin" else version)
        message = await asked(parts, request, f"{kind} {version}" if kind != "unpin" else kind)
        return message, *(await again(parts))


def _register_trials(callbacks: Callbacks, parts: PageParts) -> None:
    kept = trials.Trials()

    @callbacks.on(
        Output("model-tried", "children"),
        Input("model-try", "n_clicks"),
        State("model-try-k", "value"),
        State("model-try-features", "value"),
        State(MODE, "data"),
        prevent_initial_call=True,
        running=[(Output("model-try", "disabled"), True, False)],
    )
    async def attempt(presses: int | None, k: str, features: list[str] | None, mode: Mode | None) -> Any:
        if not presses:
            return no_update
        number = None if k == AS_SET else min(max(int(k), 2), MOST_TRIED)
        trial = await to_thread.run_sync(parts.analysis.try_out, number, tuple(features or ()))
        token = kept.keep(trials.Tried(trial, k))
        known = await to_thread.run_sync(parts.analysis.versions)
        names = {one.id: one.name for document in reversed(known) for one in document.segments}
        names |= {one.id: one.name for one in seen} if (seen := _listed(await parts.live.current())) else {}
        caller = require("analysis:read")
        return _tried(
            trials.Tried(trial, k),
            token,
            names,
            parts.currency,
            mode or "light",
            may_write="model:write" in caller.scopes,
        )

    @callbacks.on(
        Output("model-tried", "children", allow_duplicate=True),
        Input({"type": "model-discard", "trial": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    async def discard(_: list[int | None]) -> Any:
        pressed = ctx.triggered_id
        if not pressed or not ctx.triggered[0]["value"]:
            return no_update
        kept.take(str(pressed["trial"]))
        return html.P("Discarded: nothing has changed.", className="note")

    @callbacks.on(
        Output("model-tried", "children", allow_duplicate=True),
        Output("model-known", "data", allow_duplicate=True),
        Output("model-versions", "children", allow_duplicate=True),
        Output("model-events", "children", allow_duplicate=True),
        Input({"type": "model-adopt", "trial": ALL}, "n_clicks"),
        prevent_initial_call=True,
        needs="model:write",
    )
    async def adopt(_: list[int | None]) -> Any:
        pressed = ctx.triggered_id
        if not pressed or not ctx.triggered[0]["value"]:
            return no_update, no_update, no_update, no_update
        with kept.taken(str(pressed["trial"])) as tried:
            if tried is None:
                return nothing("This trial is gone: try again."), no_update, no_update, no_update
            request = ModelRequest(
                kind="adopt",
                asked_at=parts.web.now(),
                candidate=tried.trial.model.to_document(),
                k=str(tried.trial.model.k),
            )
            message = await asked(parts, request, f"adopt {tried.trial.model.k} segments")
        return html.P(shown(message), className="good"), *(await again(parts))


def marks(segments: int) -> dict[int, str]:
    """What stands below the slider of the cut."""
    return {n: str(n) for n in range(1, segments + 1)}


def preview(groups: Sequence[Group], mode: Mode) -> Component:
    """What the groups of a cut would be."""
    whole = sum(one.customers for one in groups) or 1
    rows = [
        [
            html.Div(
                [named(shown(name), segment_color(segment, mode)) for segment, name in one.segments], className="stack"
            ),
            f"{one.customers:,}",
            share(one.customers / whole),
        ]
        for one in groups
    ]
    return table(
        [f"{len(groups)} {'group' if len(groups) == 1 else 'groups'}", "Customers", "Share"],
        rows,
        right=(1, 2),
        name="groups",
        caption="What the groups would be",
    )


def _curves(review: ReviewDocument | None) -> Component | None:
    if review is None or review.look is None:
        return None
    return html.Div([_curve(one) for one in MEASURES], className="grid four")


def _curve(one: Measure) -> Component:
    return html.Div(
        [
            html.H3(one.title),
            html.P(one.better, className="note"),
            figure(f"model-k-{one.name}", height=210, said=f"{one.title}, for each number of segments"),
        ]
    )


def _reviewed(review: ReviewDocument | None) -> str:
    if review is None:
        return ""
    when = f"{day(review.at)}, {clock(review.at)} UTC"
    return f"{review.customers:,} customers looked at on {when}; star: chosen, ring: in force"


def _trial_card(newest: ModelDocument, *, may_write: bool) -> Component:
    own = [name for name in newest.features if name not in FEATURES]
    options = [{"label": name.replace("_", " "), "value": name} for name in FEATURES]
    present = [name for name in newest.features if name in FEATURES]
    numbers = [{"label": "As the settings say", "value": AS_SET}]
    numbers += [{"label": str(k), "value": str(k)} for k in range(2, MOST_TRIED + 1)]
    note = "nothing changes by trying" + ("" if may_write else "; to adopt takes another key")
    return card(
        "Try other segments",
        html.Div(
            [
                html.Div(
                    [
                        html.Label("How many", htmlFor="model-try-k"),
                        dcc.Dropdown(id="model-try-k", options=numbers, value=AS_SET, clearable=False),
                    ],
                    className="field",
                ),
                html.Div(
                    [
                        html.Label("By what; empty: as the settings say", htmlFor="model-try-features"),
                        dcc.Dropdown(
                            id="model-try-features", options=options, value=[] if own else present, multi=True
                        ),
                    ],
                    className="field",
                ),
                html.Button("Try", id="model-try", className="button primary"),
            ],
            className="row",
        ),
        dcc.Loading(
            html.Div(id="model-tried", className="tried", **attributes(aria_live="polite")), type="dot", delay_show=200
        ),
        note=note,
    )


def _tried(
    tried: trials.Tried, token: str, names: dict[int, str], currency: str, mode: Mode, *, may_write: bool
) -> Component:
    buttons = [html.Button("Discard", id={"type": "model-discard", "trial": token}, className="button")]
    if may_write:
        buttons.insert(0, html.Button("Adopt", id={"type": "model-adopt", "trial": token}, className="button primary"))
    return html.Div(
        [
            html.P(html.Strong(trials.sentence(tried.trial)), id="model-tried-told"),
            html.H3("The segments"),
            trials.segments(tried.trial, currency, mode),
            html.H3("Who would move: from the segment of the row into that of the column"),
            trials.moves(tried.trial, names, mode),
            html.Div(buttons, className="row"),
        ]
    )


def _versions(versions: Sequence[ModelDocument], pinned: int | None, *, may_write: bool) -> Component:
    rows = []
    for place, one in enumerate(versions[:VERSIONS_SHOWN]):
        told_by = shown(one.why or one.reason)
        at = f"{day(one.adopted_at)}, {clock(one.adopted_at)}"
        state = [html.Span("in force", className="badge")] if place == 0 else []
        if place == 0 and pinned is not None:
            state.append(html.Span("pinned", className="badge"))
        row: list[Any] = [html.Span([f"{one.version} ", *state]), at, str(len(one.segments)), told_by, share(one.gain)]
        if may_write:
            row.append(_acts(one.version, in_force=place == 0, pinned=pinned is not None))
        rows.append(row)
    heads = ["Version", "Adopted (UTC)", "Segments", "Because", "Gain", *(["Do"] if may_write else [])]
    held = None
    if pinned is not None:
        held = html.P(f"Version {pinned} is pinned: nothing is adopted until the pin is taken out.", className="banner")
    return card(
        "Versions",
        held,
        html.Div(id="model-told", role="status", className="note"),
        table(heads, rows[:VERSIONS_AT_FIRST], right=(2, 4), name="versions", caption="Versions, the newest first"),
        html.Details(
            [
                html.Summary("Older versions", className="button small"),
                table(heads, rows[VERSIONS_AT_FIRST:], right=(2, 4), name="versions", caption="Older versions"),
            ],
            className="older",
        )
        if rows[VERSIONS_AT_FIRST:]
        else None,
        note=f"{len(versions):,} {'is' if len(versions) == 1 else 'are'} kept"
        + (f", the newest {VERSIONS_SHOWN} shown" if len(versions) > VERSIONS_SHOWN else ""),
    )


def _acts(version: int, *, in_force: bool, pinned: bool) -> Component:
    if in_force:
        act, title = ("unpin", "Take the pin out") if pinned else ("pin", "Pin")
        said = "Let the model learn again" if pinned else "Adopt nothing more until the pin is taken out"
    else:
        act, title = "rollback", "Bring back"
        said = f"Bring version {version} back, as a new version: customers move"
    sure = html.Button(
        f"Yes: {title.lower()}",
        id={"type": "model-do", "act": act, "version": version},
        className="button primary small",
    )
    return html.Details(
        [
            html.Summary(title, className="button small", **attributes(aria_label=f"{title}: version {version}")),
            html.P(said, className="note"),
            sure,
        ],
        className="rename",
    )


def _events(versions: Sequence[ModelDocument]) -> Component:
    found = list(reversed(lineage(versions)))[:EVENTS_SHOWN]
    if not found:
        return nothing("All segments of the versions that are kept have continued.")
    return html.Ul(
        [
            html.Li(
                [
                    html.Span(f"{day(at)}, version {version}", className="muted"),
                    *(html.Span(shown(one.told())) for one in together),
                ]
            )
            for (version, at), together in groupby(found, lambda one: (one.version, one.at))
        ],
        className="moves",
    )


def _ever(versions: Sequence[ModelDocument]) -> int:
    return len({one.id for document in versions for one in document.segments})


def _listed(seen: Any) -> Sequence[Any]:
    return seen.segments.segments if seen.segments is not None else ()


PAGE = Page(
    path="model", title="Model", icon="model", needs="analysis:read", layout=layout, register=register, analysts=True
)
