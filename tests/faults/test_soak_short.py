"""A short form of `make soak`: three workers of one group, killed again and again between any two writes."""

import pytest

from tests.soak.runs import Plan, kills


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_twenty_kills_of_three_workers_change_nothing(kafka_bootstrap, redis_url, unique, tmp_path, fault_report):
    plan = Plan(
        log_url=f"kafka://{kafka_bootstrap}",
        redis_url=redis_url,
        tag=unique,
        folder=tmp_path,
        kills=20,
        minutes=0.7,
        rate=150,
        workers=3,
        customers=300,
        life=40,
        patience=8,
    )
    figures = kills(plan)
    assert figures["holds"], figures
    assert figures["changes"] > figures["customers"]
    fault_report(
        f"{plan.kills} SIGKILLs of {plan.workers} workers, each before or after any of its writes, and others joining",
        f"{figures['customers']} rows exact, {figures['changes']} changes, each under one id with one content",
    )
