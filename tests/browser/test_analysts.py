"""What analysts see: maps and lassos, dendrograms, trials and versions, flows, what became of events.

That each page loads without an error is seen by whoever visits it: see the fixture.
"""

import csv
import json
import math
import re
import tomllib

from playwright.sync_api import expect
from typer.testing import CliRunner

from benchmarks.pages import look_at_the_map
from benchmarks.pages import visit as visit_now
from contracts.documents import HistoryDay
from contracts.model import ModelDocument
from contracts.times import DAY
from dashboard.figures.tree import SegmentTree
from dashboard.lasso import Lasso
from livesegments.cli import app
from livesegments.models import pinned_version
from livesegments.settings import Settings
from online_model.rules import parse
from tests.browser.conftest import HOSTILE

# ---- the map ----


def choose(page, name, label):
    page.locator(f"#{name}").click()
    page.get_by_role("option", name=label, exact=True).click()


def drawn_points(page, count):
    """Wait until the canvas beneath the figure has so many."""
    expect(page.locator("canvas.points")).to_have_attribute("data-points", str(count))


def drag(page, *places):
    """Along places in shares of the map's width and height."""
    box = page.locator("#map-figure .nsewdrag").first.bounding_box()
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]
    page.mouse.move(*at[0])
    page.mouse.down()
    for x, y in at[1:]:
        page.mouse.move(x, y, steps=3)
    page.mouse.up()


def test_the_export_of_a_lasso_holds_exactly_the_customers_inside(visit, shop):
    page = visit("map")
    choose(page, "map-x", "days since the last order")
    choose(page, "map-y", "net spend (halved every year)")
    drawn_points(page, len(shop.deployment.rows()))
    drag(page, (0.02, 0.02), (0.5, 0.05), (0.6, 0.5), (0.3, 0.7), (0.02, 0.4))
    link = page.locator("#map-csv")
    expect(link).to_be_visible()
    lasso = Lasso.read(link.get_attribute("href").partition("lasso=")[2])
    assert len(lasso.corners) > 4
    with page.expect_download() as download:
        link.click()
    rows = list(csv.DictReader(download.value.path().read_text(encoding="utf-8").splitlines()))
    expected = inside(shop, lasso)
    assert 0 < len(expected) < len(shop.deployment.rows())
    assert sorted(row["customer_id"] for row in rows) == sorted(expected)
    expect(page.locator("#map-count")).to_have_text(str(len(expected)))


def inside(shop, lasso) -> list[str]:
    """By hand, from every row in Redis: who lies inside by recency and money."""
    model = ModelDocument.model_validate_json(shop.deployment.state.model())
    found = []
    for who, row in shop.deployment.rows().items():
        x = math.log1p((lasso.now - row["last_at"]) / DAY / 30)
        decayed = row["net_decayed"] * 2 ** -((lasso.now - row["newest_at"]) / (365 * DAY))
        y = math.log1p(max(0.0, decayed) / model.order_value)
        if crossings(x, y, lasso.corners) % 2:
            found.append(who)
    return found


def crossings(x, y, corners) -> int:
    """How many edges a ray to the right meets."""
    count = 0
    for place, (ax, ay) in enumerate(corners):
        bx, by = corners[place - 1]
        if (ay > y) != (by > y) and x < (bx - ax) * (y - ay) / (by - ay) + ax:
            count += 1
    return count


def test_a_box_is_an_audience_too_and_a_double_click_ends_it(visit, shop):
    page = visit("map")
    choose(page, "map-x", "days since the last order")
    choose(page, "map-y", "net spend (halved every year)")
    drawn_points(page, len(shop.deployment.rows()))
    page.locator('.modebar-btn[data-val="select"]').click()
    drag(page, (0.01, 0.01), (0.9, 0.9))
    condition = page.locator("#map-condition")
    expect(condition).to_have_text(re.compile(r"recency_days .+ and features\.monetary between .+ and "))
    count = int(page.locator("#map-count").inner_text())
    expect(page.locator("#map-both")).to_have_text(f"{count} of the {count}")
    # What is offered is a line of settings.
    [told] = Settings(**tomllib.loads(condition.inner_text())).audiences.values()
    parse(told)
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#map-copy")).to_have_text(re.compile("Copied|Marked"))
    box = page.locator("#map-figure .nsewdrag").first.bounding_box()
    page.mouse.dblclick(box["x"] + 0.97 * box["width"], box["y"] + 0.97 * box["height"])
    expect(page.locator("#map-inside")).to_contain_text("Choose customers")


def test_a_lasso_on_any_axes_is_told_as_the_nearest_rule(visit, shop):
    page = visit("map")
    drawn_points(page, len(shop.deployment.rows()))
    drag(page, (0.02, 0.02), (0.5, 0.05), (0.6, 0.5), (0.3, 0.98), (0.02, 0.9))
    expect(page.locator("#map-rule")).to_contain_text(re.compile(r"This one holds .* inside"))
    [told] = Settings(**tomllib.loads(page.locator("#map-condition").inner_text())).audiences.values()
    parse(told)


def test_a_box_is_chosen_by_the_keyboard(visit, shop):
    page = visit("map")
    choose(page, "map-x", "days since the last order")
    choose(page, "map-y", "net spend (halved every year)")
    drawn_points(page, len(shop.deployment.rows()))
    page.get_by_text("Choose by numbers").press("Enter")
    page.get_by_label("Days since the last order, from").fill("100")
    page.get_by_label("Days since the last order, to").fill("1000")
    page.get_by_label("Net spend (halved every year), from").fill("1")
    page.get_by_role("button", name="Choose").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("four numbers")
    page.get_by_label("Net spend (halved every year), to").fill("20.5")
    page.get_by_role("button", name="Choose").press("Enter")
    link = page.locator("#map-csv")
    expect(link).to_be_visible()
    lasso = Lasso.read(link.get_attribute("href").partition("lasso=")[2])
    expected = inside(shop, lasso)
    assert 0 < len(expected) < len(shop.deployment.rows())
    expect(page.locator("#map-count")).to_have_text(str(len(expected)))
    expect(page.locator("#map-condition")).to_contain_text("recency_days between 100 and 1000")
    expect(page.locator("#map-figure .selectionlayer path").first).to_be_visible()


def test_points_move_with_the_hand_and_are_painted_anew_when_it_lets_go(visit, shop):
    page = visit("map")
    drawn_points(page, len(shop.deployment.rows()))
    page.locator('.modebar-btn[data-val="pan"]').click()
    box = page.locator("#map-figure .nsewdrag").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y - 40, steps=4)
    shop.wait(lambda: moved(page) == (1, 1, 60, -40))
    # Where it does not reach any more it is painted anew, and moved on from there.
    page.mouse.move(x + 0.45 * box["width"], y, steps=4)
    shop.wait(lambda: moved(page)[3] != -40)
    assert moved(page)[2] < 0.25 * box["width"]
    page.mouse.up()
    page.mouse.wheel(0, -10)
    shop.wait(lambda: moved(page) == (1, 1, 0, 0))
    point_tells(page, shop)


def moved(page):
    """How the painted points are stretched and shifted."""
    of = "() => { const at = new DOMMatrix(document.querySelector('canvas.points').style.transform);"
    return tuple(map(round, page.evaluate(f"{of} return [at.a, at.d, at.e, at.f]; }}")))


def test_a_point_tells_who_it_is_whatever_the_name(visit, shop):
    page = visit("map")
    drawn_points(page, len(shop.deployment.rows()))
    point_tells(page, shop)


def point_tells(page, shop):
    """Somebody near the middle of a segment."""
    box = page.locator("#map-figure .nsewdrag").first.bounding_box()
    cross = page.locator("#map-figure .scatterlayer .point").first.bounding_box()
    tip = page.locator("#points-tip")
    seen = set()
    # Around the middle of a segment there are customers.
    for step in range(60):
        at = cross["x"] + 8 + 12 * math.cos(step) * step / 20, cross["y"] + 8 + 12 * math.sin(step) * step / 20
        if box["x"] < at[0] < box["x"] + box["width"] and box["y"] < at[1] < box["y"] + box["height"]:
            page.mouse.move(*at)
            if tip.is_visible():
                seen.add(tip.locator("strong").inner_text())
    assert seen
    assert seen <= set(shop.deployment.rows())
    page.mouse.move(2, 2)
    expect(tip).to_be_hidden()


# ---- the model ----


def test_the_preview_of_a_cut_is_what_the_tree_says(visit, shop):
    page = visit("model", color_scheme="dark")
    expect(page.locator("#model-tree .scatterlayer .trace").first).to_be_visible()
    expect(page.locator("#model-drift .scatterlayer .trace").first).to_be_visible()
    tree = SegmentTree.of(ModelDocument.model_validate_json(shop.deployment.state.model()))
    expect(page.locator("#model-groups tbody tr")).to_have_count(max(1, len(tree.ids) - 1))
    knob = page.get_by_role("slider")
    knob.press("Home")
    for groups in range(1, len(tree.ids) + 1):
        rows = page.locator("#model-groups tbody tr")
        expect(rows).to_have_count(groups)
        for row, group in zip(rows.all(), tree.cut(groups), strict=True):
            expect(row.locator("td").first).to_have_text(f"{group.customers:,}")
            for _, name in group.segments:
                expect(row.locator("th")).to_contain_text(name)
        knob.press("ArrowRight")


def test_tried_adopted_pinned_and_brought_back(visit, shop):
    page = visit("model")
    before = ModelDocument.model_validate_json(shop.deployment.state.model())
    wanted = 3 if len(before.segments) != 3 else 4
    choose(page, "model-try-k", str(wanted))
    page.get_by_role("button", name="Try", exact=True).click()
    told = page.locator("#model-tried-told")
    expect(told).to_contain_text(f"{wanted} segments by")
    assert shop.deployment.state.model() is not None
    assert ModelDocument.model_validate_json(shop.deployment.state.model()).version == before.version
    page.get_by_role("button", name="Adopt", exact=True).click()
    shop.wait(lambda: len(ModelDocument.model_validate_json(shop.deployment.state.model()).segments) == wanted)
    expect(page.locator("#model-versions tbody tr").first).to_contain_text("in force")
    expect(page.locator("#model-versions tbody tr").first.locator("td").nth(1)).to_have_text(str(wanted))

    act(page, f"Bring back: version {before.version}", "Yes: bring back")
    shop.wait(lambda: ModelDocument.model_validate_json(shop.deployment.state.model()).rolled_back_to == before.version)
    newest = ModelDocument.model_validate_json(shop.deployment.state.model()).version
    act(page, f"Pin: version {newest}", "Yes: pin")
    shop.wait(lambda: pinned_version(shop.deployment.state) == newest)
    expect(page.locator("#model-versions")).to_contain_text("is pinned")
    act(page, f"Take the pin out: version {newest}", "Yes: take the pin out")
    shop.wait(lambda: pinned_version(shop.deployment.state) is None)


def act(page, label, sure):
    page.get_by_label(label, exact=True).click()
    page.get_by_role("button", name=sure).first.click()


# ---- flows, explorations, events ----


def test_flows_are_those_of_the_history(visit, shop):
    page = visit("flows")
    expect(page.locator("#flows-sankey .sankey-link").first).to_be_visible()
    expect(page.locator("#flows-by-day .bars .point").first).to_be_visible()
    day = shop.wait(lambda: newest_day(shop))
    came = sum(move.customers for move in day.moves if move.from_segment is None)
    expect(page.locator("#flows-numbers .number", has_text="New customers").locator(".number-value")).to_have_text(
        f"{came:,}"
    )
    page.get_by_label("purchase", exact=True).uncheck()
    rest = sum(move.customers for move in day.moves if move.from_segment is None and move.cause != "purchase")
    expect(page.locator("#flows-numbers .number", has_text="New customers").locator(".number-value")).to_have_text(
        f"{rest:,}"
    )


def newest_day(shop) -> HistoryDay | None:
    keys = shop.deployment.redis.keys(f"{shop.deployment.tag}:history:*")
    return HistoryDay.model_validate_json(shop.deployment.redis.get(max(keys))) if keys else None


def test_an_exploration_of_one_segment_counts_its_customers(visit, shop):
    listed = shop.wait(shop.segments)
    largest = max((one for one in listed.segments if one.id > 0), key=lambda one: one.size)
    page = visit(f"explore?segment={largest.id}")
    expect(page.locator("#explore-found .js-plotly-plot .main-svg").first).to_be_visible()
    expect(page.locator("#explore-found .number", has_text="customers").locator(".number-value")).to_have_text(
        f"{largest.size:,}"
    )


def test_events_that_could_not_be_used_are_told_with_an_example(visit, shop):
    with shop.deployment.writer() as writer:
        value = json.dumps({"type": "wish", "customer_id": HOSTILE}).encode()
        writer.append(shop.deployment.names.events, b"x", value).result(30)
    shop.wait(shop.deployment.dead_letters)
    page = visit("data")
    page.locator(".letter summary").first.click()
    expect(page.locator(".letter .example")).to_contain_text(HOSTILE)
    expect(page.locator("#data-types")).to_contain_text("Purchases")
    assert page.locator("main img").count() == 0


def test_what_a_replay_left_out_is_told_by_reason_and_where(visit, shop, tmp_path):
    """From the command to the page, on which it appears while somebody looks; a second run takes its place."""
    page = visit("data")
    expect(page.locator("#data-imports")).to_have_text("No files were imported or replayed so far.")
    file = tmp_path / "old <b>orders.csv"
    lines = ["order_id,customer_id,occurred_at,item_id,quantity,unit_price", "old-1,often-0,2020-01-01,mug,1,5"]
    lines += [f"old-{n},{HOSTILE},2020-01-01,mug,{quantity},5" for n, quantity in enumerate(("none", "0", "nil"), 2)]
    file.write_text("\n".join(lines))
    where = {
        f"LIVESEGMENTS_{name.upper()}": str(getattr(shop.settings, name))
        for name in ("redis_url", "log_url", "key_prefix", "log_prefix", "partitions")
    }
    for _ in range(2):
        done = CliRunner(env=where).invoke(app, ["replay", str(file), "--set", "currency=GBP"])
        assert done.exit_code == 0, done.output
        assert "2 skipped: quantity is no number" in done.output
    row = page.locator("#data-imports tbody tr")
    expect(row).to_have_count(1)
    expect(row.locator("th")).to_contain_text(f"{file.name}Replayed on the command line, ")
    expect(row.locator("td").nth(0)).to_have_text("1events, from 4 rows")
    assert row.locator("li").all_inner_texts() == [
        f"2: quantity is no number (first: row 2 of {file.name})",
        f"1: zero quantity (first: row 3 of {file.name})",
    ]
    expect(page.locator("#data-imports .counts")).to_have_text("Quantity is no number2Zero quantity1")
    assert HOSTILE not in page.locator("#data-imports").inner_text(), "nothing of what stands in a row"


def test_an_endpoint_of_webhooks_is_told_of_in_words(visit, shop):
    (state,) = shop.states()
    row = visit("data").locator("#data-webhooks tbody tr")
    expect(row).to_have_count(1)
    expect(row.locator("th")).to_have_text("crmhttps://crm.example")
    expect(row.locator("td").nth(0)).to_contain_text("was never told anything")
    assert [one.inner_text() for one in row.locator("td").all()[1:]] == [
        *(str(state.delivered), "–", str(state.dead_letters)),
    ]


# ---- the benchmark of pages ----


def test_what_the_benchmark_measures_is_there(chromium, shop, monkeypatch):
    monkeypatch.setattr("benchmarks.pages.GESTURE_STEPS", 10)
    first, again, kilobytes = visit_now(chromium, shop.url)
    assert min(first, again) > 0
    assert 500 < kilobytes < 3_000, "gzipped"
    points, shown, pan, zoom = look_at_the_map(chromium, shop.url)
    assert points == len(shop.deployment.rows())
    assert shown > 0
    assert min(pan.per_s, zoom.per_s) > 0
