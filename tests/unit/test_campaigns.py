"""A campaign from freezing to results, through the commands, on a deployment in memory with a real worker."""

import json
import threading
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from consumer.layout import UNFINISHED
from consumer.memory_state import MemoryState
from consumer.patience import Patience
from contracts.errors import LivesegmentsError
from contracts.keys import LogNames
from contracts.times import DAY, to_micros
from livesegments.app import Deployment, create_logs, open_worker
from livesegments.campaigns.errors import CampaignError
from livesegments.campaigns.freezing import freeze
from livesegments.campaigns.members import Hashing, salt_of
from livesegments.campaigns.opening import open_campaigns
from livesegments.campaigns.running import HELD_AFTER, held_from
from livesegments.commands import campaign as commands
from livesegments.parts import consent
from livesegments.row_lists import NoSuchAudienceError
from livesegments.settings import Settings
from logs.memory import MemoryLogs
from producer.publisher import EventPublisher
from recommender.holdout import held_out
from recommender.store import MemoryViews

START = datetime(2024, 1, 1, tzinfo=UTC)
NOW = to_micros(START + timedelta(days=400))
CUSTOMERS = [f"c{n}" for n in range(600)]


class Shop:
    """Customers of whom every fifth has refused and every tenth said nothing."""

    def __init__(self, monkeypatch, **more):
        settings = {"clock": "event", "partitions": 2, "review_inline": True, "figures_interval": "100ms"}
        # Nothing is learnt: what a campaign is made of are rows and the log.
        settings |= {"forecasts": False, "by_rule_buyers": 10**6, "first_model_buyers": 10**6, "blend_tuning": False}
        settings |= {"item_review_interval_event": "30000d", "item_review_growth": 1e9}
        settings["audiences"] = {"Everybody": "orders >= 0", "Lapsed": "recency_days > 3000"}
        self.settings = Settings(**{**settings, **more})
        self.deployment = Deployment(self.settings, MemoryLogs(lambda: NOW), MemoryState(), MemoryViews(lambda: NOW))
        create_logs(self.settings, self.deployment.logs)
        self.monkeypatch = monkeypatch
        self.orders = 0

    @property
    def campaigns(self):
        return open_campaigns(self.settings, self.deployment.state, self.deployment.logs)

    def found(self, name="Spring"):
        return self.campaigns.book.find(name)

    def work(self):
        with open_worker(self.deployment, Patience(threading.Event())) as worker:
            worker.run(until_idle=0.1)

    @contextmanager
    def publishing(self):
        with EventPublisher(self.deployment.logs, partitions=2) as publisher:
            yield publisher

    def buy(self, publisher, who, days, price=20.0, **more):
        self.orders += 1
        told = {"order_id": f"o{self.orders}", "event_id": f"e{self.orders}", **more}
        line = {"item_id": "tea", "quantity": 1, "unit_price": price}
        publisher.purchase(
            customer_id=who, lines=[line], currency="GBP", occurred_at=START + timedelta(days=days), **told
        )

    def fill(self):
        with self.publishing() as publisher:
            for n, who in enumerate(CUSTOMERS):
                for order in range(1 + n % 3):
                    self.buy(publisher, who, 1 + (n * 7 + order * 31) % 99, 10.0 + n % 17)
                if n % 10:
                    publisher.profile(
                        customer_id=who,
                        attributes={"marketing_consent": n % 5 != 1},
                        occurred_at=START + timedelta(days=50),
                    )
            self.buy(publisher, "last", 100)
        self.work()

    def freeze(self, name="Spring", audience="Everybody", *, control=0.5, days=10):
        campaigns, settings = self.campaigns, self.settings
        return freeze(
            self.deployment.state,
            name,
            audience,
            settings.audiences.get(audience, ""),
            consent(settings),
            control=control,
            days=days,
            now=campaigns.now,
            keep_seconds=campaigns.keep_seconds,
        )

    def results(self):
        return self.campaigns.results("Spring").results

    def call(self, *arguments, fails=False, answer=None):
        @contextmanager
        def opened(_):
            yield self.deployment

        self.monkeypatch.setattr(commands, "open_deployment", opened)
        self.monkeypatch.setenv("COLUMNS", "140")
        for name in ("audiences", "consent_unknown", "allowed_lateness", "clock"):
            value = getattr(self.settings, name)
            told = json.dumps(value) if isinstance(value, dict) else str(value).lower()
            self.monkeypatch.setenv(f"LIVESEGMENTS_{name.upper()}", told)
        found = CliRunner().invoke(commands.app, list(arguments), input=answer)
        if fails:
            assert isinstance(found.exception, LivesegmentsError), (found.output, found.exception)
            return str(found.exception)
        assert found.exit_code == 0, (found.output, found.exception)
        return found.output


@pytest.fixture(scope="module")
def filled():
    with pytest.MonkeyPatch.context() as patch:
        made = Shop(patch)
        made.fill()
        yield made


@pytest.fixture
def shop(monkeypatch):
    made = Shop(monkeypatch)
    made.fill()
    return made


def agreed():
    return [who for n, who in enumerate(CUSTOMERS) if n % 10 and n % 5 != 1]


def test_the_treated_are_exactly_those_who_agreed_and_are_no_controls(shop, tmp_path):
    file = tmp_path / "treated.parquet"
    told = shop.call("create", "Spring", "--audience", "Everybody", "--control", "0.3", "--out", str(file))
    controls = dict(zip(agreed(), held_out(agreed(), 0.3, salt_of("Spring")), strict=True))
    treated = {who for who, control in controls.items() if not control}
    assert set(pq.read_table(file).column("customer_id").to_pylist()) == treated
    assert f"{len(treated)} customers to be written to, {len(controls) - len(treated)} controls (30%)" in told
    assert "120 refused to be written to" in told
    assert "of 61 it is not known" in told
    assert "the smallest effect that can be seen (80 % power" in told
    assert 0 < len(treated) < len(controls) < len(CUSTOMERS)


def test_what_is_kept_names_nobody(shop):
    shop.freeze()
    kept = b"".join(shop.deployment.state.campaign_members(shop.found().number).values())
    kept += b"".join(shop.deployment.state.campaigns().values())
    assert not any(f'"{who}"'.encode() in kept for who in CUSTOMERS)
    assert Hashing(shop.found().number)("c2") in kept
    assert Hashing("another")("c2") not in kept


def test_only_purchases_of_members_in_its_days_count(shop):
    shop.freeze()
    assert "not started" in shop.call("show", "Spring")
    assert "has not been started" in shop.call("results", "Spring", fails=True)
    shop.campaigns.start("Spring")
    begin = shop.found().started_at
    assert begin == START + timedelta(days=100, microseconds=1)
    who = agreed()
    refused = [one for n, one in enumerate(CUSTOMERS) if n % 5 == 1]
    with shop.publishing() as publisher:
        shop.buy(publisher, who[0], 101, 30.0, event_id="twice")
        shop.buy(publisher, who[0], 101, 30.0, event_id="twice")
        shop.buy(publisher, who[1], 109.9, 50.0)
        publisher.returned(
            customer_id=who[1],
            order_id="back",
            event_id="back",
            lines=[{"item_id": "tea", "quantity": 1, "unit_price": 20.0}],
            currency="GBP",
            occurred_at=START + timedelta(days=109.95),
        )
        shop.buy(publisher, who[2], 99.9, 1000.0)  # before
        shop.buy(publisher, who[3], 110.1, 1000.0)  # after
        shop.buy(publisher, refused[0], 102, 1000.0)
        shop.buy(publisher, "stranger", 102, 1000.0)
        shop.buy(publisher, who[4], 150, 1000.0)
        shop.buy(publisher, who[4], 109, 1000.0)  # later than allowed: rows do not count it either
    with closing(shop.deployment.logs.writer()) as writer:
        writer.append(LogNames().events, who[0].encode(), b'{"type": "purchase", "customer_id": 7}')
        writer.append(LogNames().events, who[0].encode(), b"\xff no json")
    shop.work()
    shop.call("results", "Spring")
    found = shop.found().results
    assert found.final is (150 >= 110 + 30)
    assert found.treated.customers + found.control.customers == len(who)
    assert found.treated.buyers + found.control.buyers == 2
    assert found.treated.orders + found.control.orders == 2
    assert found.treated.net_spend + found.control.net_spend == 60.0
    assert found.conversion is None
    assert any("more customers with an order" in one for one in found.missing)


def test_an_effect_is_told_with_its_interval_once_the_days_are_over(shop):
    shop.freeze()
    shop.campaigns.start("Spring")
    controls = dict(zip(agreed(), held_out(agreed(), 0.5, salt_of("Spring")), strict=True))
    with shop.publishing() as publisher:
        for n, (who, control) in enumerate(controls.items()):
            if n % 10 < (4 if control else 7):
                shop.buy(publisher, who, 101 + n % 8, 25.0)
    shop.work()
    told = shop.call("results", "Spring")
    assert "an effect is told when they are over" in told
    assert "95 %" not in told
    with shop.publishing() as publisher:
        shop.buy(publisher, "last", 111)
    shop.work()
    told = shop.call("results", "Spring")
    effect = shop.found().results
    assert effect.conversion.low < 0.3 < effect.conversion.high
    assert effect.conversion.clear
    assert effect.net_spend.low < 0.3 * 25 < effect.net_spend.high
    assert told.count("(95 %: ") == 3
    assert "late events may still change it" in told
    assert shop.call("list").count("Spring") == 1
    with shop.publishing() as publisher:
        shop.buy(publisher, "last", 141)
    shop.work()
    shop.call("results", "Spring")
    final = shop.found()
    assert final.results.final
    assert shop.campaigns.results("Spring") == final
    assert json.loads(shop.call("show", "Spring", "--json"))["results"]["final"] is True


def test_who_is_erased_leaves_it(shop, tmp_path):
    shop.freeze()
    shop.campaigns.start("Spring")
    who = agreed()
    members = len(shop.campaigns.book.members(shop.found()))
    with shop.publishing() as publisher:
        for one in who[:3]:
            shop.buy(publisher, one, 101)
        publisher.erase(customer_id=who[0], occurred_at=START + timedelta(days=102))
        shop.buy(publisher, who[0], 103)
        for one in (who[1], who[2]):  # void: something newer stands before it
            publisher.publish(
                {
                    "type": "erase",
                    "event_id": f"idle-{one}",
                    "customer_id": one,
                    "occurred_at": START + timedelta(days=50),
                    "unless_newer": True,
                }
            )
        shop.buy(publisher, "last", 112)
    shop.work()
    shop.call("results", "Spring")
    found = shop.found().results
    assert found.left == 1
    assert found.treated.orders + found.control.orders == 2
    assert len(shop.campaigns.book.members(shop.found())) == members - 1
    file = tmp_path / "treated.csv"
    shop.call("export", "Spring", str(file))
    assert f'\n"{who[0]}"' not in file.read_text()


def test_who_is_erased_before_the_start_leaves_it_too(shop):
    shop.freeze()
    gone, back, silent = agreed()[:3]
    members = len(shop.campaigns.book.members(shop.found()))
    with shop.publishing() as publisher:
        for who in (gone, back):
            publisher.erase(customer_id=who, occurred_at=START + timedelta(days=101))
        shop.buy(publisher, back, 102)
        shop.buy(publisher, "last", 102)
    shop.work()
    shop.campaigns.start("Spring")
    kept = shop.campaigns.book.members(shop.found())
    assert [kept.place(who) is None for who in (gone, back, silent)] == [True, True, False]
    with shop.publishing() as publisher:
        shop.buy(publisher, "last", 150)
    shop.work()
    found = shop.results()
    assert (found.left, found.treated.customers + found.control.customers) == (2, members - 2)


def test_rows_that_are_being_written_whole_make_no_campaign(shop, monkeypatch):
    shop.freeze()
    meta = shop.deployment.state.meta
    monkeypatch.setattr(shop.deployment.state, "meta", lambda number: replace(meta(number), layout=UNFINISHED))
    for step in (lambda: shop.freeze("Other"), lambda: shop.campaigns.start("Spring")):
        with pytest.raises(CampaignError, match="written whole"):
            step()


def test_who_takes_consent_back_is_not_exported_and_still_counts(shop, tmp_path):
    shop.freeze()
    before = shop.found()
    treated = [
        one for one, control in zip(agreed(), held_out(agreed(), 0.5, salt_of("Spring")), strict=True) if not control
    ]
    with shop.publishing() as publisher:
        publisher.profile(
            customer_id=treated[0],
            attributes={"marketing_consent": "No"},
            occurred_at=START + timedelta(days=101),
        )
    shop.work()
    file = tmp_path / "treated.parquet"
    assert "1 have taken their consent back" in shop.call("export", "Spring", str(file))
    table = pq.read_table(file)
    assert set(table.column("customer_id").to_pylist()) == set(treated[1:])
    assert set(table.column("campaign").to_pylist()) == {"Spring"}
    assert shop.found() == before


def test_cells_that_begin_as_formulas_do_are_made_harmless(monkeypatch, tmp_path):
    shop = Shop(monkeypatch, consent_unknown=True)
    risky = ["=1+1", "@sum", "+49x", "-x", '=cmd|"/c calc"!A0']
    with shop.publishing() as publisher:
        for who in [*risky, *CUSTOMERS[:30]]:
            shop.buy(publisher, who, 10)
    shop.work()
    file = tmp_path / "treated.csv"
    told = shop.call("create", "=Spring", "--audience", "Everybody", "--control", "0.2", "--out", str(file))
    for line in file.read_text().splitlines()[1:]:
        assert line[1] not in "=@+-", line
        assert line.endswith('"\'=Spring"')
    assert "apostrophe" in told


def test_a_campaign_stopped_early_counts_what_was(shop):
    shop.freeze(days=20)
    assert "has not been started" in shop.call("stop", "Spring", fails=True)
    shop.campaigns.start("Spring")
    assert "was started on" in shop.call("start", "Spring", fails=True)
    who = agreed()[0]
    with shop.publishing() as publisher:
        shop.buy(publisher, who, 103)
    shop.work()
    assert "stopped after 3 days" in shop.call("stop", "Spring")
    with shop.publishing() as publisher:
        shop.buy(publisher, who, 105)
    shop.work()
    shop.call("results", "Spring")
    found = shop.found()
    assert found.results.treated.orders + found.results.control.orders == 1
    assert "ended on" in shop.call("stop", "Spring", fails=True)


def test_a_start_can_lie_ahead_but_not_behind(shop):
    shop.freeze()
    assert "is over" in shop.call("start", "Spring", "--at", "2024-01-02T00:00:00Z", fails=True)
    assert "more than 366 days ahead" in shop.call("start", "Spring", "--at", "9999-12-31T00:00:00Z", fails=True)
    shop.call("start", "Spring", "--at", "2024-06-01T08:00:00Z")
    assert "begins 2024-06-01 08:00" in shop.call("show", "Spring")
    assert "has not begun yet" in shop.call("stop", "Spring", fails=True)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"name": ""}, "at least 1"),
        ({"name": "a/b"}, "no /"),
        ({"name": " x"}, "spaces"),
        ({"name": "a\nb"}, "printable"),
        ({"name": "\ud800"}, "can not be called"),
        ({"name": "x" * 61}, "60"),
        ({"control": 0.6}, "at most 0.5"),
        ({"control": 0.0}, "above 0"),
        ({"control": float("nan")}, "above 0"),
        ({"days": 0}, "1 to 366 days"),
        ({"audience": "Lapsed"}, "each takes 2"),
        ({"name": "SPRING"}, "already"),
        ({"name": "Spr\uff49ng"}, "already"),
    ],
)
def test_what_can_not_be_is_refused_in_words(filled, asked, said):
    if "Spring" not in filled.deployment.state.campaigns():
        filled.freeze()
    with pytest.raises(CampaignError, match=said):
        filled.freeze(**{"name": "Other", **asked})
    assert set(filled.deployment.state.campaigns()) == {"Spring"}


def test_campaigns_are_found_and_forgotten(shop):
    with pytest.raises(NoSuchAudienceError):
        shop.freeze(audience="Nobody")
    shop.freeze()
    assert "there is no campaign 'Autumn'; there are Spring" in shop.call("show", "Autumn", fails=True)
    number = shop.found().number
    shop.call("delete", "Spring", answer="y\n")
    assert shop.campaigns.book.all() == []
    assert shop.deployment.state.campaign_members(number) == {}
    assert "no campaigns yet" in shop.call("list")


def test_two_who_change_one_campaign_do_not_overwrite_each_other(shop):
    shop.freeze()
    seen = shop.found()
    shop.campaigns.start("Spring")
    with pytest.raises(LivesegmentsError, match="changed by somebody else"):
        shop.campaigns.book.replace(seen, seen.model_copy(update={"days": 3}))


def test_one_of_the_same_name_that_came_meanwhile_is_not_forgotten_with_the_other(shop):
    shop.freeze()
    first = shop.found()
    shop.campaigns.book.delete(first)
    shop.freeze()
    with pytest.raises(LivesegmentsError, match="changed by somebody else"):
        shop.campaigns.book.delete(first)
    second = shop.found()
    assert shop.deployment.state.campaign_members(second.number)
    shop.campaigns.start("Spring")
    shop.campaigns.book.delete(second)  # whatever was done with it since
    assert shop.campaigns.book.all() == []
    assert shop.deployment.state.campaign_members(second.number) == {}


def test_the_log_is_held_until_late_events_can_no_longer_come(shop):
    shop.freeze()
    assert held_from(shop.campaigns.book.all(), 0, 0) == {}
    shop.campaigns.start("Spring")
    found = shop.found()
    end = to_micros(found.ends_at)
    assert held_from([found], end + 30 * DAY + HELD_AFTER, 30 * DAY) == found.positions
    assert held_from([found], end + 31 * DAY + HELD_AFTER, 30 * DAY) == {}
    assert set(found.positions) == {0, 1}


def test_a_log_that_forgets_too_soon_is_refused_at_the_start(shop):
    shop.freeze()
    log = shop.deployment.logs.find(LogNames().events)
    log.spec = type(log.spec)(log.spec.name, 2, retention_ms=20 * 86_400_000)
    assert "keeps events for 20 days, and campaign Spring needs 40" in shop.call("start", "Spring", fails=True)
    log.spec = type(log.spec)(log.spec.name, 2, retention_ms=60 * 86_400_000)
    ahead = ("--at", f"{START + timedelta(days=130):%Y-%m-%dT%H:%M:%SZ}")
    assert "needs 70 (until it begins, its days" in shop.call("start", "Spring", *ahead, fails=True)


def test_a_log_that_has_forgotten_is_no_result(shop):
    shop.freeze()
    shop.campaigns.start("Spring")
    with shop.publishing() as publisher:
        for one in agreed():
            shop.buy(publisher, one, 101)
    shop.work()
    for partition, end in enumerate(shop.deployment.logs.ends(LogNames().events)):
        shop.deployment.logs.trim(LogNames().events, partition, end)
    assert "no longer holds" in shop.call("results", "Spring", fails=True)
