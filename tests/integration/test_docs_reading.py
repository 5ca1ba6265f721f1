"""The examples of docs/reading.md do what the page says."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from contracts.documents import ColdStart, CustomerView, Membership, SimilarItems, Withdrawn
from contracts.keys import Keys
from contracts.times import DAY, from_micros
from tests.conftest import missing

PAGE = (Path(__file__).parents[2] / "docs" / "reading.md").read_text()
AS_OF = from_micros(15_000 * DAY)
KEYS = Keys()


def examples(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def url(local_redis):
    """A server of one's own: the examples use the keys that everybody uses."""
    view = CustomerView(
        customer_id="17850",
        segment=Membership(id=5, name="Champions", since=AS_OF, cause="model"),
        items=(("22633", 0.5, "again"), ("gone", 0.4, "popular"), ("23084", 0.25, "because:85123A")),
        as_of=AS_OF,
        model_version=1,
        written_by=(1, "t"),
    )
    with redis.Redis.from_url(local_redis.url) as client:
        client.set(KEYS.customer("17850"), view.encode())
        cold = ColdStart(items=(("gone", 0.5, "popular"), ("22086", 0.4, "popular")), as_of=AS_OF, model_version=1)
        client.set(KEYS.cold_start(), cold.encode())
        similar = SimilarItems(item_id="85123A", items=(("23084", 0.5),), as_of=AS_OF)
        client.set(KEYS.similar("85123A"), similar.encode())
        client.set(KEYS.withdrawn(), Withdrawn(version=1, items=("gone",)).encode())
        client.set(KEYS.catalogue_version(), 1)
    return local_redis.url


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_python(url, tmp_path):
    blocking, in_a_loop = (code.replace("redis://127.0.0.1:6379/0", url) for code in examples("python"))
    (tmp_path / "blocking.py").write_text(blocking)
    said = run([sys.executable, str(tmp_path / "blocking.py")], Path(__file__).parents[2])
    assert said.splitlines() == [
        f"Champions {AS_OF}",
        "22633 0.5 again",
        "23084 0.25 because:85123A",
    ]
    (tmp_path / "in_a_loop.py").write_text(in_a_loop)
    assert run([sys.executable, str(tmp_path / "in_a_loop.py")], Path(__file__).parents[2]) == "['22633', '23084'] 1\n"


def test_javascript(url, tmp_path):
    if shutil.which("node") is None or shutil.which("npm") is None:
        missing("no node")
    (code,) = (code.replace("redis://127.0.0.1:6379/0", url) for code in examples("js"))
    (tmp_path / "example.mjs").write_text(code)
    run(["node", "--check", "example.mjs"], tmp_path)
    installed = subprocess.run(
        ["npm", "install", "--no-fund", "--no-audit", "--silent", "redis@6"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if installed.returncode:
        missing(f"npm can not fetch the client: {installed.stderr[-200:]}")
    known, unknown = map(json.loads, run(["node", "example.mjs"], tmp_path).splitlines())
    assert known == {
        "segment": "Champions",
        "known": True,
        "items": [["22633", 0.5, "again"], ["23084", 0.25, "because:85123A"]],
    }
    assert unknown == {"segment": None, "known": False, "items": [["22086", 0.4, "popular"]]}


def test_redis_cli(url):
    if shutil.which("redis-cli") is None:
        missing("no redis-cli")
    (script,) = examples("sh")
    said = {}
    for line in script.splitlines():
        command = line.split("#")[0]
        program, *arguments = [word.strip("'") for word in command.split()]
        said[arguments[-1]] = run([program, "-u", url, *arguments], Path.cwd()).strip()
    assert json.loads(said["livesegments:customer:17850"])["segment"]["name"] == "Champions"
    assert json.loads(said["livesegments:{catalogue}:withdrawn"])["items"] == ["gone"]
    assert json.loads(said["livesegments:similar:85123A"])["items"] == [["23084", 0.5]]
    assert said["livesegments:popular"] == ""
