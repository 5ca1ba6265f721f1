"""Pages asked as a browser asks them: what is written over, and what a new version changes."""

import json

import httpx
import pytest

from dashboard.pages.page import PULSE
from dashboard.pages.trials import Trials, Tried
from livesegments.segment_names import own_names
from logs.base import LogUnavailableError
from tests.in_process import fixed_model
from tests.unit.test_web_api import purchase
from tests.web_shop import SECONDS, WebShop, page_parts, served


@pytest.fixture(scope="module")
def shop():
    shop = WebShop()
    shop.adopt(fixed_model())
    for who in "abc":
        shop.publish(json.dumps(purchase(who)).encode())
    shop.run()
    return shop


@pytest.fixture(scope="module")
def client(shop):
    parts = shop.parts()
    with (
        served(parts, page_parts(shop, parts)) as url,
        httpx.Client(base_url=url, headers={"Origin": url}, timeout=SECONDS) as client,
    ):
        yield client


def answered(client, output, values, segments=()):
    """What the callback with this output answers, by id and property; patterns stand for these segments."""
    found = next(one for one in client.get("/app/_dash-dependencies").json() if output in one["output"])

    def places(one):
        if not one["id"].startswith("{"):
            return {**one, "value": values.get(one["id"])}
        pattern = json.loads(one["id"])
        each = []
        for segment in segments:
            place = {"type": pattern["type"], "segment": segment}
            value = place if one["property"] == "id" else values.get(pattern["type"])
            each.append({"id": place, "property": one["property"], "value": value})
        return each if pattern["segment"] == ["ALL"] else each[0]

    outputs = [
        places({"id": one.rpartition(".")[0], "property": one.rpartition(".")[2]})
        for one in found["output"].strip(".").split("...")
    ]
    body = {
        "output": found["output"],
        "outputs": outputs,
        "inputs": [places(one) for one in found["inputs"]],
        "state": [places(one) for one in found["state"]],
        "changedPropIds": values["changed"],
    }
    answer = client.post("/app/_dash-update-component", json=body)
    assert answer.is_success, answer.text
    return answer.json()["response"] if answer.content else {}


def saved(client, segment, name, strategy, filled_in):
    values = {
        "segments-save": 1,
        "segments-new-name": name,
        "segments-new-strategy": strategy,
        "segments-filled-in": filled_in,
        "changed": [json.dumps({"segment": segment, "type": "segments-save"}, separators=(",", ":")) + ".n_clicks"],
    }
    return answered(client, "segments-told", values, [segment])


def test_what_was_not_written_over_goes_on_being_worked_out(shop, client):
    saved(client, 1, "Friends", "Write to them", ["Segment 1", "Write to them"])
    assert (own_names(shop.state)[1].name, own_names(shop.state)[1].strategy) == ("Friends", None)
    saved(client, 1, "Friends", "Phone them", ["Friends", "Write to them"])
    assert (own_names(shop.state)[1].name, own_names(shop.state)[1].strategy) == ("Friends", "Phone them")
    saved(client, 1, "Segment 1", "", ["Friends", "Phone them"])
    assert (own_names(shop.state)[1].name, own_names(shop.state)[1].strategy) == ("Segment 1", None)


def test_a_new_version_is_on_cards_that_are_there_and_nothing_is_sent_twice(shop, client):
    (listed,) = [one.id for one in shop.reader().segments().segments if one.size]
    card = shop.reader().segment(listed)
    values = {"changed": [f"{PULSE}.data"], "segments-version": card.model_version}
    assert "segments-typical" not in json.dumps(answered(client, "segments-typical", values, [listed]))
    told = answered(client, "segments-typical", {**values, "segments-version": 0}, [listed])
    place = json.dumps({"segment": listed, "type": "segments-typical"}, separators=(",", ":"))
    assert "number" in json.dumps(told[place])
    assert told["segments-version"] == {"data": card.model_version}
    names = told["segments-names"]["data"]
    assert [listed, card.name] in names
    assert "segments-names" not in answered(client, "segments-typical", {**values, "segments-names": names}, [listed])


def test_two_side_by_side_are_called_as_their_cards_are(client):
    values = {"changed": ["segments-names.data"], "segments-names": [[1, "Ours"], [4, "New"]]}
    told = answered(client, "segments-one.options", {**values, "segments-one": 1, "segments-other": 2})
    assert [one["label"] for one in told["segments-one"]["options"]] == ["Ours", "New"]
    assert (told["segments-one"]["value"], told["segments-other"]["value"]) == (1, 4)


def test_the_slider_of_the_cut_goes_as_far_as_the_version_that_is_there(client):
    values = {"model-cut": 1, "model-known": 1, "changed": ["model-known.data"]}
    told = answered(client, "model-cut.max", values)["model-cut"]
    assert told == {"max": 3, "marks": {"1": "1", "2": "2", "3": "3"}}


def test_a_trial_is_still_there_where_adopting_it_failed():
    kept, tried = Trials(), Tried(None, "3")
    token = kept.keep(tried)

    def adopt(*, fails):
        with kept.taken(token) as found:
            assert not fails or kept.take(token) is None, "who presses twice asks once"
            if fails:
                raise LogUnavailableError("the audit log sleeps")
            return found

    with pytest.raises(LogUnavailableError):
        adopt(fails=True)
    assert adopt(fails=False) is tried
    assert adopt(fails=False) is None
