"""docs/first-week.md runs as written: each command prints what the page says, on data that it cuts out by itself."""

import re

import pytest

from tests.online_retail import FILE
from tests.page_session import ROOT, Session, played

PAGE = ROOT / "docs" / "first-week.md"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_first_week_runs_as_written(data_folder, local_redis, tmp_path):
    week = tmp_path / "week"
    week.mkdir()
    session = Session(week, f"127.0.0.1:{local_redis.port}", {"ONLINE_RETAIL": str(data_folder / FILE)})
    page = PAGE.read_text()
    assert played(page, session).splitlines() == page.splitlines()
    assert len(re.findall(r"^\$ ", page, re.MULTILINE)) > 20
