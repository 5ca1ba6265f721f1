"""`livesegments show CUSTOMER`: segment, recommendations, and the row's own numbers."""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from contracts.times import rfc3339, to_micros
from livesegments.app import open_deployment
from livesegments.customers import Customer, Totals, as_json, checked_id, look_up
from livesegments.explaining import Explanation
from livesegments.flags import with_settings
from livesegments.item_names import item_names
from livesegments.open_explainer import explainer_of
from livesegments.screen import literal, money
from livesegments.sources import Loaded

app = typer.Typer(add_completion=False)
SHOWN_ITEMS = 10
BECAUSE = "because:"
_CAUSES = {
    "purchase": "a purchase",
    "return": "a return",
    "profile": "what became known of the customer",
    "time": "time that passed",
    "model": "segments learnt anew",
    "alias": "an id that was joined or split off",
}


@app.command()
@with_settings
def show(
    loaded: Loaded,
    customer: Annotated[str, typer.Argument(help="The customer's id, as in the events.", metavar="CUSTOMER")],
    as_document: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Show one customer: segment and why, what would change it, ten recommendations, and what was counted."""
    checked_id(customer)
    with open_deployment(loaded.settings) as deployment:
        found = look_up(customer, deployment.reader(), explainer_of(deployment))
        names = item_names(deployment.state, _named(found))
    if as_document:
        typer.echo(json.dumps(as_json(found), indent=2))
        return
    _print(found, names, loaded.settings.currency, Console(highlight=False))


def _print(customer: Customer, names: Mapping[str, str], currency: str, console: Console) -> None:
    answer = customer.answer
    console.print(Text.assemble("customer ", literal(answer.joined_to or customer.customer_id, "bold")))
    if answer.joined_to is not None:
        console.print(Text.assemble(literal(customer.customer_id), " is another id of this customer"))
    if customer.totals is None and not answer.known:
        console.print("nothing is known of this customer; recommended to somebody unknown:")
    elif not answer.known:
        console.print("the view of this customer is not written yet (does a worker run?); recommended meanwhile:")
    if answer.segment is not None:
        by_rule = ", by rule" if answer.segment.by_rule else ""
        name = literal(answer.segment.name, "bold green")
        console.print(Text.assemble("segment ", name, f" ({answer.segment.id}{by_rule})"))
        since = f"since {rfc3339(to_micros(answer.segment.since))}, because of "
        was = ("; before: ", literal(customer.previous)) if customer.previous else ()
        console.print(Text.assemble(since, _CAUSES.get(answer.segment.cause, answer.segment.cause), *was))
    if customer.explanation is not None:
        _explain(customer.explanation, console)
    if customer.totals is not None:
        console.print(_counted(customer.totals, currency))
    if not answer.items:
        console.print("nothing to recommend yet")
        return
    items = Table("", "item", "name", "because", "score", box=None, pad_edge=False)
    for place, item in enumerate(answer.items[:SHOWN_ITEMS], 1):
        reason = _reason(item.reason, names)
        name = literal(names.get(item.item_id, ""))
        items.add_row(str(place), literal(item.item_id), name, literal(reason), f"{item.score:.4f}")
    console.print(items)


def _named(customer: Customer) -> Iterator[str]:
    """Ids of the items that are shown."""
    for item in customer.answer.items[:SHOWN_ITEMS]:
        yield item.item_id
        if item.reason.startswith(BECAUSE):
            yield item.reason.removeprefix(BECAUSE)


def _reason(reason: str, names: Mapping[str, str]) -> str:
    if reason.startswith(BECAUSE):
        other = reason.removeprefix(BECAUSE)
        return f"bought together with {names.get(other, other)}"
    return {"again": "bought before", "new": "new in the shop"}.get(reason, reason)


def _explain(explanation: Explanation, console: Console) -> None:
    if explanation.reasons is not None:
        for sentence in explanation.reasons.sentences:
            console.print(literal(sentence))
    for sentence in explanation.expected:
        console.print(literal(sentence))
    if explanation.next_expected_at is not None:
        console.print(f"next order expected about {explanation.next_expected_at.date().isoformat()}", style="dim")


def _counted(totals: Totals, currency: str) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim")
    table.add_row("orders", f"{totals.orders:,}")
    table.add_row("spend", money(totals.spend, currency))
    table.add_row("units", f"{totals.units:,}")
    table.add_row("returns", f"{totals.returns:,}")
    table.add_row("refunds", money(totals.refunds, currency))
    for name, at in (("first purchase", totals.first_purchase_at), ("last purchase", totals.last_purchase_at)):
        table.add_row(name, rfc3339(to_micros(at)) if at is not None else "never")
    for attribute, value in totals.attributes.items():
        table.add_row(literal(attribute), literal(str(value)))
    return table
