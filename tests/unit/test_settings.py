"""Settings: one class, three sources, one line for each mistake."""

import dataclasses
import os
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.memory_state import MemoryState
from consumer.settings import WorkerSettings
from contracts.keys import Keys, LogNames
from contracts.redaction import without_password
from contracts.times import DAY, HOUR, MINUTE, to_micros
from livesegments.campaigns.consent import Consent
from livesegments.campaigns.opening import open_campaigns
from livesegments.durations import Duration
from livesegments.parts import (
    consent,
    kafka_security,
    log_specs,
    model_settings,
    recommender_settings,
    worker_settings,
    zone,
)
from livesegments.settings import Settings
from livesegments.settings_file import SECTIONS, as_toml
from livesegments.sources import SettingsError, load_settings, shown
from logs.memory import MemoryLogs
from online_model.settings import ModelSettings
from recommender.holdout import HoldOut
from recommender.settings import RecommenderSettings

EXAMPLE = Path(__file__).parents[2] / "livesegments.example.toml"


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch, tmp_path):
    """No variables of ours, and no livesegments.toml in the current folder."""
    for name in [name for name in os.environ if name.startswith("LIVESEGMENTS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def wrong(flags=None, config=None) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(config, flags)
    return str(caught.value)


# ---- sources ----


def test_file_then_environment_then_flags(monkeypatch, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('k = 3\nmargin = 0.2\ndwell = "2h"\n')
    monkeypatch.setenv("LIVESEGMENTS_K", "4")
    monkeypatch.setenv("LIVESEGMENTS_MARGIN", "0.3")
    loaded = load_settings(file, {"k": "6", "clock": None})
    assert (loaded.settings.k, loaded.settings.margin, loaded.settings.dwell) == (6, 0.3, 2 * HOUR)
    assert loaded.origins == {"k": "flag --k", "margin": "LIVESEGMENTS_MARGIN", "dwell": str(file)}


def test_the_file_in_the_current_folder_is_read_and_a_named_one_instead(monkeypatch, tmp_path):
    Path("livesegments.toml").write_text("k = 3\n")
    assert load_settings().settings.k == 3
    other = tmp_path / "other.toml"
    other.write_text("k = 4\n")
    monkeypatch.setenv("LIVESEGMENTS_CONFIG", str(other))
    assert load_settings().settings.k == 4
    assert load_settings(Path("livesegments.toml")).settings.k == 3


def test_an_empty_variable_sets_nothing(monkeypatch):
    monkeypatch.setenv("LIVESEGMENTS_K", "")
    assert load_settings().origins == {}


def test_lists_and_tables_from_variables(monkeypatch):
    monkeypatch.setenv("LIVESEGMENTS_FEATURES", "recency, tenure")
    monkeypatch.setenv("LIVESEGMENTS_NON_PRODUCTS", '["a{1,2}", "b"]')
    monkeypatch.setenv("LIVESEGMENTS_RATES", '{"EUR": {"2024-01-01": 0.86}}')
    settings = load_settings().settings
    assert settings.features == ("recency", "tenure")
    assert settings.non_products == ("a{1,2}", "b")
    assert worker_settings(settings).rates.dated["EUR"][0][1] == Decimal("0.86")


def test_rates_from_a_file_are_dated_at_midnight_utc(tmp_path):
    file = tmp_path / "s.toml"
    file.write_text('[rates.EUR]\n"2024-06-01" = "0.85"\n"2024-01-01" = 0.86\n')
    (january, first), (_, second) = worker_settings(load_settings(file).settings).rates.dated["EUR"]
    assert (first, second) == (Decimal("0.86"), Decimal("0.85"))
    assert january == to_micros(datetime(2024, 1, 1, tzinfo=UTC))


def test_a_misspelt_variable_is_noticed_and_others_are_left_alone(monkeypatch):
    monkeypatch.setenv("LIVESEGMENTS_LOGURL", "kafka://x:1")
    monkeypatch.setenv("LIVESEGMENTS_IMAGE", "mine")
    monkeypatch.setenv("LIVESEGMENTS_WORKERS", "2")
    assert load_settings().unknown_variables == {"LIVESEGMENTS_LOGURL": "LIVESEGMENTS_LOG_URL"}


# ---- mistakes ----


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("k", "five", "whole number"),
        ("k", "1", "whole number from 2"),
        ("clock", "sundial", "'wall' or 'event'"),
        ("dwell", "90", "a duration such as 30d"),
        ("allowed_lateness", "90d", "between 0 and 62 days"),
        ("attribution_window", "91d", "between 0 and 90 days"),
        ("holdout_share", "0.6", "less than or equal to 0.5"),
        ("holdout_share", "0.1", "needs holdout_since"),
        ("holdout_since", "yesterday", "date"),
        ("margin", "nan", "finite number"),
        ("redis_url", "localhost:6379", "expected redis://host:port/db"),
        ("redis_url", "redis://localhost:99999", "port"),
        ("log_url", "kafka://localhost", "expected kafka://host:port"),
        ("log_url", "memory://", "expected kafka://host:port"),
        ("features", "recency,height", "there is no feature 'height'"),
        ("features", "rfm,recency", "name each once"),
        ("attribute_options", "age", "expected a JSON object"),
        ("attribute_options", '{"age": {"bin": [18]}}', "attribute_options.age: there is no option 'bin'"),
        ("attribute_options", '{"age": {"bins": [30, 18]}}', "attribute_options.age: bins must be rising numbers"),
        ("attribute_options", '{"age": {"transform": "log"}}', "transform must be none, log1p or sqrt, not 'log'"),
        ("scaling", "minmax", 'expected a JSON object such as {"recency": "minmax"}'),
        ("scaling", '{"recency": "robust"}', "scaling of recency must be standard or minmax, not 'robust'"),
        ("scaling", '{"height": "minmax"}', "there is no feature 'height'"),
        ("scaling", '{"rfm": "minmax"}', "there is no feature 'rfm'"),
        ("scaling", '{"attributes.age": "minmax"}', "attribute_options.age.scaling"),
        ("non_products", "(post", "not a regular expression"),
        ("zone", "Mars/Olympus", "expected a time zone"),
        ("currency", "pounds", "should match pattern"),
        ("rates", "EUR=2", "expected a JSON object"),
        ("rates", '{"EUR": {"2024-01-01": "-1"}}', "greater than 0"),
        ("key_prefix", "a b", "should match pattern"),
        ("kafka_mechanism", "GSSAPI", "'PLAIN'"),
        ("session_timeout", "1ms", "at least"),
        ("webhooks", "crm", 'expected a JSON object such as {"crm"'),
        ("webhooks", '{"crm": {"secrets": ["env:CRM"]}}', "webhooks.crm.url: expected https://host/path"),
        ("webhook_timeout", "1ms", "at least"),
        ("webhook_dead_letters", "0", "greater than or equal to 1"),
        ("first_model_buyers", "3", "at least k = 5"),
    ],
)
def test_a_wrong_setting_is_one_line_with_its_name_source_and_value(monkeypatch, name, value, told):
    variable = f"LIVESEGMENTS_{name.upper()}"
    monkeypatch.setenv(variable, value)
    message = wrong()
    assert len(message.splitlines()) == 1
    assert name in message
    assert variable in message
    assert told in message


def test_every_wrong_setting_has_its_line(tmp_path):
    file = tmp_path / "s.toml"
    file.write_text("k = 1\nmargin = 7\n")
    lines = wrong(config=file).splitlines()
    assert [line.split(" = ")[0] for line in lines] == ["k", "margin"]
    assert all(str(file) in line for line in lines)


def test_an_unknown_key_in_the_file_names_the_closest(tmp_path):
    file = tmp_path / "s.toml"
    file.write_text('reddis_url = "redis://x"\n')
    assert wrong(config=file) == f"{file}: there is no setting 'reddis_url'; did you mean 'redis_url'?"


def test_a_file_that_is_not_there_or_no_toml(tmp_path):
    assert "there is no settings file nowhere.toml" in wrong(config=Path("nowhere.toml"))
    file = tmp_path / "s.toml"
    file.write_text("k == 3")
    assert "not readable as TOML" in wrong(config=file)


def test_a_login_needs_name_and_password():
    assert "kafka_mechanism needs" in wrong({"kafka_mechanism": "PLAIN", "kafka_username": "me"})


def test_secrets_are_shown_nowhere(monkeypatch):
    monkeypatch.setenv("LIVESEGMENTS_KAFKA_PASSWORD", "s3cret")
    monkeypatch.setenv("LIVESEGMENTS_REDIS_URL", "rediss://me:s3cret@host:1/0")
    loaded = load_settings()
    said = [repr(loaded), str(loaded.settings), repr(kafka_security(loaded.settings))]
    said += [shown(name, getattr(loaded.settings, name)) for name in Settings.model_fields]
    monkeypatch.setenv("LIVESEGMENTS_KAFKA_MECHANISM", "bad")
    monkeypatch.setenv("LIVESEGMENTS_REDIS_URL", "http://me:s3cret@host")
    said.append(wrong())
    assert "s3cret" not in " ".join(said)
    assert kafka_security(loaded.settings).password == "s3cret"


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("redis://host:1/0", "redis://host:1/0"),
        ("redis://:p@host:1/0", "redis://:***@host:1/0"),
        ("rediss://me:p@ss@host", "rediss://me:***@host"),
        ("redis://me@host", "redis://me@host"),
        ("redis://me:a/b?c@host", "redis://me:***@host"),
        ("me:p@host", "me:***@host"),
        ("redis:me:p@host", "redis:***@host"),
        ("rediss://host/0?password=p&ssl_password=q&db=1", "rediss://host/0?password=***&ssl_password=***&db=1"),
    ],
)
def test_urls_without_their_password(url, text):
    assert without_password(url) == text


# ---- durations ----


@given(st.integers(0, 36_500 * DAY))
def test_a_duration_reads_what_it_writes(micros):
    assert Duration.parse(str(Duration(micros))) == micros


@pytest.mark.parametrize(
    ("text", "micros"),
    [("90d", 90 * DAY), ("1h30m", HOUR + 30 * MINUTE), ("1.5s", 1_500_000), ("200ms", 200_000), ("0", 0), ("1 d", DAY)],
)
def test_durations_as_people_write_them(text, micros):
    assert Duration.parse(text) == micros


@pytest.mark.parametrize("text", ["", "5", "d", "-1d", "1y", "5 apples", "1e3s", 5, None, True, "999999d"])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="duration"):
        Duration.parse(text)


# ---- the example ----


def test_the_example_is_what_the_command_prints():
    assert EXAMPLE.read_text() == as_toml(), "run: livesegments settings --toml > livesegments.example.toml"


def test_the_example_has_every_setting_with_its_default(tmp_path):
    text = re.sub(r"^#(?=[a-z_]+ = )", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    file = tmp_path / "whole.toml"
    file.write_text(text)
    loaded = load_settings(file)
    assert loaded.settings == Settings()
    assert set(loaded.origins) == set(Settings.model_fields)


def test_every_setting_says_what_it_is():
    assert all(field.description for field in Settings.model_fields.values())
    assert set(SECTIONS) <= set(Settings.model_fields)


# ---- what the parts are told ----


def test_the_defaults_are_those_of_the_parts():
    ours = worker_settings(Settings())
    model = dataclasses.replace(ModelSettings(), review_interval=MINUTE, k_interval=5 * MINUTE)
    recommender = dataclasses.replace(RecommenderSettings(), item_review_interval=HOUR)
    assert ours == dataclasses.replace(
        WorkerSettings(), session_timeout=ours.session_timeout, model=model, recommender=recommender
    )


def test_reviews_go_by_the_clock_in_use():
    assert worker_settings(Settings(clock="wall")).model.review_interval == MINUTE
    assert worker_settings(Settings(clock="event")).model.review_interval == DAY
    assert worker_settings(Settings(clock="wall")).recommender.item_review_interval == HOUR
    assert worker_settings(Settings(clock="event")).recommender.item_review_interval == DAY
    assert worker_settings(Settings(clock="wall")).model.k_interval == 5 * MINUTE
    assert worker_settings(Settings(clock="event")).model.k_interval == 7 * DAY


OTHER = {
    "k": "6",
    "k_default": "7",
    "k_interval_wall": "9d",
    "k_interval_event": "9d",
    "model_versions_kept": "9",
    "features": "recency,tenure",
    "attributes": "age",
    "attribute_options": '{"age": {"bins": [18, 30]}}',
    "scaling": '{"recency": "minmax"}',
    "attribute_words": '{"visits": ["Rare", "Frequent"]}',
    "model_seed": "7",
    "first_model_buyers": "60",
    "by_rule_buyers": "60",
    "by_rule_days": "9",
    "adoption_gain": "0.1",
    "adoption_interval": "9d",
    "restart_gain": "0.1",
    "restarts": "3",
    "review_interval_wall": "9d",
    "review_interval_event": "9d",
    "margin": "0.5",
    "dwell": "9d",
    "lapse_days": "9",
    "new_days": "9",
    "clusterer": "river",
    "list_length": "7",
    "popularity_half_life": "9d",
    "slow_half_life": "99d",
    "segment_shrinkage": "9",
    "blend_tuning": "false",
    "blend": '{"again_weight": 9, "again_half_life": 9}',
    "item_review_interval_wall": "9d",
    "item_review_interval_event": "9d",
    "item_review_growth": "9",
    "head_items": "9",
    "low_rank": "9",
    "neighbours": "9",
    "tail_neighbours": "9",
    "max_per_category": "9",
    "max_per_reason": "9",
    "exploration": "0.09",
    "exploration_period": "9d",
    "new_item_age": "9d",
    "non_products": "x",
    "view_interval": "9s",
    "view_refresh": "9d",
}


def test_every_setting_of_model_and_recommender_arrives():
    settings = load_settings(flags=OTHER).settings
    for told, default in (
        (model_settings(settings), ModelSettings()),
        (recommender_settings(settings), RecommenderSettings()),
    ):
        same = [
            field.name
            for field in dataclasses.fields(default)
            if getattr(told, field.name) == getattr(default, field.name)
        ]
        assert same == []


def test_every_setting_of_the_worker_arrives():
    flags = {
        "key_prefix": "p",
        "log_prefix": "l-",
        "group": "g",
        "clock": "event",
        "currency": "EUR",
        "allowed_lateness": "2d",
        "forecasts": "false",
        "seen_from": "2025-02-01",
        "batch_events": "7",
        "session_timeout": "7s",
        "views_share": "0.7",
        "sweep_interval_wall": "7s",
        "sweep_interval_event": "7d",
        "figures_interval": "7s",
        "review_inline": "true",
        "scope": 'attributes.type != "trade"',
        "out_of_scope_name": "Trade",
        "audiences": '{"Big": "spend > 1000"}',
        "quiet_after": "2d",
        "forget_idle": "400d",
        "attribution_window": "2d",
        "holdout_share": "0.1",
        "holdout_since": "2026-01-31",
        "holdout_salt": "s",
    }
    told = worker_settings(load_settings(flags=OTHER | flags).settings)
    default = WorkerSettings()
    same = [
        field.name for field in dataclasses.fields(default) if getattr(told, field.name) == getattr(default, field.name)
    ]
    assert same == ["known_as"]  # a rebuild alone sets it
    assert (told.keys, told.names) == (Keys("p"), LogNames("l-"))
    assert told.session_timeout == told.figures_interval == 7
    assert told.limits.lateness == told.limits.attribution_window == 2 * DAY
    assert told.seen_from == to_micros(datetime(2025, 2, 1, tzinfo=UTC))
    assert told.holdout == HoldOut(0.1, to_micros(datetime(2026, 1, 31, tzinfo=UTC)), "s")


def test_every_setting_of_campaigns_arrives():
    flags = {"consent_attribute": "newsletter", "consent_values": "Ja, 2.0", "consent_unknown": "true"}
    flags |= {"campaign_retention": "9d", "allowed_lateness": "2d", "clock": "event", "log_prefix": "x-"}
    settings = load_settings(flags={**flags, "currency": "EUR"}).settings
    assert consent(settings) == Consent("newsletter", frozenset({"ja", "2.0"}), unknown=True)
    assert consent(Settings()) == Consent()
    campaigns = open_campaigns(settings, MemoryState(), MemoryLogs())
    assert (campaigns.log, campaigns.clock, campaigns.rates.currency) == ("x-customer-events", "event", "EUR")
    assert campaigns.limits.lateness == 2 * DAY
    default = open_campaigns(Settings(), MemoryState(), MemoryLogs())
    assert default.keep_seconds(0) - campaigns.keep_seconds(0) == (365 - 9 + 30 - 2) * 86_400


def test_logs_are_created_as_the_settings_say():
    flags = {"log_prefix": "x-", "partitions": "4", "segment_changes_retention": "1d"}
    events, changes, dead, catalog = log_specs(load_settings(flags=flags).settings)
    assert (events.name, events.partitions, events.retention_ms) == ("x-customer-events", 4, None)
    assert (changes.name, changes.partitions, changes.retention_ms) == ("x-segment-changes", 4, DAY // 1000)
    assert dead.retention_ms == 90 * DAY // 1000
    assert catalog.compacted
    assert catalog.retention_ms is None


def test_the_log_is_in_redis_unless_named():
    assert load_settings(flags={"redis_url": "redis://a:1/2"}).settings.event_log_url == "redis://a:1/2"
    assert load_settings(flags={"log_url": "kafka://a:1,b:2"}).settings.event_log_url == "kafka://a:1,b:2"


def test_zones():
    assert str(zone(Settings())) == "UTC"
    assert str(zone(load_settings(flags={"zone": "Europe/London"}).settings)) == "Europe/London"
