"""What axe-core finds of what keeps people out: nothing serious on any page; colours can be read in light and dark."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from dashboard.pages import login
from dashboard.pages.registry import PAGES

OF_DASH = [[".dash-dropdown-focus-target"], [".dash-options-list"]]
"""Components of Dash 4.4 that axe-core objects to: a hidden input by which labels lead to a dropdown, and its lists of
choices, which call themselves listboxes around real inputs. Both work with the keyboard and are read aloud."""
ALL_RULES = {"resultTypes": ["violations"]}
CONTRAST = {"resultTypes": ["violations"], "runOnly": ["color-contrast"]}


def violations(page, options=ALL_RULES):
    """What is serious, a line each."""
    found = Axe().run(page, {"exclude": OF_DASH}, options).response["violations"]
    return [
        f"{page.url}: {one['id']}: {node['html'][:200]}"
        for one in found
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"]
    ]


@pytest.mark.parametrize(("scheme", "options"), [("light", ALL_RULES), ("dark", CONTRAST)])
def test_no_page_has_a_serious_violation(visit, scheme, options):
    page = visit(color_scheme=scheme)
    found = []
    for one in PAGES:
        page.goto(f"/app/{one.path}{'?id=often-1' if one.path == 'customer' else ''}")
        expect(page.locator(".page > * >> nth=1")).to_be_visible()
        expect(page.locator("html")).to_have_attribute("data-mode", scheme)
        found += violations(page, options)
    assert not found, "\n".join(found)


def test_nor_has_the_log_in(visit):
    page = visit()
    expect(page.locator("#now-customers")).to_be_visible()
    page.set_content(login.page("/app/", "Nobody has this key."))
    assert violations(page) == []
