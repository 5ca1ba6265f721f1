"""A worker claims rows that nobody has swept with the present version."""

import json
from dataclasses import replace

import pytest

from online_model.model import Segment
from tests.in_process import InProcess, fixed_model
from tests.unit.test_views_after_promotion import purchase


@pytest.mark.parametrize(("kept", "name"), [(True, "Regulars"), (False, "Segment {}")])
def test_views_of_rows_in_a_segment_that_is_no_more_can_be_written(kept, name):
    shop = InProcess(partitions=1)
    first = replace(fixed_model(), segments=tuple(Segment(n, "Regulars") for n in (1, 2, 3)))
    shop.adopt(first)
    shop.publish(*(purchase(f"c{number}") for number in range(5)))
    shop.run()
    shop.adopt(replace(first, version=2, segments=tuple(Segment(n, "New ones") for n in (4, 5, 6)), next_segment_id=7))
    if not kept:
        del shop.state._models[1]

    worker = shop.worker()
    worker._poll(0.0)
    worker._claim_assigned()  # and nothing swept yet
    (held,) = worker.memory.held.values()
    held.dirty = dict.fromkeys(held.rows.index.values(), (held.seq, 0.0))
    worker.memory.views.write({0: held}, worker.memory.learner.model, worker.clock.now, 1.0)
    worker.close()
    segment = json.loads(shop.views.get_many([shop.keys.customer("c0")])[0])["segment"]
    assert segment["id"] in {1, 2, 3}
    assert segment["name"] == name.format(segment["id"])
