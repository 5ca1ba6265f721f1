"""Workers that stand still (SIGSTOP) past their session and go on: they write nothing that is no longer theirs."""

import time
from dataclasses import replace

from contracts.times import SECOND
from tests.faults.processes import wait_for
from tests.faults.scenario import LEARNT_AT_ONCE, Scenario, faulty

RESTLESS = replace(LEARNT_AT_ONCE, adoption_gain=1e-6, adoption_interval=SECOND)
"""Versions follow one another soon."""


def test_workers_frozen_past_their_sessions_write_nothing_and_claim_only_what_they_are_given(
    kafka_bootstrap, redis_url, unique, fault_report
):
    """One stands right before a checkpoint, one that leads right before it publishes a model version."""
    deployment = faulty(f"kafka://{kafka_bootstrap}", redis_url, unique, model=RESTLESS)
    with Scenario(deployment) as shop:
        workers = shop.start(3)
        shop.load()
        leader = next(one for one in workers if 0 in one.held)
        writer, other = (one for one in workers if one is not leader)
        writer.freeze_at("before checkpoint")
        leader.freeze_at("before model")
        wait_for(lambda: writer.frozen and leader.frozen, "they come by there")
        had, known = {one: one.held for one in (writer, leader)}, leader.status("model")
        wait_for(lambda: shop.all_held_by(other), "the third one takes over")
        taken = other.held
        wait_for(lambda: other.status("model") > known, "the third one publishes a model version")

        writer.thaw()
        leader.thaw()
        over = time.monotonic()
        wait_for(lambda: all(one.held != had[one] for one in had), "they notice")
        took = shop.recovered(over)
        rows = shop.checked()

        assert writer.status("conflicts") >= 1
        # They come back one after the other, and each time the group may hand the same partition on.
        most = {number: claims + len(had) for number, claims in taken.items()}
        for one in workers:
            given = all(claims <= most[number] for number, claims in one.held.items())
            assert given, f"somebody claims what the group has not given: {one.held}, {taken} before"
        fault_report(
            "two of three workers frozen until the third had all partitions and published a model version; then"
            " continued, one amid a checkpoint, the leader amid its publication",
            f"{rows} rows exact; {writer.status('conflicts')} checkpoint refused, the model refused; no"
            " partition claimed but when the group gave it",
            took,
        )
