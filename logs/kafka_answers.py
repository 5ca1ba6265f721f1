"""What the broker has said in answers that kafka-python has at hand and has not looked at yet."""

from collections.abc import Mapping
from typing import Any

from kafka import KafkaConsumer, TopicPartition


def ends_at_hand(consumer: KafkaConsumer) -> Mapping[TopicPartition, int]:
    """The ends of partitions as such answers tell them.

    kafka-python 3.0.12 looks at the answer of one partition after the other, when it hands out its first record. Until
    then the end it knows is that of the answer before: of a backlog just published it tells a fraction. Where it is
    built otherwise, nothing is told.
    """
    ends: dict[TopicPartition, int] = {}
    answers: Any = getattr(getattr(consumer, "_fetcher", None), "_completed_fetches", ())
    for answer in tuple(answers):  # at once: its thread adds to them
        data = getattr(answer, "partition_data", None)
        end = getattr(data, "high_watermark", None)
        if end is not None:
            place = answer.topic_partition
            ends[place] = max(end, ends.get(place, 0))
    return ends
