"""A demo on the screen: live on a terminal, a line now and then elsewhere, a summary at the end."""

from typing import Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from livesegments.demo.servers import Stage
from livesegments.demo.watching import TREND_SECONDS, Snapshot
from livesegments.screen import literal
from recommender.answers import Recommendations

_ITEMS: Final = 10
_BAR: Final = 16


def draw(seen: Snapshot, stage: Stage) -> RenderableType:
    """The whole screen."""
    return Group(_head(seen, stage), _segments(seen), _feed(seen), _customer(seen), _hints(seen, stage))


def as_line(seen: Snapshot) -> str:
    """One look on one line."""
    shares = ", ".join(f"{card.name} {card.size:,}" for card in seen.cards if card.size) or "none yet"
    return f"{seen.seconds:5.1f} s  {_speed(seen)}  segments: {shares}"


def summary(seen: Snapshot, stage: Stage) -> RenderableType:
    """What was seen, at the end."""
    lines: list[RenderableType] = [
        Text(f"after {seen.seconds:.0f} s: {seen.events:,} events of {seen.customers:,} customers on {stage.about}")
    ]
    if seen.first_segments_after is not None:
        lines.append(Text(f"first segments after {seen.first_segments_after:.1f} s"))
    return Group(*lines, _segments(seen, strategies=True), _customer(seen))


def _speed(seen: Snapshot) -> str:
    return (
        f"{seen.events:,} events, {seen.events_per_s:,.0f}/s, {seen.customers:,} customers, model version"
        f" {seen.model_version}"
    )


def _head(seen: Snapshot, stage: Stage) -> RenderableType:
    lag = "" if seen.lag is None else f", {seen.lag:,} behind"
    return Group(
        Text.assemble(("livesegments demo ", "bold"), f"{seen.seconds:.0f} s on {stage.about}"),
        Text(_speed(seen) + lag),
    )


def _segments(seen: Snapshot, *, strategies: bool = False) -> RenderableType:
    if not seen.cards:
        return Panel("no segments yet: the shop's first year is on its way", title="segments", title_align="left")
    table = Table(box=None, expand=False)
    table.add_column("segment", min_width=20)
    for title, width in (("customers", 9), ("share", 5), (f"in {TREND_SECONDS:.0f} s", 7)):
        table.add_column(title, justify="right", no_wrap=True, min_width=width)
    table.add_column("", no_wrap=True, min_width=_BAR)
    for card in sorted(seen.cards, key=lambda card: -card.size):
        bar = "█" * round(card.share_of_customers * _BAR)
        table.add_row(
            Text("\n").join([literal(card.name, "bold"), literal(card.strategy, "dim")][: 1 + strategies]),
            f"{card.size:,}",
            f"{card.share_of_customers:.0%}",
            _trend(seen.trend.get(card.id, 0)),
            Text(bar, style="cyan"),
        )
    return Panel(table, title="segments", title_align="left")


def _trend(change: int) -> Text:
    if change == 0:
        return Text("-", style="dim")
    return Text(f"▲ {change:,}", style="green") if change > 0 else Text(f"▼ {-change:,}", style="red")


def _feed(seen: Snapshot) -> RenderableType:
    lines = [
        Text.assemble(
            literal(move.customer_id, "bold"),
            ": ",
            literal(move.before),
            " → ",
            literal(move.after, "green"),
            (f" ({move.cause})", "dim"),
        )
        for move in reversed(seen.moves)
    ]
    return Panel(Group(*lines) if lines else "", title="latest moves", title_align="left")


def _customer(seen: Snapshot) -> RenderableType:
    answer = seen.customer
    if answer is None:
        return Text("")
    items = " ".join(f"{item.item_id}{'*' * (item.reason == 'again')}" for item in answer.items[:_ITEMS])
    return Panel(
        Group(
            Text.assemble("segment: ", literal(_segment(answer), "green")),
            Text.assemble("recommended: ", literal(items or "nothing yet"), ("  * bought before", "dim")),
        ),
        title=Text.assemble("customer ", literal(answer.customer_id)),
        title_align="left",
    )


def _segment(answer: Recommendations) -> str:
    return answer.segment.name if answer.segment else "none yet"


def _hints(seen: Snapshot, stage: Stage) -> RenderableType:
    if stage.redis_url is None or seen.customer is None:
        return Text("Ctrl-C ends it", style="dim")
    port = stage.redis_url.rpartition(":")[2].partition("/")[0]
    key = f"{stage.settings.key_prefix}:customer:{seen.customer.customer_id}"
    show = f"livesegments show {seen.customer.customer_id} --redis-url {stage.redis_url}"
    return Text(f"look yourself: redis-cli -p {port} GET {key}    or: {show}    Ctrl-C ends it", style="dim")
