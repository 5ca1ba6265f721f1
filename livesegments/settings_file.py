"""All settings as a commented TOML file: `livesegments settings --toml` prints it, livesegments.example.toml is it."""

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from livesegments.durations import Duration
from livesegments.settings import Settings

HEAD: Final = """\
# livesegments.toml: read from the current folder, or from where --config or LIVESEGMENTS_CONFIG say.
#
# Every setting stands here with its default; take the # away to change one. The environment variable
# LIVESEGMENTS_<NAME> wins over this file, a flag such as --allowed-lateness over both.
# `livesegments settings` shows what is in force and where it comes from.
#
# Several shops: what is different of each stands in a table [shops.<name>] at the end, and --shop or LIVESEGMENTS_SHOP
# choose one (docs/shops.md).
"""
SECTIONS: Final = {
    "redis_url": "Connections: with the clock, all that a second machine needs",
    "key_prefix": "Names: several deployments can share servers",
    "partitions": "Logs, as they are created where they are missing",
    "currency": "Money and time",
    "imports": "Import of a shop's own tables (docs/import.md)",
    "k": "Segments",
    "audiences": "Who is told apart by conditions (docs/conditions.md)",
    "list_length": "Recommendations",
    "attribution_window": "Feedback on recommendations (docs/feedback.md)",
    "forget_idle": "Forgetting (docs/erasure.md)",
    "forecasts": "Forecasts (docs/forecasts.md)",
    "consent_attribute": "Campaigns (docs/campaigns.md)",
    "batch_events": "Workers",
    "web_address": "HTTP API (docs/http-api.md)",
    "webhooks": "Webhooks (docs/webhooks.md)",
    "audience_syncs": "Audience sync (docs/audiences.md)",
    "log_level": "What is said",
}
"""By the first setting of each."""


def as_toml() -> str:
    """The file."""
    return "\n".join([HEAD, *_lines()]) + "\n"


def _lines() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        if name in SECTIONS:
            yield f"# ---- {SECTIONS[name]} ----\n"
        yield from textwrap.wrap(field.description or "", 116, initial_indent="# ", subsequent_indent="# ")
        value = field.get_default(call_default_factory=True)
        yield f"#{name} = {_literal(value)}\n"


def _literal(value: object) -> str:
    """A value in TOML; what is not set by default as an empty text."""
    if value is None or isinstance(value, SecretStr):
        return '""'
    if isinstance(value, Duration | Path):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"[{', '.join(_literal(one) for one in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(key)} = {_literal(one)}' for key, one in value.items())}}}"
    return json.dumps(value)
