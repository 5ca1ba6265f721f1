"""Starting a server that ends with us, however we end: by return, by SIGTERM, by SIGKILL."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

Process = subprocess.Popen[bytes]

# Runs between fork and exec in a fresh interpreter: code in `preexec_fn` can deadlock where there are threads. Linux's
# PR_SET_PDEATHSIG (1) holds across exec; a parent that died before it was set would never be noticed, hence the check.
_TIED = """
import ctypes, os, sys
sign, parent, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
ctypes.CDLL(None).prctl(1, sign)
if os.getppid() != parent:
    sys.exit("the parent has gone")
os.execvp(command[0], command)
"""


def start_tied(
    command: Sequence[str], *, output: Path, death_signal: int = signal.SIGTERM, keep_open: Sequence[int] = ()
) -> Process:
    """Start a command whose process gets `death_signal` when ours dies (on Linux; elsewhere it must be stopped).

    Its output goes to a file; the file descriptors in `keep_open` are passed on. It runs in a session of its own, so
    that a Ctrl-C meant for us does not reach it first. On Linux "ours dies" means the calling *thread*: call it from
    one that lives as long as the server should.
    """
    if sys.platform == "linux":
        command = [sys.executable, "-I", "-S", "-c", _TIED, str(int(death_signal)), str(os.getpid()), *command]
    with output.open("ab") as sink:
        return subprocess.Popen(  # noqa: S603 - the command is ours
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=tuple(keep_open),
        )


def end(process: Process, *, grace: float) -> None:
    """End a process by SIGTERM, after `grace` seconds by SIGKILL, and reap it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def last_lines(output: Path, lines: int = 5) -> str:
    """The end of what a process said, for an error message."""
    if not output.exists():
        return "it said nothing"
    return " | ".join(output.read_text(errors="replace").splitlines()[-lines:]) or "it said nothing"
