"""A campaign on real servers: events through a worker into rows, commands as people call them, results from the log."""

import json
import threading
from datetime import timedelta

import pyarrow.csv
import pytest
from typer.testing import CliRunner

from consumer.patience import Patience
from contracts.events import Line, Profile, Purchase, Return, encode_event
from contracts.times import DAY, EPOCH, HOUR
from livesegments.app import open_deployment, open_worker
from livesegments.campaigns.holding import trim_unneeded
from livesegments.campaigns.opening import open_campaigns
from livesegments.cli import app
from livesegments.sources import load_settings
from tests.servers.secured import clean_environment

FIRST_DAY = 20_000
MEMBERS = 600


def moment(day, hour=9, number=0):
    return EPOCH + timedelta(microseconds=(FIRST_DAY + day) * DAY + hour * HOUR + number)


def bought(number, who, day, price, kind=Purchase):
    return kind(
        event_id=f"e{number}",
        order_id=f"o{number}",
        customer_id=who,
        occurred_at=moment(day, number=number),
        lines=(Line(item_id="tea", quantity=1, unit_price=price),),
        currency="GBP",
    )


class Shop:
    """A deployment of one log, and the commands on it."""

    def __init__(self, log_url, redis_url, tag):
        self.environment = {
            **clean_environment(),
            "LIVESEGMENTS_REDIS_URL": redis_url,
            "LIVESEGMENTS_LOG_URL": log_url,
            "LIVESEGMENTS_KEY_PREFIX": tag,
            "LIVESEGMENTS_LOG_PREFIX": f"{tag}-",
            "LIVESEGMENTS_GROUP": tag,
            "LIVESEGMENTS_PARTITIONS": "3",
            "LIVESEGMENTS_CLOCK": "event",
            "LIVESEGMENTS_REVIEW_INLINE": "true",
            "LIVESEGMENTS_FORECASTS": "false",
            "LIVESEGMENTS_BY_RULE_BUYERS": "1000000",
            "LIVESEGMENTS_BLEND_TUNING": "false",
            "LIVESEGMENTS_ITEM_REVIEW_INTERVAL_EVENT": "30000d",
            "LIVESEGMENTS_SESSION_TIMEOUT": "6s",
            "LIVESEGMENTS_ALLOWED_LATENESS": "5d",
            "LIVESEGMENTS_AUDIENCES": json.dumps({"Members": "attributes.club = 1"}),
            "COLUMNS": "120",
        }
        self.number = 0

    def settings(self, monkeypatch):
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)
        return load_settings().settings

    def event(self, who, day, price, kind=Purchase):
        self.number += 1
        return bought(self.number, who, day, price, kind)

    def work(self, deployment, events):
        """Publish, and have a worker of its own take all of it in."""
        with open_worker(deployment, Patience(threading.Event())) as worker:
            writer = deployment.logs.writer()
            for event in events:
                writer.append(
                    f"{deployment.settings.log_prefix}customer-events", event.customer_id.encode(), encode_event(event)
                )
            writer.close(30)
            guard = threading.Timer(120, worker.stop)
            guard.start()
            worker.run(until_idle=0.3)
            assert guard.is_alive()
            guard.cancel()

    def call(self, *arguments):
        found = CliRunner().invoke(app, ["campaign", *arguments], env=self.environment)
        assert found.exit_code == 0, (found.output, found.exception)
        return found.output


@pytest.mark.parametrize("log", ["kafka", "redis"])
def test_a_campaign_is_measured(log, request, redis_url, one_redis_url, unique, monkeypatch, tmp_path):
    log_url = f"kafka://{request.getfixturevalue('kafka_bootstrap')}" if log == "kafka" else one_redis_url
    shop = Shop(log_url, redis_url, unique)
    everybody = [f"m{n}" for n in range(MEMBERS)]
    settings = shop.settings(monkeypatch)
    with open_deployment(settings) as deployment:
        shop.work(
            deployment,
            [
                *(shop.event(who, n % 30, 15.0 + n % 9) for n, who in enumerate(everybody)),
                *(
                    Profile(
                        event_id=f"p{n}",
                        customer_id=who,
                        occurred_at=moment(30),
                        attributes={"club": 1, "marketing_consent": True},
                    )
                    for n, who in enumerate(everybody)
                ),
                *(shop.event("other", day, 5.0) for day in range(31, 34)),
            ],
        )
        file = tmp_path / "treated.csv"
        told = shop.call(
            "create", "Spring", "--audience", "Members", "--control", "0.4", "--days", "14", "--out", str(file)
        )
        treated = set(pyarrow.csv.read_csv(file).column("customer_id").to_pylist())
        assert f"{len(treated)} customers to be written to, {MEMBERS - len(treated)} controls" in told
        assert "the smallest effect that can be seen" in told
        assert "purchases count from" in shop.call("start", "Spring")

        # What they do: 60 % of the treated and 25 % of the controls buy, some give back, some too late, some again.
        events, spend, orders = [], {True: 0.0, False: 0.0}, {True: 0, False: 0}
        for n, who in enumerate(everybody):
            if n % 20 >= (12 if who in treated else 5):
                continue
            price = 10.0 + n % 13
            events.append(shop.event(who, 35 + n % 12, price))
            orders[who in treated] += 1
            spend[who in treated] += price
            if n % 40 == 0:
                events.append(shop.event(who, 46, 4.0, Return))
                spend[who in treated] -= 4.0
        events += events[:50]
        events += [shop.event("other", 48, 900.0), *(shop.event(who, 49, 900.0) for who in everybody[:30])]
        shop.work(deployment, events[: len(events) // 2])
        shop.work(deployment, events[len(events) // 2 :])
        campaigns = open_campaigns(settings, deployment.state, deployment.logs)
        for number in range(3):
            meta = deployment.state.meta(number)
            if meta is not None and meta.position:
                trim_unneeded(campaigns, number, meta.position)

        told = shop.call("results", "Spring")
        assert told.count("(95 %: ") == 3
        found = json.loads(shop.call("show", "Spring", "--json"))["results"]
        for name, group in (("treated", True), ("control", False)):
            assert found[name]["orders"] == found[name]["buyers"] == orders[group]
            assert found[name]["net_spend"] == pytest.approx(spend[group])
        assert found["conversion"]["low"] < 0.35 < found["conversion"]["high"]
        assert found["net_spend"]["low"] > 0
        assert found["final"] is False

        if log == "redis":
            # Late events can no longer come: it is final, and a log that lets go of what was read may do so.
            shop.work(deployment, [shop.event("other", 60, 1.0)])
            assert json.loads(shop.call("results", "Spring", "--json"))["results"]["final"] is True
            position = deployment.state.meta(0).position
            before = sum(map(len, deployment.logs.read_all(campaigns.log)))
            trim_unneeded(campaigns, 0, position)
            assert sum(map(len, deployment.logs.read_all(campaigns.log))) == 1 < before
        assert "Spring" in shop.call("list")
        shop.call("delete", "Spring", "--yes")
        assert "no campaigns yet" in shop.call("list")
