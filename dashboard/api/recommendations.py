"""Recommendations for a customer, known or not, and what goes with an item."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from contracts.events import MAX_ID_LENGTH
from dashboard.access import Caller
from dashboard.api.answers import CustomerAnswer, ItemsAnswer
from dashboard.api.auth import Needs
from dashboard.api.customers import json_answer
from dashboard.api.openapi import PRINTABLE, CustomerId, ItemId, problems
from dashboard.parts import WebParts
from recommender.answers import Shelf

Number = Annotated[int | None, Query(ge=1, le=100, description="So many items at most.")]
Excluded = Annotated[
    list[Annotated[str, Query(min_length=1, max_length=MAX_ID_LENGTH, pattern=PRINTABLE)]],
    Query(max_length=1000, description="Items not to be shown, such as those in the basket; once for each."),
]
Category = Annotated[
    str | None, Query(min_length=1, max_length=MAX_ID_LENGTH, pattern=PRINTABLE, description="Of the catalogue.")
]


def add_routes(router: APIRouter, parts: WebParts) -> None:
    """Let a router answer."""

    @router.get("/recommendations/{customer_id:path}", response_model=CustomerAnswer, responses=problems())
    async def recommendations(
        customer_id: CustomerId,
        _: Annotated[Caller, Depends(Needs("recommendations:read"))],
        n: Number = None,
        exclude: Excluded = [],  # noqa: B006 - FastAPI copies it
        category: Category = None,
        shelf: Shelf = "recommendations",
    ) -> Response:
        """What to show a customer, best first; somebody unknown gets what everybody buys, with `known: false`."""
        return json_answer(await parts.reader.get(customer_id, n=n, exclude=exclude, category=category, shelf=shelf))

    @router.get("/items/{item_id:path}/similar", response_model=ItemsAnswer, responses=problems())
    async def similar(
        item_id: ItemId,
        _: Annotated[Caller, Depends(Needs("recommendations:read"))],
        n: Number = None,
        exclude: Excluded = [],  # noqa: B006
    ) -> Response:
        """What customers of an item buy as well; empty where nothing is known."""
        found = await parts.reader.similar_items(item_id, n, exclude=exclude)
        return json_answer({"item_id": item_id, "items": found.items, "as_of": found.as_of, "stale": found.stale})
