"""Guests: orders of nobody known. Each has an id of its own, so that it is one vote on items, and makes no customer."""

from hashlib import blake2b

from contracts.events import GUEST_PREFIX, MAX_ID_LENGTH


def guest_id(order_id: str) -> str:
    """The `customer_id` of a guest's order and of its returns.

    >>> guest_id("1001")
    'guest:1001'
    """
    text = GUEST_PREFIX + order_id
    if len(text) <= MAX_ID_LENGTH:
        return text
    return GUEST_PREFIX + blake2b(order_id.encode(), digest_size=16).hexdigest()


def is_guest(customer_id: str) -> bool:
    """Whether the id is of a guest's order."""
    return customer_id.startswith(GUEST_PREFIX)
