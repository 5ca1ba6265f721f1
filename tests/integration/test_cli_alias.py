"""`livesegments alias`, and what other commands say of joined ids, on Kafka and Redis."""

import json

import pytest

from tests.integration.test_cli import shell  # noqa: F401 - a fixture
from tests.integration.test_cli_erasure import publish, purchase


@pytest.mark.parametrize("shell", ["kafka"], indirect=True)
def test_an_id_is_joined_shown_split_and_erased(shell):  # noqa: F811
    publish(shell, purchase("1"), purchase("2", customer_id="cookie-7-of-somebody"))
    assert "is an id of customer-0017-a" in shell.run("alias", "cookie-7-of-somebody", "customer-0017-a")
    assert "name the customer" in shell.run("alias", "cookie-7-of-somebody", status=1)
    shell.run("worker", "--until-idle", "1s")
    shown = json.loads(shell.run("show", "cookie-7-of-somebody", "--json"))
    assert (shown["joined_to"], shown["row"]["orders"]) == ("customer-0017-a", 2)
    assert "is another id of this customer" in shell.run("show", "cookie-7-of-somebody")
    left = json.loads(shell.run("erase", "cookie-7-of-somebody", "--only-verify", "--json", status=1))["left"]
    assert any("belong together" in one for one in left)

    shell.run("alias", "cookie-7-of-somebody", "--split")
    shell.run("worker", "--until-idle", "1s")
    assert json.loads(shell.run("show", "customer-0017-a", "--json"))["row"]["orders"] == 1
    assert "joined_to" not in json.loads(shell.run("show", "cookie-7-of-somebody", "--json"))
