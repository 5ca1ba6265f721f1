"""Which column is which field: by its name in several languages, and by what stands in it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from producer.importing.facts import MOSTLY, Facts
from producer.importing.sampling import Files
from producer.importing.words import fit, normal

_HALF: Final = 0.5
_GENERIC: Final = frozenset(
    {"price", "preis", "prix", "precio", "prezzo", "prijs", "cena", "preco", "pris", "value", "amount", "betrag"}
    | {"sales", "umsatz", "wert", "montant", "importe", "importo", "bedrag", "kwota", "valor", "total", "summe"}
)
"""Names of prices that do not say of what."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was made out, and by what."""

    what: str
    value: str
    because: str


@dataclass(slots=True)
class Guess:
    """What the columns of one kind of files are."""

    columns: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    prices: list[str] = field(default_factory=list)
    """Columns that may be the price of one, the likeliest first."""
    amounts: list[str] = field(default_factory=list)
    """Columns that may be the price of a line."""

    def take(self, name: str, column: str, because: str) -> None:
        """A column is a field."""
        self.columns[name] = column
        self.findings.append(Finding(name, column, because))


_FITS: Final[Mapping[str, Callable[[Facts], bool]]] = {
    "email": lambda facts: facts.emails >= _HALF,
    "occurred_at": lambda facts: facts.dates >= MOSTLY or facts.with_months >= MOSTLY,
    "currency": lambda facts: facts.currencies >= MOSTLY and facts.distinct <= 50,
    "quantity": lambda facts: facts.numbers >= MOSTLY,
    "customer_id": lambda facts: facts.emails < _HALF and facts.persons < _HALF,
    "order_id": lambda facts: facts.emails < _HALF and facts.filled >= _HALF,
    "item_id": lambda facts: facts.emails < _HALF,
    "name": lambda facts: facts.emails < _HALF and facts.numbers < _HALF,
    "category": lambda facts: facts.emails < _HALF,
}
"""What must be so of a column's cells, in the order in which fields choose; prices are looked at apart."""
_NO_DATE: Final = frozenset({"customer_id", "order_id", "item_id", "name", "category"})


def guess(files: Files, asked: Mapping[str, str]) -> Guess:
    """Guess the columns of one kind of files; those asked for are taken as they are."""
    found = Guess()
    for name, column in asked.items():
        found.take(name, column, "as you said")
    _by_name_and_cells(files, found)
    _by_cells_alone(files, found)
    if not {"unit_price", "amount"} & found.columns.keys():
        _find_prices(files, found)
    return found


def is_generic(column: str) -> bool:
    """Whether the name of a price does not say whether it is of one or of all."""
    return normal(column) in _GENERIC


def _by_name_and_cells(files: Files, found: Guess) -> None:
    for name, fits in _FITS.items():
        if name in found.columns:
            continue
        best: tuple[float, str] | None = None
        for column in _free(files, found):
            facts = files.facts[column]
            score = fit(column, name)
            dated = name in _NO_DATE and facts.with_months + facts.dates >= MOSTLY and facts.numbers < MOSTLY
            if score and facts.distinct and fits(facts) and not dated and (best is None or score > best[0]):
                best = (score, column)
        if best is not None:
            found.take(name, best[1], "by its name")


def _by_cells_alone(files: Files, found: Guess) -> None:
    """Take what only one column can be."""
    tests: Mapping[str, Callable[[Facts], bool]] = {
        "email": lambda facts: facts.emails >= MOSTLY,
        "occurred_at": lambda facts: facts.dates >= MOSTLY and facts.numbers < _HALF,
    }
    for name, fits in tests.items():
        if name in found.columns:
            continue
        likely = [
            column for column in _free(files, found) if files.facts[column].distinct and fits(files.facts[column])
        ]
        if len(likely) == 1:
            found.take(name, likely[0], "by what stands in it")


def _find_prices(files: Files, found: Guess) -> None:
    # Currencies may stand beside the prices.
    other = {column for name, column in found.columns.items() if name != "currency"}
    free = [one for one in files.columns if one not in other and files.facts[one].numbers >= MOSTLY]
    free = [column for column in free if files.facts[column].distinct]
    for name, candidates in (("unit_price", found.prices), ("amount", found.amounts)):
        scores = {column: fit(column, name) for column in free}
        candidates.extend(sorted((column for column in free if scores[column]), key=lambda column: -scores[column]))
    # A column whose name may be both is what its name says better.
    for column in set(found.prices) & set(found.amounts):
        loser = found.amounts if fit(column, "unit_price") >= fit(column, "amount") else found.prices
        loser.remove(column)


def _free(files: Files, found: Guess) -> list[str]:
    taken = set(found.columns.values())
    return [column for column in files.columns if column not in taken]
