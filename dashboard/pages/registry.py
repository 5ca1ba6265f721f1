"""All pages, in the order of the navigation."""

from typing import Final

from dashboard.pages import (
    acts,
    audiences,
    campaigns,
    customer,
    data,
    explore,
    flows,
    imports,
    map,  # noqa: A004 - a page
    model,
    now,
    segments,
)
from dashboard.pages.page import Page

PAGES: Final[tuple[Page, ...]] = (
    now.PAGE,
    segments.PAGE,
    audiences.PAGE,
    campaigns.PAGE,
    customer.PAGE,
    map.PAGE,
    explore.PAGE,
    model.PAGE,
    flows.PAGE,
    data.PAGE,
    imports.PAGE,
    acts.PAGE,
)
