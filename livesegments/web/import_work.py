"""An import by page, in its child process: the steps of `livesegments import`, told over a channel."""

import contextlib
import os
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from contracts.errors import LivesegmentsError
from dashboard.imports import Asked, Made, Published, ShownOrder, Step, Understood
from livesegments.import_entry import EntryError, entry_text
from livesegments.import_reports import Source
from livesegments.import_steps import keep, obstacles, publish, read, too_late
from livesegments.importing import Chosen, choose
from livesegments.sources import Loaded
from livesegments.web.import_child import PUBLISH, Done, Failed, Fault, Task
from producer.cli import money_text, month_rows
from producer.importing.questions import Question, UnclearError
from producer.importing.reading import Import, Progress
from producer.importing.telling import example_orders, guests_said, lapse_said
from producer.importing.unpacking import check_unpacked

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_SHOWN: Final = 10
Told = Step | Asked | Understood | Failed | Fault | Done


def work(channel: "Connection[Any, Any]", task: Task) -> None:
    """Look, ask, show, wait for a yes, publish. What can not go on is told, and that is the end."""
    try:
        _work(channel, task)
    except UnclearError as error:
        _tell(channel, Failed("\n".join(question.text for question in error.questions)))
    except LivesegmentsError as error:
        _tell(channel, Failed(str(error)))
    except MemoryError:
        _tell(channel, Failed("The files take more memory than there is for them: import them in parts."))
    except (EOFError, BrokenPipeError):
        return
    except Exception:  # noqa: BLE001 - a hostile file may hit on anything, and somebody waits for an answer
        _tell(channel, Fault(traceback.format_exc()))


def _work(channel: "Connection[Any, Any]", task: Task) -> None:
    settings = task.loaded.settings
    known = settings.model_copy(update={"imports": {**settings.imports, **task.plans}})

    def progress(told: Progress) -> None:
        channel.send(Step(told.doing, told.done, told.of))

    def ask(questions: Sequence[Question]) -> Mapping[str, str]:
        (question,) = questions
        channel.send(_asked(question))
        said: Mapping[str, str] = channel.recv()
        return said

    with _within(task.folder):
        # By their bare names: no message is to say where they stand.
        paths = [Path(name) for name in task.names]
        for path in paths:
            check_unpacked(path, task.room)
        chosen = choose(paths, replace(task.loaded, settings=known), task.answers, ask=ask)
        found = read(chosen, settings, progress, task.folder)
    with found:
        late = too_late(found.summary, settings)
        channel.send(_understood(chosen, found, obstacles(found, settings, task.answers), late))
        if channel.recv() != PUBLISH:
            return
        file, entry = _kept(chosen, task.loaded)

        def on_progress(sent: int, _: int) -> None:
            channel.send(Step("publishing", sent, len(found)))

        source = Source(command="import", files=task.names, who=task.who)
        count = publish(found, source, settings, task.answers, on_progress=on_progress, tell=_unheard)
        channel.send(Done(Published(count, chosen.name, file, entry), chosen.plan.as_table()))


def _kept(chosen: Chosen, loaded: Loaded) -> tuple[str, str]:
    """The settings file that has the plan; or, where there is none or it can not be changed, what belongs there."""
    if loaded.file is not None:
        with contextlib.suppress(EntryError):
            keep(chosen, loaded)
            return loaded.file.name, ""
    elif chosen.name in loaded.settings.imports and chosen.examination is None:
        return "the settings", ""
    return "", entry_text(chosen.name, chosen.plan.as_table(), loaded.shop)


@contextlib.contextmanager
def _within(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _unheard(_: str) -> None:
    """What the catalogue took in stands on no page."""


def _tell(channel: "Connection[Any, Any]", told: Told) -> None:
    with contextlib.suppress(BrokenPipeError):
        channel.send(told)


def _asked(question: Question) -> Asked:
    choices = [(choice.meaning, dict(choice.answers)) for choice in question.choices]
    if question.key:
        choices += [(text, {question.key: text}) for text in question.suggestions]
    return Asked(question.text, tuple(choices), question.key)


def _understood(chosen: Chosen, found: Import, hindered_by: Sequence[str], late: str | None) -> Understood:
    summary, plan = found.summary, chosen.plan
    if chosen.examination is not None:
        made = [Made(one.what, one.value, one.because) for one in chosen.examination.findings]
    else:
        because = f"as the import {chosen.name!r} of the settings says"
        made = [Made(what, column, because) for shape in plan.shapes for what, column in shape.columns.items()]
    months = list(month_rows(summary))
    money = [
        money_text(total(currency)) for currency in summary.currencies for total in (summary.spend, summary.refunds)
    ]
    months.append(("total", f"{summary.orders:,}", f"{summary.returns:,}", *money))
    refused = [f"{one.event_id}: {one.reason}" for one in summary.not_sent]
    if summary.refused > _SHOWN:
        refused = [*refused[:_SHOWN], f"and {summary.refused - _SHOWN:,} more"]
    return Understood(
        made=tuple(made),
        orders=tuple(
            ShownOrder(one.order, one.customer, one.when, one.lines, one.total, one.returned)
            for one in example_orders(found.examples, plan)
        ),
        currencies=summary.currencies,
        months=tuple(months),
        rows=summary.rows,
        lines=summary.lines,
        customers=summary.customers,
        guests=summary.guests,
        said=tuple(one for one in (guests_said(summary, plan), lapse_said(found.usual_gap), late) if one),
        unread=dict(summary.skipped),
        refused=tuple(refused),
        obstacles=tuple(hindered_by),
        events=len(found),
        columns=tuple(dict.fromkeys(name for table in (*chosen.lines, *chosen.orders) for name in table.columns)),
    )
