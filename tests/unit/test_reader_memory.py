"""What a reader falls back on: the last documents, within bounds; and when it asks again."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from recommender.circuit_breaker import CircuitBreaker
from recommender.last_documents import LastDocuments

PUTS = st.lists(st.tuples(st.sampled_from("abcdef"), st.none() | st.binary(max_size=2)))


@given(puts=PUTS, limit=st.integers(0, 4))
def test_the_newest_documents_are_there_and_no_more(puts, limit):
    last = LastDocuments(limit, max_age=10.0)
    model: dict[str, bytes] = {}
    for now, (key, document) in enumerate(puts):
        last.put(key, document, float(now) / 1000)
        model.pop(key, None)
        if document is not None:
            model[key] = document
        while len(model) > limit:
            del model[next(iter(model))]
    found = {key: last.get(key, 0.1) for key in "abcdef"}
    assert {key: document for key, document in found.items() if document is not None} == model


def test_a_document_too_old_is_not_handed_out():
    last = LastDocuments(10, max_age=5.0)
    last.put("a", b"1", 100.0)
    assert last.get("a", 105.0) == b"1"
    assert last.get("a", 105.1) is None


def test_threads_do_not_exceed_the_limit():
    last = LastDocuments(8, max_age=5.0)

    def fill(name: int) -> None:
        for i in range(5_000):
            last.put(f"{name}-{i % 50}", b"", 0.0)

    threads = [threading.Thread(target=fill, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last.put("one more", b"", 0.0)
    assert len(last._documents) <= 8


def test_after_a_failure_one_question_a_pause_is_let_through():
    breaker = CircuitBreaker(pause=1.0)
    assert breaker.allows(0.0)
    breaker.failed(0.5)
    assert not breaker.allows(1.4)
    assert breaker.allows(1.5)
    assert not breaker.allows(1.6), "the others wait for what the first one finds"
    breaker.failed(1.7)
    assert not breaker.allows(2.6)
    assert breaker.allows(2.7)
    breaker.succeeded()
    assert breaker.allows(2.7)
    assert breaker.allows(2.7)
