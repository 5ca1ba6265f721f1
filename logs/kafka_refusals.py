"""A record that a broker refuses fails alone.

kafka-python 3.0.12 takes nearly every refusal of an idempotent producer's batch for fatal: too large a record, or a
topic that one may not write to, makes every later record of every topic fail with the same error. Kafka's own client
takes up a new epoch instead; so does kafka-python where it knows an error to call for that.
"""

from typing import Any

from kafka import KafkaProducer


def survive_refusals(producer: KafkaProducer) -> None:
    """To be called before anything is sent. What is on its way when a record is refused fails, too: send it again."""
    state = producer._transaction_manager  # noqa: SLF001
    classify = state.classify_batch_error

    def classified(error: Any, *arguments: Any, **names: Any) -> Any:
        found = classify(error, *arguments, **names)
        kind = error if isinstance(error, type) else type(error)
        hopeless = kind in state._FATAL_ERRORS or not state._supports_epoch_bump()  # noqa: SLF001
        return state.ERROR_CLASS_NEEDS_EPOCH_BUMP if found == state.ERROR_CLASS_FATAL and not hopeless else found

    state.classify_batch_error = classified
