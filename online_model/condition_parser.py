"""Reads conditions from a line of text, by recursive descent.

condition = conjunction {"or" conjunction}
conjunction = negation {"and" negation}
negation = "not" negation | "(" condition ")" | comparison
comparison = field ( operator value
| ["not"] "between" value "and" value
| ["not"] "in" "(" value {"," value} ")"
| "is" ["not"] "missing" )
value = number | duration | text | "true" | "false" | [number "*"] ( "median" | "p" number )
"""

import math
import re
from typing import Final, NamedTuple, NoReturn

from contracts.errors import LivesegmentsError
from contracts.times import DAY
from online_model.condition import (
    ATTRIBUTES,
    DURATION_UNITS,
    MEDIAN,
    Among,
    And,
    Between,
    Compare,
    Condition,
    Duration,
    Flag,
    Missing,
    Not,
    Number,
    Operator,
    Or,
    Relative,
    Text,
    Value,
)
from online_model.condition_fields import FEATURE, advice, kind_of

MAX_CHARACTERS: Final = 4_000
MAX_DEPTH: Final = 50

_NUMBER: Final = r"(?:[0-9]+(?:_[0-9]+)*(?:\.[0-9]*)?|\.[0-9]+)"
_UNIT: Final = "(?:d|h|ms|m|us|s)"
_PART: Final = re.compile(rf"({_NUMBER})({_UNIT})")
_LONGEST: Final = 36_500 * DAY
_TOKEN: Final = re.compile(
    rf"""
      (?P<space>\s+)
    | (?P<duration>(?:{_NUMBER}{_UNIT})+(?![\w.]))
    | (?P<number>[+-]?{_NUMBER}(?:[eE][+-]?[0-9]+)?(?![\w.]))
    | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<name>[^\W\d]\w*)
    | (?P<symbol><=|>=|!=|<>|==|[=<>(),.*])
    """,
    re.VERBOSE | re.DOTALL,
)
_OPERATORS: Final[dict[str, Operator]] = {
    "=": "=",
    "==": "=",
    "!=": "!=",
    "<>": "!=",
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
}
_PERCENTILE: Final = re.compile(r"[pP]([0-9]{1,2})")


class RuleError(LivesegmentsError):
    """A condition can not be understood; the text says where, and what could be meant."""


class _Token(NamedTuple):
    kind: str
    text: str
    column: int
    """Counted from 1."""

    def is_word(self, word: str) -> bool:
        return self.kind == "name" and self.text.lower() == word

    def __str__(self) -> str:
        return "the end" if self.kind == "end" else self.text if self.kind == "text" else repr(self.text)


def parse_condition(text: str) -> Condition:
    """The condition that a line of text stands for. Raises RuleError, and nothing else, whatever the text."""
    if len(text) > MAX_CHARACTERS:
        raise RuleError(f"a condition may have {MAX_CHARACTERS} characters, not {len(text)}: make two audiences of it")
    parser = _Parser(_tokens(text))
    condition = parser.condition()
    parser.end()
    return condition


def _tokens(text: str) -> list[_Token]:
    tokens, place = [], 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            _fail(_unreadable(text[place:]), place + 1)
        if match.lastgroup != "space":
            tokens.append(_Token(str(match.lastgroup), match.group(), place + 1))
        place = match.end()
    return [*tokens, _Token("end", "", len(text) + 1)]


def _unreadable(rest: str) -> str:
    if rest[0] in "\"'":
        return f"the text that begins with {rest[:12]} does not end; close it with {rest[0]}"
    if rest[0].isdigit() or rest[0] in "+-.":
        word = re.split(r"[\s(),]", rest, maxsplit=1)[0]
        return f"{word[:20]!r} is neither a number such as 1000 or 2.5 nor a duration such as 30d or 12h"
    return f"{rest[0]!r} does not belong into a condition; put texts into quotation marks"


def _fail(message: str, column: int) -> NoReturn:
    raise RuleError(f"{message} (column {column})")


class _Parser:
    """Goes through the tokens once."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._place = 0
        self._depth = 0

    @property
    def _next(self) -> _Token:
        return self._tokens[self._place]

    def _take(self) -> _Token:
        token = self._next
        self._place += token.kind != "end"
        return token

    def _took(self, word: str) -> bool:
        """Whether the next token is this word or symbol; it is taken if so."""
        found = self._next.is_word(word) or (self._next.kind == "symbol" and self._next.text == word)
        self._place += found
        return found

    def _need(self, word: str, what: str) -> None:
        if not self._took(word):
            _fail(f"expected {word!r} {what}, not {self._next}", self._next.column)

    def end(self) -> None:
        """Nothing may follow."""
        if self._next.kind != "end":
            _fail(f"expected 'and', 'or' or the end, not {self._next}", self._next.column)

    def condition(self) -> Condition:
        """Parts with `or` between them."""
        parts = [self._conjunction()]
        while self._took("or"):
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _conjunction(self) -> Condition:
        parts = [self._negation()]
        while self._took("and"):
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _negation(self) -> Condition:
        if self._depth == MAX_DEPTH:
            _fail(f"a condition may be nested {MAX_DEPTH} deep", self._next.column)
        self._depth += 1
        try:
            if self._took("not"):
                return Not(self._negation())
            if self._took("("):
                inner = self.condition()
                self._need(")", "to close the parenthesis")
                return inner
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Condition:
        start = self._next
        field = self._field()
        if self._next.text in _OPERATORS:
            operator = _OPERATORS[self._take().text]
            if operator not in ("=", "!=") and kind_of(field) == "segment":
                _fail("segments have no order: compare them by =, !=, in (...)", start.column)
            return Compare(field, operator, self._value(field, ordered=operator not in ("=", "!=")))
        if self._took("is"):
            negated = self._took("not")
            self._need("missing", "or 'not missing' after 'is'")
            return Not(Missing(field)) if negated else Missing(field)
        negated = self._took("not")
        found: Condition
        if self._took("between"):
            if kind_of(field) == "segment":
                _fail("segments have no order: compare them by =, !=, in (...)", start.column)
            low = self._value(field, ordered=True)
            self._need("and", "between the two values")
            found = Between(field, low, self._value(field, ordered=True))
        elif self._took("in"):
            found = Among(field, self._list(field))
        else:
            _fail(f"expected =, !=, <, <=, >, >=, between, in or is after {field}, not {self._next}", self._next.column)
        return Not(found) if negated else found

    def _field(self) -> str:
        token = self._take()
        if token.kind != "name":
            _fail(f"expected a field such as spend or recency_days, not {token}", token.column)
        field = token.text
        while self._took("."):
            part = self._take()
            if part.kind not in ("name", "text"):
                _fail(f"expected a name after {field}., not {part}", part.column)
            field += "." + (part.text if part.kind == "name" else _unquoted(part.text))
        if kind_of(field) is None:
            if field in (ATTRIBUTES[:-1], ATTRIBUTES, FEATURE[:-1]):
                _fail(f"say which: {field.rstrip('.')}.<name>", token.column)
            _fail(f"there is no field {field!r}; {advice(field)}", token.column)
        return field

    def _list(self, field: str) -> tuple[Value, ...]:
        self._need("(", f"after 'in', as in {field} in (1, 2)")
        values = [self._constant(field)]
        while self._took(","):
            values.append(self._constant(field))
        self._need(")", "or ',' in the list")
        return tuple(values)

    def _constant(self, field: str) -> Value:
        column = self._next.column
        value = self._value(field, ordered=False)
        if isinstance(value, Relative):
            _fail("a list holds numbers and texts; compare with a percentile by = < >", column)
        return value

    def _value(self, field: str, *, ordered: bool) -> Value:
        """The next value, if the field can be compared with it."""
        token = self._next
        value = self._any_value()
        kind = kind_of(field)
        if kind == "segment" and not isinstance(value, Text):
            _fail(f"a segment is compared with its name in quotation marks, not with {value}", token.column)
        if kind in ("number", "days") and isinstance(value, Text | Flag):
            _fail(f"{field} is a number; compare it with one, not with {value}", token.column)
        if kind != "days" and isinstance(value, Duration):
            _fail(f"{field} is no time; compare it with a number, not with {value}", token.column)
        if ordered and isinstance(value, Flag):
            _fail("true and false have no order: compare them by = and !=", token.column)
        return value

    def _any_value(self) -> Value:
        token = self._take()
        if token.kind == "text":
            return Text(_unquoted(token.text))
        if token.kind == "duration":
            return _duration(token)
        if token.kind == "number":
            number = _number(token)
            if not self._took("*"):
                return Number(number)
            percent = _percent(token := self._take())
            if percent is None:
                _fail(f"expected median or a percentile such as p90 after '*', not {token}", token.column)
            return Relative(number, percent)
        if token.is_word("true") or token.is_word("false"):
            return Flag(token.is_word("true"))
        if (percent := _percent(token)) is not None:
            return Relative(1.0, percent)
        hint = f'; a text needs quotation marks: "{token.text}"' if token.kind == "name" else ""
        _fail(f"expected a value, not {token}{hint}", token.column)


def _percent(token: _Token) -> float | None:
    if token.is_word("median"):
        return MEDIAN
    match = _PERCENTILE.fullmatch(token.text) if token.kind == "name" else None
    return float(match.group(1)) if match else None


def _number(token: _Token) -> float:
    number = float(token.text)
    if not math.isfinite(number):
        _fail(f"{token.text[:20]} is too large a number", token.column)
    return number


def _duration(token: _Token) -> Duration:
    length = sum(float(number) * DURATION_UNITS[unit] for number, unit in _PART.findall(token.text))
    if length > _LONGEST:
        _fail("a duration may be 100 years at most", token.column)
    return Duration(round(length))


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
