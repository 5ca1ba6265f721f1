"""From files to a plan: one that stands in the settings, or one that is found out, by questions too."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Final

from livesegments.parts import import_plans, pseudonyms
from livesegments.sources import Loaded
from producer.importing.examining import Examination, Known, examine
from producer.importing.plan import ImportPlan, PlanError
from producer.importing.pseudonyms import SaltError
from producer.importing.questions import Answers, Question, UnclearError
from producer.importing.reading import assigned
from producer.importing.sampling import open_files
from producer.table import TableError, TableFile

Asker = Callable[[Sequence[Question]], Mapping[str, str]]
_NO_SALT: Final = (
    "customers are to be made of e-mail addresses, and there is no customer_salt to hash them with. Make one nobody"
    " guesses, as by `openssl rand -hex 32`), set it as LIVESEGMENTS_CUSTOMER_SALT, and keep it for good: with another"
    " one everybody would be somebody else"
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """How files are to be read."""

    name: str
    plan: ImportPlan
    lines: Sequence[TableFile]
    orders: Sequence[TableFile]
    examination: Examination | None
    """None for a plan that stood in the settings."""


def choose(
    paths: Sequence[Path], loaded: Loaded, answers: Answers, name: str | None = None, ask: Asker | None = None
) -> Chosen:
    """The plan for files: that of the settings which fits them, unless answers are given; otherwise it is found out.

    Raises TableError, MappingError, PlanError, SaltError, and UnclearError where there are questions and nobody to ask.
    """
    plans = import_plans(loaded.settings)
    chosen = None if answers else _known(paths, plans, name)
    if chosen is None:
        chosen = _found_out(paths, loaded, answers, name, ask)
    return replace(chosen, plan=_salted(chosen.plan, loaded))


def _known(paths: Sequence[Path], plans: Mapping[str, ImportPlan], name: str | None) -> Chosen | None:
    fitting: list[Chosen] = []
    for known, plan in plans.items():
        if name not in {None, known}:
            continue
        try:
            lines, orders = assigned(plan, paths)
        except TableError:
            if name is not None:
                raise
            continue
        fitting.append(Chosen(known, plan, lines, orders, None))
    if not fitting:
        return None
    sizes = [sum(len(shape.columns) for shape in one.plan.shapes) for one in fitting]
    most = [one for one, size in zip(fitting, sizes, strict=True) if size == max(sizes)]
    if len(most) > 1:
        listed = ", ".join(one.name for one in most)
        raise PlanError(f"several imports of the settings fit these files: {listed}. Say which with --as NAME")
    return most[0]


def _found_out(paths: Sequence[Path], loaded: Loaded, answers: Answers, name: str | None, ask: Asker | None) -> Chosen:
    header = {"yes": True, "no": False}.get(answers.get("header", ""))
    kinds = open_files(
        paths,
        encoding=answers.get("encoding"),
        separator=answers.get("separator"),
        header=header,
        sheet=answers.get("sheet"),
    )
    settings, origins = loaded.settings, loaded.origins
    known = Known(
        currency=settings.currency if "currency" in origins else None,
        zone=settings.zone if "zone" in origins else None,
    )
    said = dict(answers)
    found = examine(kinds, said, known)
    while found.questions:
        if ask is None or not all(question.key or question.choices for question in found.questions):
            raise UnclearError(found.questions)
        said |= ask(found.questions[:1])  # the next may depend on the answer
        found = examine(kinds, said, known)
    assert found.plan is not None
    assert found.lines is not None
    name = name or _free_name(_name_of(found.lines.tables[0].path), found.lines.columns, import_plans(settings))
    orders = found.orders.tables if found.orders is not None else ()
    return Chosen(name, found.plan, found.lines.tables, orders, found)


def _salted(plan: ImportPlan, loaded: Loaded) -> ImportPlan:
    if plan.customer_from != "email":
        return plan
    ids = pseudonyms(loaded.settings)
    if ids is None:
        raise SaltError(_NO_SALT)
    if plan.salt_check is not None and plan.salt_check != ids.check:
        raise SaltError(
            "customer_salt is another one than at the first import: everybody would be somebody else. Set the old one;"
            " or, to begin anew, take salt_check out of the settings"
        )
    return replace(plan, salt_check=ids.check)


def _free_name(name: str, columns: Sequence[str], plans: Mapping[str, ImportPlan]) -> str:
    """The name, with a number where it is that of an import of files with other columns."""
    tried = (name if number == 1 else f"{name}-{number}" for number in count(1))
    return next(one for one in tried if one not in plans or plans[one].lines.fits(columns))


def _name_of(path: Path) -> str:
    """A name for an import: the file's, without dates and numbers, which are others the next time.

    >>> _name_of(Path("Bestellungen 2026-10.csv.gz")), _name_of(Path("2026.csv"))
    ('bestellungen', 'orders')
    """
    stem = unicodedata.normalize("NFKD", path.name.split(".")[0].casefold())
    return "-".join(re.findall(r"[a-z]+", stem.encode("ascii", "ignore").decode())) or "orders"
