"""What an import cannot know by itself: a question, its answers, and the option that answers it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from contracts.errors import LivesegmentsError

Answers = Mapping[str, str]
"""By what is asked: `map.<field>`, `map.orders.<field>`, `set.<field>`, `decimal`, `time_format`, `zone`, `cancelled`,
`customer_from`, `guests`, `encoding`, `separator`, `header`, `sheet`."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer."""

    meaning: str
    answers: Answers
    option: str
    """That says the same on a command line."""


@dataclass(frozen=True, slots=True)
class Question:
    """Something unclear."""

    text: str
    choices: Sequence[Choice] = ()
    key: str = ""
    """What any text answers; empty: only the choices do."""
    option: str = ""
    """That says such a text on a command line, as `--zone Europe/London`."""
    suggestions: Sequence[str] = field(default=())
    """Texts that may be meant."""

    @property
    def options(self) -> str:
        """All that can be said on a command line."""
        return " or ".join([choice.option for choice in self.choices] + ([self.option] if self.option else []))


class UnclearError(LivesegmentsError):
    """Nobody is there to be asked; the text has a line for each question."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self.questions = questions
        super().__init__("\n".join(f"{question.text} Say {question.options}" for question in questions))
