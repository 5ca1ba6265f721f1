"""An import by page on real servers, to rows: published once however often, and what is kept."""

import time
import tomllib

from consumer.currency import Rates
from livesegments.import_reports import read_reports
from livesegments.settings import Settings
from livesegments.sources import Loaded
from livesegments.web.importing import StateImports
from tests.deployment import Deployment

SECONDS = 300.0
LINES = b"order,item,quantity,unit price\n1,cup,2,1250.50\n2,cup,1,1250.50\n3,spoon,4,2.50\n4,spoon,-1,2.50\n"
ORDERS = b"order,customer,date\n1,K1,2026-02-13\n2,,2026-02-14\n3,K1,2026-03-15\n4,K2,2026-03-15\n"


def imported(desk):
    """Send both files, look, answer nothing, publish."""
    for name, data in (("orders.csv", ORDERS), ("lines.csv", LINES)):
        coming = desk.receive("anna", name, len(data), first=name == "orders.csv")
        coming.write(data)
        coming.close(whole=True)
    desk.look("anna")
    shown = reached(desk, "shown")
    desk.publish("anna", shown.turn)
    return shown, reached(desk, "done").published


def reached(desk, stage):
    deadline = time.monotonic() + SECONDS
    while (state := desk.state("anna")).stage != stage:
        assert state.stage not in {"failed", "asking"}, state
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return state


def test_from_two_files_to_rows_and_twice_is_once(one_redis_url, unique, tmp_path):
    deployment = Deployment(one_redis_url, one_redis_url, unique, partitions=2)
    settings = Settings(
        redis_url=one_redis_url,
        log_url=one_redis_url,
        key_prefix=unique,
        log_prefix=f"{unique}-",
        partitions=2,
        currency="EUR",
    )
    origins = {"currency": "the test"}
    file = tmp_path / "livesegments.toml"
    file.write_text('currency = "EUR"\n')
    (folder := tmp_path / "files").mkdir()
    desk = StateImports(Loaded(settings, origins, {}, file), 10_000, folder)
    shown, published = imported(desk)
    assert (shown.understood.customers, shown.understood.guests, shown.understood.events) == (2, 1, 4)
    assert (published.events, published.file, published.entry) == (4, "livesegments.toml", "")
    assert tomllib.loads(file.read_text())["imports"][published.name]["orders"]["columns"]["order_id"] == "order"
    assert list(folder.rglob("*.csv")) == []
    desk.close()
    desk = StateImports(Loaded(settings, origins, {}), 10_000, folder)
    _, published = imported(desk)
    assert published.file == ""
    assert tomllib.loads(published.entry)["imports"]
    desk.close()
    assert list(folder.iterdir()) == []
    deployment.run(rates=Rates("EUR"))
    [told] = read_reports(deployment.state)
    assert (told.command, told.files, told.who) == ("import", ("orders.csv", "lines.csv"), "anna")
    assert (told.outcome, told.rows, told.events, told.published, told.left_out) == ("done", 4, 4, 4, ())
    rows = deployment.rows()
    assert sorted(rows) == ["K1", "K2", "guest:2"]
    assert (rows["K1"]["orders"], rows["K1"]["spend"]) == (2, 2_511_000_000)
