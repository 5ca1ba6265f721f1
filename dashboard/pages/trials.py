"""Trials of other segments: what they came to, kept until they are adopted, discarded, or crowded out by newer ones."""

import contextlib
import secrets
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dash import html
from dash.development.base_component import Component

from dashboard.pages.theme import Mode, segment_color
from dashboard.pages.widgets import money, named, share, shown, table
from online_model.trial import Trial

KEPT: Final = 16
"""A trial is a few kilobytes."""
_KINDS: Final = {"continued": "", "split": "split off", "born": "new", "restored": "brought back"}


@dataclass(frozen=True, slots=True)
class Tried:
    """A trial, and what was asked for."""

    trial: Trial
    k: str
    """How many segments: a number, or what the settings say."""


@dataclass(slots=True)
class Trials:
    """The newest trials of everybody, by tokens that only those know who made them."""

    _kept: "OrderedDict[str, Tried]" = field(default_factory=OrderedDict)

    def keep(self, tried: Tried) -> str:
        """The token of a trial."""
        token = secrets.token_urlsafe(16)
        self._kept[token] = tried
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return token

    @contextlib.contextmanager
    def taken(self, token: str) -> Iterator[Tried | None]:
        """A trial, for one at a time; it is still there afterwards where what was done with it failed."""
        tried = self.take(token)
        try:
            yield tried
        except BaseException:
            if tried is not None:
                self._kept[token] = tried
            raise

    def take(self, token: str) -> Tried | None:
        """A trial, once."""
        return self._kept.pop(token, None)


def sentence(trial: Trial) -> str:
    """What it came to."""
    moving = trial.moved.moving
    part = share(moving / trial.customers) if trial.customers else "0 %"
    names = ", ".join(name.replace("_", " ") for name in trial.model.features)
    return (
        f"{trial.model.k} segments by {names}, tried on {trial.customers:,} customers:"
        f" {moving:,} of them ({part}) would be in another segment."
    )


def segments(trial: Trial, currency: str, mode: Mode) -> Component:
    """The segments as they would be."""
    whole = sum(max(0.0, one.net_spend) for one in trial.segments)
    rows = [
        [
            named(shown(one.name), segment_color(one.segment_id, mode)),
            _KINDS.get(one.kind, one.kind),
            f"{one.customers:,}",
            share(one.customers / trial.customers) if trial.customers else "",
            money(one.net_spend, currency),
            share(max(0.0, one.net_spend) / whole) if whole else "",
        ]
        for one in trial.segments
    ]
    heads = ["Segment", "", "Customers", "Share", "Net spend", "Share of it"]
    return table(heads, rows, right=(2, 3, 4, 5), caption="Segments as they would be")


def moves(trial: Trial, names: Mapping[int, str], mode: Mode) -> Component:
    """Who would move: from the segments of the rows into those of the columns."""
    after = {one.segment_id: one.name for one in trial.segments}
    most = max((count for row in trial.moved.customers for count in row), default=1) or 1

    def end(segment: int, known: Mapping[int, str]) -> Component:
        name = known.get(segment) or names.get(segment) or f"Segment {segment}"
        return named(shown(name), segment_color(segment, mode))

    rows: list[Sequence[Any]] = []
    for before, row in zip(trial.moved.before, trial.moved.customers, strict=True):
        cells = [_cell(count, most, stays=before == one) for one, count in zip(trial.moved.after, row, strict=True)]
        rows.append([end(before, names), *cells])
    heads: list[Any] = ["Now", *(end(one, after) for one in trial.moved.after)]
    return table(heads, rows, right=tuple(range(1, len(heads))), name="matrix", caption="Who would move where")


def _cell(count: int, most: int, *, stays: bool) -> Component:
    """A number; the darker its ground the more move."""
    if not count:
        return html.Span("·", className="muted")
    if stays:
        return html.Span(f"{count:,}", className="muted", title="they stay")
    strength = round(10 + 50 * count / most)
    ground = f"color-mix(in srgb, var(--accent) {strength}%, transparent)"
    return html.Span(f"{count:,}", className="moving", style={"background": ground})
