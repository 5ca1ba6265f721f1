"""Questions made up from our own OpenAPI document: no answer may be one that it does not describe."""

import json
from functools import partial

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode, checks

from contracts.times import rfc3339
from livesegments.app import Deployment
from livesegments.settings import Settings
from livesegments.web.opening import likest
from livesegments.webhooks.desk import Desk
from livesegments.webhooks.ledger import Step
from livesegments.webhooks.memory_ledger import MemoryLedger
from tests.in_process import START
from tests.web_shop import WebShop, key, keys_of, served

EXAMPLES = 4


@pytest.fixture(scope="module")
def url():
    shop = WebShop()
    for n in range(5):
        event = {
            "type": "purchase",
            "event_id": f"e{n}",
            "customer_id": f"{17850 + n}",
            "occurred_at": rfc3339(START),
            "order_id": f"o{n}",
            "lines": [{"item_id": "85123A", "quantity": 1, "unit_price": 2.5}],
            "currency": "GBP",
        }
        shop.publish(json.dumps(event).encode())
    shop.run()
    ledger = MemoryLedger()
    ledger.begin("crm", shop.logs.describe(shop.names.changes).identity, {0: 0, 1: 0})
    ledger.advance("crm", Step("a", shop.logs.describe(shop.names.changes).identity, 1_700_000_000_000_000))
    tables = {"crm": {"url": "https://crm.example/", "secrets": ["env:CRM"]}}
    deployment = Deployment(Settings(webhooks=tables), shop.logs, shop.state, shop.views)
    more = {"webhooks": Desk(deployment, ledger), "look_alikes": partial(likest, deployment)}
    with served(shop.parts(keys=keys_of(admin="admin"), **more)) as url:
        yield url


@pytest.fixture(scope="module")
def operations(url):
    """By what they are called: `GET /segments`."""
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    return {one.ok().label: one.ok() for one in schema.get_all_operations()}


OPERATIONS = [
    "POST /events",
    "GET /segments",
    "GET /segments/{segment_id}",
    "GET /segments/{segment_id}/customers",
    "GET /segments/{segment_id}/customers.csv",
    "GET /segments/{segment_id}/customers.parquet",
    "GET /audiences/{audience}/customers.csv",
    "GET /audiences/{audience}/customers.parquet",
    "GET /audiences/{audience}/look-alikes.csv",
    "GET /audiences/{audience}/look-alikes.parquet",
    "GET /campaigns",
    "GET /campaigns/{name}/treated.csv",
    "GET /campaigns/{name}/treated.parquet",
    "GET /export/customers.csv",
    "GET /export/customers.parquet",
    "GET /export/flows.csv",
    "GET /recommendations/{customer_id}",
    "GET /items/{item_id}/similar",
    "GET /customers/{customer_id}",
    "DELETE /customers/{customer_id}",
    "POST /customers:batchGet",
    "GET /webhooks",
    "GET /webhooks/{name}/dead-letters",
    "GET /webhooks/{name}/dead-letters/{letter_id}",
    "POST /webhooks/{name}/dead-letters:replay",
    "DELETE /webhooks/{name}/dead-letters",
]
"""All but `GET /changes`, which never ends."""

UNFIT = [
    # What is valid by its schema may still come too late, or in a currency that has no rate.
    checks.positive_data_acceptance,
]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("label", OPERATIONS)
def test_no_question_gets_an_answer_that_is_not_described(operations, label, mode):
    operation = operations[label]

    @settings(
        max_examples=EXAMPLES,
        phases=[Phase.generate],
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def ask(case):
        case.call_and_validate(headers={"Authorization": f"Bearer {key('admin')}"}, excluded_checks=UNFIT)

    ask()


def test_every_operation_is_asked(operations):
    assert sorted(operations) == sorted([*OPERATIONS, "GET /changes"])
