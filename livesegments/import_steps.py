"""What is done with files whose plan is known: they are read, the plan is kept, their events are published."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from consumer.clock import wall_micros
from consumer.currency import UnknownCurrencyError
from contracts.errors import LivesegmentsError
from contracts.times import rfc3339
from livesegments.app import open_logs
from livesegments.catalogue_feeding import feed_catalogue
from livesegments.import_entry import write_entry
from livesegments.importing import Chosen
from livesegments.parts import log_names, pseudonyms, rates
from livesegments.settings import Settings
from livesegments.sources import FILE, Loaded
from logs.base import LogSpec
from producer.importing.reading import Import, Progress
from producer.sending import send
from producer.summary import ReplaySummary

NO_RATE: Final = "nothing is published: orders in a currency without a rate would all be dead letters"


class RateError(LivesegmentsError):
    """There are orders in a currency that the deployment can not count; the text says what to do."""


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


def keep(chosen: Chosen, loaded: Loaded) -> Path | None:
    """Write the plan into the settings file; which file, or None where the settings have it. Raises EntryError."""
    table = chosen.plan.as_table()
    there = loaded.settings.imports.get(chosen.name)
    if chosen.examination is None and there is not None and there.get("salt_check") == table.get("salt_check"):
        return None
    path = loaded.file or Path(FILE)
    return path if write_entry(path, chosen.name, table) else None


def publish(
    found: Import, settings: Settings, on_progress: Callable[[int, int], None], tell: Callable[[str], None]
) -> int:
    """Publish the items, then all events; how many. `tell` hears of the items, `on_progress` as that of `send`.

    Raises RateError where there are orders that could not be counted, before anything is published.
    """
    if without_rate(found.summary, settings):
        raise RateError(NO_RATE)
    logs = open_logs(settings)
    try:
        feed_catalogue(found.items, logs, settings, tell)
        log = log_names(settings).events
        logs.create(LogSpec(log, partitions=settings.partitions))
        with closing(logs.writer()) as writer:
            return send(found.messages(), writer, log=log, on_progress=on_progress)
    finally:
        logs.close()
