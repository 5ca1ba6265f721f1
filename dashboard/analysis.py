"""What the pages of analysts read, and ask for: chosen and opened by the composition root. Everything here blocks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from contracts.documents import ImportReport, ReviewDocument
from contracts.model import ModelDocument
from contracts.model_requests import ModelAnswer, ModelRequest
from dashboard.customer_sample import CustomerSample
from dashboard.lasso import Lasso
from dashboard.lasso_rule import LassoRule
from online_model.trial import Trial


class ExploredFigure(Protocol):
    """One figure of an exploration."""

    @property
    def title(self) -> str:
        """What it is of."""

    @property
    def note(self) -> str:
        """What to read from it."""

    @property
    def spec(self) -> Mapping[str, Any]:
        """`data` and `layout` for plotly, without colours and fonts."""

    @property
    def legend(self) -> Sequence[str]:
        """What the colours mean, in the order of `data`."""

    @property
    def wide(self) -> bool:
        """Whether it takes the whole width."""


class ExploredSection(Protocol):
    """Figures that belong together."""

    @property
    def title(self) -> str:
        """What they are of."""

    @property
    def figures(self) -> Sequence[ExploredFigure]:
        """In the order in which they are read."""


@dataclass(frozen=True, slots=True)
class Explored:
    """What there is to see in the customers of a segment, or of all."""

    facts: Sequence[tuple[str, str]]
    """Names and values of a few numbers."""
    notes: Sequence[str]
    sections: Sequence[ExploredSection]


@dataclass(frozen=True, slots=True)
class LettersOfReason:
    """Dead letters for one reason, and the newest of them."""

    reason: str
    open: int
    replayed: int
    dropped: int
    newest_at: int
    """Microseconds UTC."""
    message: str
    """Why the newest could not be used."""
    where: str
    """Where it stood."""
    text: str
    """Its bytes, as far as they can be read."""


class Analysis(Protocol):
    """A deployment as analysts look at it. Raises LivesegmentsError where something does not answer."""

    def versions(self) -> Sequence[ModelDocument]:
        """The versions that are kept, the newest first; with names as segments have them now."""

    def pinned(self) -> int | None:
        """The version that is pinned; None: none is."""

    def review(self) -> ReviewDocument | None:
        """What the last review found."""

    def ask(self, request: ModelRequest) -> ModelAnswer:
        """Put a request to the leader, and wait for its answer."""

    def try_out(self, k: int | None, features: Sequence[str]) -> Trial:
        """What other segments would be like: so many, by these features; None and none: as settings say."""

    def sample(self) -> CustomerSample:
        """Some customers for a map; the same for some seconds."""

    def count(self, lasso: Lasso) -> Mapping[int, int]:
        """How many customers lie inside a lasso, by segment: all customers are looked at."""

    def rule(self, lasso: Lasso) -> LassoRule | None:
        """The rule that comes closest to a lasso; None where there is none, or the model has changed since."""

    def inside(self, lasso: Lasso) -> Iterator[Any]:
        """All customers inside a lasso, as record batches of `customer_rows.COLUMNS`, never all at once."""

    def explore(self, segment_id: int | None) -> Explored:
        """What there is to see in a sample of the customers, of one segment or of all."""

    def imports(self) -> Sequence[ImportReport]:
        """What imports and replays of files came to, the newest first; read anew once in a while."""

    def letters(self) -> Sequence[LettersOfReason]:
        """Dead letters by reason, the most frequent first; counted anew once in a while."""
