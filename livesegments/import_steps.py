"""What is done with files whose plan is known: they are read, the plan is kept, their events are published."""

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from consumer.clock import wall_micros
from consumer.currency import UnknownCurrencyError
from contracts.errors import LivesegmentsError
from contracts.times import rfc3339
from livesegments.app import open_deployment, open_logs
from livesegments.catalogue_feeding import feed_catalogue
from livesegments.import_entry import entry_place, write_entry
from livesegments.import_reports import Source, reported
from livesegments.importing import Chosen
from livesegments.parts import log_names, pseudonyms, rates
from livesegments.records import count_partitions, newest_time
from livesegments.settings import Settings
from livesegments.sources import FILE, Loaded
from logs.base import LogSpec
from producer.importing.reading import Import, Progress
from producer.sending import send
from producer.summary import ReplaySummary

_DECIDED: Final = ("time_format", "decimal")
"""Answers by which what is written otherwise is left out on purpose."""


class RateError(LivesegmentsError):
    """There are orders in a currency that the deployment can not count; the text says what to do."""


class ContradictionError(LivesegmentsError):
    """Dates or numbers of the files are not all written in one way; the text says what to do."""


def read(
    chosen: Chosen, settings: Settings, progress: Callable[[Progress], None], folder: Path | None = None
) -> Import:
    """What the files tell; a context manager. `folder` is where it keeps what does not fit into memory."""
    return Import(
        chosen.plan,
        chosen.lines,
        chosen.orders,
        now=wall_micros(),
        pseudonyms=pseudonyms(settings),
        folder=folder,
        progress=progress,
    )


def without_rate(summary: ReplaySummary, settings: Settings) -> list[str]:
    """What can not be counted by lack of a rate, as of the first day of each currency."""
    known = rates(settings)
    told = []
    for currency in summary.currencies:
        if currency == settings.currency:
            continue
        try:
            known.rate(currency, summary.first_at or 0)
        except UnknownCurrencyError as error:
            day = rfc3339(summary.first_at or 0)[:10]
            told.append(
                f'{error}, as rates.{currency} = {{"{day}" = "0.86"}}; or, if the shop counts in {currency}, set'
                f' currency = "{currency}"'
            )
    return told


def too_late(summary: ReplaySummary, settings: Settings) -> str | None:
    """What is to be known where customers have newer events already; nothing where the state does not answer."""
    try:
        with open_deployment(settings) as deployment:
            newest = newest_time(deployment.state, count_partitions(deployment.state) or 0)
    except LivesegmentsError:
        return None
    from_here = newest - int(settings.allowed_lateness)
    if summary.first_at is None or summary.first_at >= from_here:
        return None
    return (
        f"there are events up to {rfc3339(newest)[:10]} already: of whoever has newer ones, what is older by more than"
        f" allowed_lateness, from before {rfc3339(from_here)[:10]}, does not count unless it did before"
    )


def obstacles(found: Import, settings: Settings, answers: Mapping[str, str]) -> list[str]:
    """Why nothing can be published, in words; empty where it can."""
    decided = any(one in answers for one in _DECIDED)
    return [*without_rate(found.summary, settings), *(() if decided else found.contradictions)]


def check(found: Import, settings: Settings, answers: Mapping[str, str]) -> None:
    """Raises RateError and ContradictionError where there are obstacles."""
    if without_rate(found.summary, settings):
        raise RateError("nothing is published: orders in a currency without a rate would all be dead letters")
    if obstacles(found, settings, answers):
        raise ContradictionError(
            "nothing is published: some may have been read as other days or amounts; say --time-format or --decimal"
            " to leave out what is written otherwise, or import files that are written alike"
        )


def keep(chosen: Chosen, loaded: Loaded) -> str | None:
    """Write the plan into the settings file; where it stands now, or None where it stood there. Raises EntryError."""
    table = chosen.plan.as_table()
    there = loaded.settings.imports.get(chosen.name)
    if chosen.examination is None and there is not None and there.get("salt_check") == table.get("salt_check"):
        return None
    path = loaded.file or Path(FILE)
    written = write_entry(path, chosen.name, table, loaded.shop)
    return f"{path}: [{entry_place(chosen.name, loaded.shop)}]" if written else None


def publish(
    found: Import,
    source: Source,
    settings: Settings,
    answers: Mapping[str, str],
    *,
    on_progress: Callable[[int, int], None],
    tell: Callable[[str], None],
) -> int:
    """Publish the items, then all events; how many. `tell` hears of the items, `on_progress` as that of `send`.

    What it comes to stands on the page *Data*.

    Raises what `check` raises, before anything is published.
    """
    check(found, settings, answers)
    logs = open_logs(settings)
    try:
        feed_catalogue(found.items, logs, settings, tell)
        log = log_names(settings).events
        logs.create(LogSpec(log, partitions=settings.partitions))
        with (
            reported(source, found.summary, len(found), settings, tell) as report,
            closing(logs.writer()) as writer,
        ):

            def on_sent(count: int, at: int) -> None:
                report(count)
                on_progress(count, at)

            return send(found.messages(), writer, log=log, on_progress=on_sent)
    finally:
        logs.close()
