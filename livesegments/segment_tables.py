"""Segments on a terminal: a table of all that fits into 80 columns, and one card in full."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from contracts.documents import SegmentCard, SegmentDay, SegmentList
from contracts.times import rfc3339, to_micros
from livesegments.screen import literal
from livesegments.watching import WatchedSegment

_TITLES: Final = {"recency_days": "days since\nlast order", "frequency": "orders*", "monetary": "net*"}
_MOST_TYPICAL: Final = 3
"""Typical figures that fit beside names into 80 columns."""


def show_segments(cards: Sequence[SegmentCard], listed: SegmentList, currency: str, console: Console) -> None:
    """All segments, the largest first: a line each, with what to do about it below."""
    typical = list(dict.fromkeys(name for card in cards for name in card.profile if name != "net_spend_per_customer"))
    typical = typical[:_MOST_TYPICAL]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("id", justify="right")
    table.add_column("segment")
    for title in (
        "customers",
        "share",
        "of\nrevenue",
        *(_TITLES.get(one, one.replace("_", " ")) for one in typical),
    ):
        table.add_column(literal(title) if "\n" not in title else title, justify="right")
    for card in sorted(cards, key=lambda card: (-card.size, card.id)):
        numbers = [f"{card.profile[name]:,.1f}" if name in card.profile else "" for name in typical]
        shares = (f"{card.size:,}", f"{card.share_of_customers:.1%}", f"{card.share_of_revenue:.1%}")
        table.add_row(str(card.id), name_of(card), *shares, *numbers)
    console.print(table)
    console.print()
    advised = Table.grid(padding=(0, 2, 0, 0))
    for card in sorted(cards, key=lambda card: (-card.size, card.id)):
        if card.strategy:
            advised.add_row(literal(card.name, "bold"), literal(card.strategy))
    console.print(advised)
    if {"frequency", "monetary"} & set(typical):
        console.print(f"* what is older counts less: halved every 365 days. Money in {currency}", style="dim")
    for line in _notes(listed):
        console.print(line, style="yellow")
    console.print(_source(cards[0]), style="dim")


def show_card(
    card: SegmentCard, currency: str, console: Console, item_names: Mapping[str, str] = MappingProxyType({})
) -> None:
    """One segment in full; items with what they are called, by id, where that is known."""
    console.print(Text.assemble(literal(card.name, "bold green"), f" ({card.id}{', by rule' if card.by_rule else ''})"))
    console.print(
        f"{card.size:,} customers ({card.share_of_customers:.1%}), {card.share_of_revenue:.1%} of the revenue"
    )
    if card.strategy:
        console.print(literal(card.strategy, "bold"))
    if card.flags:
        console.print(literal(", ".join(card.flags), "yellow"))
    for statement in card.sets_apart:
        console.print(Text.assemble("  ", literal(statement)))
    if card.active is not None and card.lapsed is not None and card.new is not None and card.one_order is not None:
        lifecycle = f"{card.active:.0%} active, {card.lapsed:.0%} lapsed, {card.new:.0%} new"
        console.print(f"{lifecycle}, {card.one_order:.0%} with one order")
    for word, share in card.adjectives:
        console.print(Text.assemble(literal(f"“{word}”"), f" is true of {share:.0%} of its customers"))
    if "net_spend_per_customer" in card.profile:
        console.print(f"{card.profile['net_spend_per_customer']:,.2f} {currency} net a customer, ever")
    if card.items:
        items = Table("item", "name", "times as often as in the shop", box=None, pad_edge=False)
        for item, lift in card.items:
            items.add_row(literal(item), literal(item_names.get(item, "")), f"{lift:.2f}")
        console.print(items)
    console.print(_source(card), style="dim")


def name_of(segment: SegmentCard | SegmentDay | WatchedSegment) -> Text:
    """The name, and whether it is one by rule."""
    return Text.assemble(literal(segment.name, "bold"), (" by rule" if segment.by_rule else "", "dim"))


def _notes(listed: SegmentList) -> list[str]:
    """What is not as it seems, in a line each."""
    said = []
    if listed.held_back:
        said.append(f"{listed.held_back:,} customers are nearer to another segment and stay: margin, dwell or its name")
    if listed.guest_orders:
        part = listed.guest_share_of_revenue
        share = "" if part is None else f", {part:.1%} of revenue less what came back"
        said.append(f"besides, {listed.guest_orders:,} orders of guests{share}")
    if listed.quiet_since is not None:
        since = rfc3339(to_micros(listed.quiet_since))
        said.append(f"no event since {since}: the feed seems broken, and time alone moves nobody")
    return said


def _source(card: SegmentCard) -> str:
    return f"model version {card.model_version}, as of {rfc3339(to_micros(card.as_of))}"
