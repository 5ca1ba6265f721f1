"""Import of a shop's own files by page: what stands there, and what may be done. Chosen by the composition root."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from contracts.errors import LivesegmentsError

Stage = Literal["choose", "looking", "asking", "shown", "publishing", "done", "failed"]


class ImportRefusedError(LivesegmentsError):
    """It can not be done now, or not with these files; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that has come whole."""

    name: str
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far something is."""

    doing: str
    done: int
    of: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """Something that the files do not say."""

    text: str
    choices: tuple[tuple[str, Mapping[str, str]], ...]
    """What each means, and the answers that it is."""
    key: str = ""
    """What any text answers; empty: only the choices do."""


@dataclass(frozen=True, slots=True)
class Made:
    """One thing that was made out, and by what."""

    what: str
    value: str
    because: str


@dataclass(frozen=True, slots=True)
class ShownOrder:
    """One order, as it is understood."""

    order: str
    customer: str | None
    """None: a guest."""
    when: str
    lines: tuple[str, ...]
    total: str
    returned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """What the files tell, to be confirmed."""

    made: tuple[Made, ...]
    orders: tuple[ShownOrder, ...]
    currencies: tuple[str, ...]
    months: tuple[tuple[str, ...], ...]
    """Month, orders, returns, and of each currency revenue and refunds; the last row has the totals."""
    rows: int
    lines: int
    customers: int
    guests: int
    said: tuple[str, ...]
    """Of guests, and of the lapse that would fit."""
    unread: Mapping[str, int]
    """Rows that could not be used, by reason."""
    refused: tuple[str, ...]
    """Orders that no event can be, the first of them."""
    obstacles: tuple[str, ...]
    """Why nothing can be published."""
    events: int
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Published:
    """What came of it."""

    events: int
    name: str
    """Of the import in the settings."""
    file: str
    """The settings file that has the mapping; empty: it could not be written."""
    entry: str
    """What belongs there where it could not be written."""


@dataclass(frozen=True, slots=True)
class ImportState:
    """Where somebody's import stands."""

    stage: Stage = "choose"
    turn: int = 0
    """Another one whenever anything but `step` has changed."""
    uploads: tuple[Upload, ...] = ()
    step: Step | None = None
    asked: Asked | None = None
    understood: Understood | None = None
    published: Published | None = None
    problem: str = ""
    columns: tuple[str, ...] = field(default=())
    """Of the files, as far as they are known."""


class Receiving(Protocol):
    """A file on its way; both block."""

    def write(self, data: bytes) -> None:
        """The next part. Raises ImportRefusedError."""

    def close(self, *, whole: bool) -> None:
        """That was all, or it broke off: then nothing of it stays."""


class ImportDesk(Protocol):
    """Imports, one at a time for each name of a key. Everything here blocks, and raises ImportRefusedError in words."""

    @property
    def room(self) -> int:
        """Bytes that the files of an import may have."""

    def state(self, who: str) -> ImportState:
        """Where it stands."""

    def receive(self, who: str, name: str, size: int, *, first: bool) -> Receiving:
        """Take in a file; the first one takes the place of what was there."""

    def look(self, who: str) -> None:
        """Look at the files, in the background."""

    def answer(self, who: str, turn: int, answers: Mapping[str, str]) -> None:
        """What was asked in that turn."""

    def correct(self, who: str, answers: Mapping[str, str]) -> None:
        """Look again, knowing better."""

    def publish(self, who: str, turn: int) -> None:
        """What was shown in that turn is right."""

    def drop(self, who: str) -> None:
        """End it, and keep nothing."""


class NoImports:
    """Of an app without a deployment behind it."""

    room = 0

    def state(self, who: str) -> ImportState:  # noqa: ARG002
        """See ImportDesk."""
        return ImportState()

    def receive(self, who: str, name: str, size: int, *, first: bool) -> Receiving:  # noqa: ARG002
        """See ImportDesk."""
        raise ImportRefusedError("there is no deployment to import into")

    def look(self, who: str) -> None:  # noqa: ARG002
        """See ImportDesk."""
        raise ImportRefusedError("there is no deployment to import into")

    def answer(self, who: str, turn: int, answers: Mapping[str, str]) -> None:  # noqa: ARG002
        """See ImportDesk."""
        self.look(who)

    def correct(self, who: str, answers: Mapping[str, str]) -> None:  # noqa: ARG002
        """See ImportDesk."""
        self.look(who)

    def publish(self, who: str, turn: int) -> None:  # noqa: ARG002
        """See ImportDesk."""
        self.look(who)

    def drop(self, who: str) -> None:
        """See ImportDesk."""
