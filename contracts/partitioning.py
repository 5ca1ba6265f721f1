"""Which partition a customer belongs to: murmur2 of the id in UTF-8, as Java's and kafka-python's producers have it."""

from typing import Final

_SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Kafka's 32-bit murmur2, unsigned.

    Source: Austin Appleby's MurmurHash2 with the seed of org.apache.kafka.common.utils.Utils.

    >>> murmur2(b"21") & 0x7FFFFFFF == (-973932308 & 0x7FFFFFFF)
    True
    """
    length = len(data)
    h = _SEED ^ length
    whole = length & ~3
    for start in range(0, whole, 4):
        k = int.from_bytes(data[start : start + 4], "little")
        k = (k * _M) & _MASK
        k ^= k >> 24
        k = (k * _M) & _MASK
        h = ((h * _M) & _MASK) ^ k
    if length & 3:
        h ^= int.from_bytes(data[whole:], "little")
        h = (h * _M) & _MASK
    h ^= h >> 13
    h = (h * _M) & _MASK
    return h ^ (h >> 15)


def partition_of(customer_id: str, partitions: int) -> int:
    """The partition of a customer on a log with so many partitions."""
    return (murmur2(customer_id.encode()) & 0x7FFFFFFF) % partitions
