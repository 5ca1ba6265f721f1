"""Whatever stands in a record or in the settings: a value or an error of ours, nothing else.

`make fuzz` runs these for longer (HYPOTHESIS_PROFILE=fuzz); `python -m tests.security.fuzz_decoder` is the same oracle
under atheris, which looks for new paths by coverage.
"""

import contextlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from contracts.errors import LivesegmentsError
from livesegments.parts import kafka_security, log_specs, model_settings, recommender_settings, worker_settings
from livesegments.redis_address import redis_address
from livesegments.settings import Settings
from livesegments.sources import load_settings, shown
from tests.unit.test_decoding import assert_decoded_as_the_contract_says

settings.register_profile("fuzz", max_examples=int(os.environ.get("FUZZ_EXAMPLES", "50000")), deadline=None)
if os.environ.get("HYPOTHESIS_PROFILE") == "fuzz":
    settings.load_profile("fuzz")

NAMES = sorted(Settings.model_fields)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
fields = st.sampled_from(
    [
        *(
            "v",
            "type",
            "event_id",
            "customer_id",
            "occurred_at",
            "order_id",
            "lines",
            "currency",
            "attributes",
            "items",
        ),
        *("item_id", "quantity", "unit_price", "kind", "source", "name", "category", "reasons"),
    ]
)
typical = st.sampled_from(
    [1, 0, -1, 1e308, 2**63, "purchase", "return", "profile", "erase", "interaction", "alias", "shown", "GBP"]
) | st.sampled_from(["2026-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "x", "", "\x00"])
events = st.recursive(
    typical | json_values,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(fields, inner, max_size=9),
    max_leaves=25,
)
records = st.none() | st.binary(max_size=200) | events.map(lambda value: json.dumps(value).encode("utf-8", "replace"))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(records, max_size=5))
@example([b"\xef\xbb\xbf{}", b"[" * 5000, b'{"v":' + b"9" * 5000 + b"}", b'"\\ud800"', b"\xff", b"nan"])
def test_records_decode_or_are_dead_letters(values):
    assert_decoded_as_the_contract_says(values)


words = st.sampled_from(
    [
        *(
            "auto",
            "wall",
            "30d",
            "5s",
            "-1",
            "0",
            "1e400",
            "nan",
            "inf",
            "true",
            "[]",
            "{}",
            "{",
            "[1",
            "null",
            "9" * 400,
        ),
        *("redis://", "redis://[::1", "redis://h:99999", "kafka://h:1", "kafka://:", "rediss://u:p@h/0?x=%", "unix://"),
        *(
            '{"a": "spend > 1"}',
            '{"EUR": {"2024-01-01": "0.8"}}',
            '{"EUR": 1}',
            '["(", "["]',
            "spend >",
            "(((",
            "Europe/../x",
        ),
    ]
)


def usable(flags: dict) -> None:
    """What commands do with settings before they connect."""
    loaded = load_settings(flags=flags).settings
    worker_settings(loaded), model_settings(loaded), recommender_settings(loaded), log_specs(loaded)
    kafka_security(loaded), redis_address(loaded.redis_url, loaded)
    for name in NAMES:
        shown(name, getattr(loaded, name))


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """No settings file, no variables."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("LIVESEGMENTS_")]:
        monkeypatch.delenv(name)


ANY = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@ANY
@given(st.dictionaries(st.sampled_from(NAMES), words | texts, max_size=4))
@example({"redis_url": "redis://[::1"})
@example({"zone": "../../etc/passwd"})
@example({"dwell": "9" * 400 + "d"})
def test_flags_are_settings_or_an_error_that_says_so(flags):
    with contextlib.suppress(LivesegmentsError):
        usable(flags)


@ANY
@given(
    st.binary(max_size=200) | st.dictionaries(st.sampled_from(NAMES), json_values, max_size=3).map(str).map(str.encode)
)
@example(b'redis_url = {a = "b"}')
@example(b"k = 1979-05-27T07:32:00Z")
@example(b"[blend]\na = [[[[]]]]")
def test_a_file_is_settings_or_an_error_that_says_so(content):
    file = Path("fuzz.toml")  # in the folder of the fixture
    file.write_bytes(content)
    with contextlib.suppress(LivesegmentsError):
        load_settings(file)


@ANY
@given(st.dictionaries(st.sampled_from(NAMES), json_values, min_size=1, max_size=3))
@example({"dwell": []})
def test_values_of_any_type_are_settings_or_an_error_that_says_so(values):
    """As TOML gives them."""
    with contextlib.suppress(LivesegmentsError):
        usable(values)
