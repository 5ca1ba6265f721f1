"""Giving a segment a name of one's own, and taking it back."""

from pydantic import ValidationError

from consumer.state import State
from contracts.documents import SegmentList, SegmentSize
from contracts.errors import LivesegmentsError
from contracts.segment_names import OwnName
from livesegments.screen import plain
from livesegments.segment_names import own_names


class NoSuchSegmentError(LivesegmentsError):
    """There is no segment of that id."""


class SegmentNameError(LivesegmentsError):
    """A segment can not be called that."""


def find_segment(listed: SegmentList | None, segment: int) -> SegmentSize:
    """The segment of that id. Raises NoSuchSegmentError."""
    found = {one.id: one for one in listed.segments} if listed else {}
    if segment not in found:
        there = ", ".join(f"{one.id} ({plain(one.name)})" for one in found.values())
        raise NoSuchSegmentError(
            f"there is no segment {segment}; {f'there are {there}' if there else 'there are none yet: run a worker'}"
        )
    return found[segment]


def rename_segment(
    state: State, listed: SegmentList | None, segment: int, name: str | None, strategy: str | None
) -> OwnName:
    """Call a segment so, and mean to do this about it; workers follow within seconds.

    None leaves a part as it is: one's own, or what is worked out, now and later. An empty text takes one's own back.
    Raises NoSuchSegmentError; SegmentNameError for a name that is not 1 to 60 printable characters or that another
    segment has.
    """
    find_segment(listed, segment)
    named = own_names(state)
    before = named.get(segment, OwnName())
    try:
        own = OwnName(
            name=before.name if name is None else name or None,
            strategy=before.strategy if strategy is None else strategy or None,
        )
    except ValidationError as error:
        part = error.errors()[0]
        raise SegmentNameError(f"the {part['loc'][0]} can not be used: {part['msg']}") from None
    others = {one.id: one.name for one in listed.segments} if listed else {}
    others |= {other: given.name for other, given in named.items() if given.name is not None}
    wanted = own.name.casefold() if own.name is not None and own.name != before.name else None
    taken = [other for other, called in others.items() if other != segment and called.casefold() == wanted]
    if taken:
        raise SegmentNameError(f"segment {taken[0]} is already called {plain(others[taken[0]])}: choose another name")
    state.put_segment_name(segment, None if own == OwnName() else own.encode())
    return own


def reset_segment(state: State, segment: int) -> None:
    """Let a segment be called what was worked out. Raises NoSuchSegmentError where it has no own name."""
    if segment not in own_names(state):
        raise NoSuchSegmentError(f"segment {segment} has no name of your own")
    state.put_segment_name(segment, None)
