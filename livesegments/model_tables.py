"""Model versions, trials and reviews as tables on a terminal, and as JSON."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from contracts.documents import Band, ReviewDocument
from contracts.model import DescentDocument, ModelDocument
from contracts.times import rfc3339, to_micros
from livesegments.screen import literal, money
from online_model.trial import Trial


def as_json(document: ModelDocument) -> Any:
    """A version as it is published."""
    return document.model_dump(mode="json", by_alias=True)


def review_json(document: ReviewDocument) -> Any:
    """A review as it is published."""
    return document.model_dump(mode="json", by_alias=True)


def show_versions(documents: Sequence[ModelDocument], pinned: int | None, console: Console) -> None:
    """A line each, the newest first."""
    if not documents:
        console.print("there is no model yet: it needs a worker, and customers who bought")
        return
    table = _table("version", "adopted at", "k", "because")
    table.add_column("gain", justify="right")
    for one in documents:
        mark = " (pinned)" if one is documents[0] and pinned is not None else ""
        at = rfc3339(to_micros(one.adopted_at))
        table.add_row(f"{one.version}{mark}", at, str(len(one.segments)), literal(one.reason), f"{one.gain:.1%}")
    console.print(table)


def show_version(document: ModelDocument, pinned: int | None, console: Console) -> None:
    """Segments, their descent, and the reason."""
    console.print(Text.assemble("version ", literal(str(document.version), "bold"), f": {document.reason}"))
    if document.why:
        console.print(literal(document.why))
    console.print(f"adopted at {rfc3339(to_micros(document.adopted_at))}", style="dim")
    if pinned is not None:
        console.print(f"version {pinned} is pinned: nothing is adopted", style="yellow")
    table = _table("id", "segment")
    for title in ("customers", *document.features):
        table.add_column(literal(title), justify="right")
    table.add_column("comes from")
    descents = {one.segment_id: one for one in document.lineage}
    for one in document.segments:
        numbers = [f"{value:.2f}" for value in one.centroid]
        came = _descent(descents.pop(one.id, None))
        table.add_row(str(one.id), literal(one.name, "bold"), f"{one.size:,}", *numbers, came)
    console.print(table)
    for ended in descents.values():
        console.print(Text.assemble(literal(ended.name), f" ({ended.segment_id}) is {_descent(ended)}"))


def _descent(one: DescentDocument | None) -> str:
    if one is None or (one.kind == "continued" and len(one.origins) < 2):
        return ""
    others = one.heirs if one.kind in {"merged", "gone"} else one.origins
    shares = ", ".join(f"{share:.0%} {'in' if one.heirs else 'of'} {segment}" for segment, share in others)
    return f"{one.kind}: {shares}" if shares else one.kind


def show_trial(trial: Trial, currency: str, console: Console) -> None:
    """Segments as they would be, and the matrix of who would move."""
    whole = sum(max(0.0, one.net_spend) for one in trial.segments)
    table = _table("id", "segment", "")
    for title in ("customers", "share", "revenue", "share of it"):
        table.add_column(title, justify="right")
    for one in trial.segments:
        table.add_row(
            str(one.segment_id),
            literal(one.name, "bold"),
            one.kind if one.kind != "continued" else "",
            f"{one.customers:,}",
            f"{one.customers / trial.customers:.1%}",
            money(one.net_spend, currency),
            f"{one.net_spend / whole:.1%}" if whole > 0 else "",
        )
    console.print(
        f"{trial.model.k} segments by {', '.join(trial.model.features)}, tried on {trial.customers:,} customers"
    )
    console.print(table)
    console.print(
        f"{trial.moved.moving:,} of them ({trial.moved.moving / trial.customers:.1%}) would move, from row to column:"
    )
    console.print(_matrix(trial))


def _matrix(trial: Trial) -> Table:
    moved = trial.moved
    table = Table(box=None, pad_edge=False)
    table.add_column("now")
    for segment in moved.after:
        table.add_column(str(segment), justify="right")
    for segment, row in zip(moved.before, moved.customers, strict=True):
        cells = [
            Text(f"{count:,}" if count else "·", style="dim" if other == segment else "")
            for other, count in zip(moved.after, row, strict=True)
        ]
        table.add_row(str(segment), *cells)
    return table


def trial_json(trial: Trial) -> dict[str, Any]:
    """The same for programs."""
    whole = sum(max(0.0, one.net_spend) for one in trial.segments)
    return {
        "k": trial.model.k,
        "features": list(trial.model.features),
        "customers": trial.customers,
        "segments": [
            {
                "id": one.segment_id,
                "name": one.name,
                "kind": one.kind,
                "customers": one.customers,
                "share": one.customers / trial.customers,
                "net_spend": one.net_spend,
                "share_of_revenue": one.net_spend / whole if whole > 0 else 0.0,
            }
            for one in trial.segments
        ],
        "moving": trial.moved.moving,
        "moves": [
            {"from": before, "to": after, "customers": count}
            for before, row in zip(trial.moved.before, trial.moved.customers, strict=True)
            for after, count in zip(trial.moved.after, row, strict=True)
            if count
        ],
    }


def show_review(document: ReviewDocument, console: Console) -> None:
    """The curves over k, what they speak for, and the shadow."""
    console.print(literal(document.outcome))
    console.print(f"reviewed at {rfc3339(to_micros(document.at))}, {document.customers:,} customers", style="dim")
    look = document.look
    if look is not None:
        table = _table("k")
        for title in ("mean squared distance", "silhouette", "smallest", "found again"):
            table.add_column(title, justify="right")
        for point in look.curves:
            marks = " ".join(
                word for word, holds in (("now", point.k == document.k), ("chosen", point.k == look.chosen)) if holds
            )
            table.add_row(
                literal(f"{point.k} {marks}".strip(), "bold" if marks else ""),
                _band(point.inertia),
                _band(point.silhouette),
                f"{point.smallest_share:.1%}",
                f"{point.stability:.2f}",
            )
        console.print(table)
        console.print(literal(look.verdict))
    shadow = document.shadow
    if shadow is not None:
        console.print(f"shadow: {shadow.k} segments by {', '.join(shadow.features)}")
        sizes = ", ".join(f"{one.name} {one.size:,}" for one in shadow.segments)
        console.print(literal(sizes))
        inertias = f"inertia {shadow.inertia:,.1f} (live {shadow.live_inertia:,.1f}), " if shadow.comparable else ""
        console.print(
            f"{inertias}silhouette {shadow.silhouette:.2f} (live {shadow.live_silhouette:.2f}),"
            f" {shadow.would_move:.1%} would move"
        )


def _band(band: Band) -> str:
    value, low, high = band
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in titles:
        table.add_column(title)
    return table
