"""A worker that kills itself (SIGKILL) between two writes.

After so many checkpoints it lives for so many writes more, of any kind: to state, views or log. Each write is passed
twice, before and after. Then it dies within so many seconds: at once with 0, else in the midst of whatever it
does then. Everything else is `livesegments worker`.
"""

import contextlib
import os
import signal
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

from consumer import collector
from consumer.patience import Patience
from livesegments.app import open_deployment, open_worker
from livesegments.log_output import configure
from livesegments.sources import load_settings
from livesegments.worker_status import StatusPublisher

WRITES = frozenset(
    {
        *(
            "amend_forecast",
            "append",
            "begin_checkpoints",
            "checkpoint",
            "claim",
            "delete_many",
            "drop_models",
            "number_audiences",
        ),
        *(
            "publish_catalogue",
            "publish_forecast",
            "publish_item_model",
            "publish_model",
            "put_note",
            "put_popularity",
            "put_review",
            "put_sums",
            "put_worker",
        ),
        *("begin_set_many", "set_fields", "set_many"),
    }
)


@dataclass
class Fate:
    """When it is over."""

    checkpoints: int
    writes: int
    seconds: float

    def passed(self, write: str, *, done: bool) -> None:
        """Before (`done` False) and after each write."""
        if self.checkpoints > 0:
            self.checkpoints -= write.endswith(("checkpoint", "checkpoints")) and done
            return
        self.writes -= 1
        if self.writes <= 0:
            if self.seconds:
                threading.Thread(target=self._die, daemon=True).start()
            else:
                self._die()

    def _die(self) -> None:
        time.sleep(self.seconds)
        os.kill(os.getpid(), signal.SIGKILL)


class Mortal:
    """A state, store of views or log writer, each of whose writes brings the end nearer."""

    def __init__(self, real: object, fate: Fate) -> None:
        self._real = real
        self._fate = fate

    def __getattr__(self, name: str):
        found = getattr(self._real, name)
        if name not in WRITES:
            return found

        def write(*arguments, **named):
            self._fate.passed(name, done=False)
            answer = found(*arguments, **named)
            if not name.startswith("begin_"):
                self._fate.passed(name, done=True)
                return answer

            def end():
                written = answer()
                for _ in arguments[0] if name == "begin_checkpoints" else (None,):
                    self._fate.passed(name, done=True)
                return written

            return end

        return write


class MortalLogs(Mortal):
    """Logs whose writers are mortal, too."""

    def writer(self):
        return Mortal(self._real.writer(), self._fate)


def work(environment: dict[str, str], output: Path, fate: Fate) -> None:
    """In a process of its own, with what it says in a file."""
    with output.open("ab") as sink:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
    os.environ.update(environment)
    settings = load_settings().settings
    configure(settings)
    with open_deployment(settings) as real:
        deployment = replace(
            real, logs=MortalLogs(real.logs, fate), state=Mortal(real.state, fate), views=Mortal(real.views, fate)
        )
        with open_worker(deployment, Patience(threading.Event())) as worker:
            signal.signal(signal.SIGTERM, lambda *_: worker.stop())
            collector.calm()
            with contextlib.closing(StatusPublisher(deployment.state, 1.0)) as status:
                worker.run(on_step=status)
