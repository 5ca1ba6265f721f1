"""What goes to a client in one turn of the loop goes out together, whole and in order."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from livesegments.web.joined_writes import MOST_HELD, JoinedWrites


class Wire:
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written.append(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


def on_a_wire(acts) -> Wire:
    async def acting() -> Wire:
        wire = Wire()
        joined = JoinedWrites(wire)
        for act in acts:
            act(joined)
        await asyncio.sleep(0)
        return wire

    return asyncio.run(acting())


def test_head_and_body_are_one_packet():
    wire = on_a_wire([lambda one: one.write(b"head"), lambda one: one.write(b"body")])
    assert wire.written == [b"headbody"]


def test_what_was_written_before_closing_is_sent_first():
    wire = on_a_wire([lambda one: one.write(b"last words"), lambda one: one.close()])
    assert (wire.written, wire.closed) == ([b"last words"], True)


def test_to_a_client_that_has_gone_nothing_is_written():
    def goes(joined: JoinedWrites) -> None:
        joined.bare().close()

    wire = on_a_wire([goes, lambda one: one.write(b"to nobody")])
    assert wire.written == []


@given(st.lists(st.binary(max_size=MOST_HELD // 2), max_size=8))
def test_nothing_is_lost_and_little_is_held(pieces):
    async def writing() -> tuple[Wire, int]:
        wire, longest = Wire(), 0
        joined = JoinedWrites(wire)
        for piece in pieces:
            joined.write(piece)
            longest = max(longest, joined._size)
        await asyncio.sleep(0)
        return wire, longest

    wire, longest = asyncio.run(writing())
    assert b"".join(wire.written) == b"".join(pieces)
    assert longest <= MOST_HELD
