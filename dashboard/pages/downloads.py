"""Links to tables of customers, for whoever may take them out."""

from typing import Any

from dash import html
from dash.development.base_component import Component

from dashboard.access import Caller
from dashboard.pages.page import PREFIX
from dashboard.pages.widgets import attributes


def downloads(caller: Caller, table: str, of: str, *, query: str = "", name: str = "") -> list[Component]:
    """A table as CSV and as Parquet; none for a caller who may not export customers with their ids.

    Parameters:
        table: the path of the HTTP API, from behind its first slash to before the dot.
        of: whose customers, for who does not see the page: `all customers of Loyal`.
        query: what stands behind the `?`.
        name: the links get the ids `<name>-csv` and `<name>-parquet`.
    """
    if not {"export", "ids"} <= caller.scopes:
        return []
    links: list[Component] = []
    for kind, end in (("CSV", "csv"), ("Parquet", "parquet")):
        more: dict[str, Any] = {"id": f"{name}-{end}"} if name else {}
        links.append(
            html.A(
                kind,
                href=f"{PREFIX}download/{table}.{end}{f'?{query}' if query else ''}",
                className="button small",
                download="",
                **more,
                **attributes(aria_label=f"{kind} of {of}"),
            )
        )
    return links
