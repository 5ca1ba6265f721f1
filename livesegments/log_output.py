"""What a long-running command says of itself: readable lines on a terminal, JSON lines elsewhere."""

import logging
import sys
from collections.abc import Iterable
from typing import Any

import structlog

from livesegments.log_noise import Noise
from livesegments.redaction import Redaction, secrets
from livesegments.settings import Settings


def configure(settings: Settings, also: Iterable[str] = ()) -> None:
    """Send all log lines, ours and those of libraries, to stderr in one form, without passwords.

    `also` are secrets beside those of the settings.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    level = getattr(logging, settings.log_level.upper())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _renderer(settings),
                Redaction([*secrets(settings), *also]),
            ],
        )
    )
    handler.addFilter(Noise())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


def as_text(settings: Settings) -> bool:
    """Whether a person reads."""
    return settings.log_format == "text" or (settings.log_format == "auto" and sys.stderr.isatty())


def _renderer(settings: Settings) -> Any:
    if as_text(settings):
        return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    return structlog.processors.JSONRenderer(default=str)
