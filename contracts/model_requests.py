"""What somebody asks of the leader about the model, and its answer. Internal: both ends are livesegments itself."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from contracts.model import ModelDocument

Version = Annotated[int, Field(ge=1)]


class ModelAnswer(BaseModel):
    """What became of a request."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    done: bool
    message: str
    """In words: what was done, or why nothing was."""
    version: int | None = None
    """The version in force then."""


class ShadowOrder(BaseModel):
    """Which version is to learn beside the live one; and, as the leader's note, how far it has come."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    k: Annotated[int, Field(ge=2)]
    features: tuple[str, ...] = ()
    """As settings name them; empty: those of the live version."""
    centroids: tuple[tuple[float, ...], ...] = ()
    """After the last review."""


class ModelRequest(BaseModel):
    """One request. It stays under its id until whoever asked has read the answer."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: Literal["pin", "unpin", "rollback", "adopt", "review", "shadow", "shadow-off"]
    asked_at: int
    """Microseconds UTC."""
    version: Version | None = None
    """To pin, or to go back to."""
    candidate: ModelDocument | None = None
    """To adopt; its version is one above that which it was worked out from."""
    k: str = ""
    """How many segments were asked for; `auto` lets later reviews choose again."""
    shadow: ShadowOrder | None = None
    answer: ModelAnswer | None = None

    def answered(self, message: str, version: int | None, *, done: bool = True) -> "ModelRequest":
        """The same with its answer; what is not needed any more is left out."""
        answer = ModelAnswer(done=done, message=message, version=version)
        return self.model_copy(update={"answer": answer, "candidate": None})
