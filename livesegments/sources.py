"""Where settings come from: file, environment, flags, in rising priority; and what is said of a wrong one."""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from pydantic import SecretStr, ValidationError
from pydantic_settings import EnvSettingsSource, TomlConfigSettingsSource

from contracts.errors import LivesegmentsError
from contracts.redaction import without_password
from livesegments.durations import Duration
from livesegments.parts import worker_settings
from livesegments.settings import Settings
from livesegments.shops import TABLE, ShopError, values_of

FILE: Final = "livesegments.toml"
"""Read where it stands in the current folder, unless another file is named."""
CONFIG_VARIABLE: Final = "LIVESEGMENTS_CONFIG"
SHOP_VARIABLE: Final = "LIVESEGMENTS_SHOP"
PREFIX: Final = "LIVESEGMENTS_"
_URLS: Final = ("redis_url", "log_url")
_SECRETS: Final = tuple(
    name for name, field in Settings.model_fields.items() if field.annotation in {SecretStr, SecretStr | None}
)
_SECRET: Final = re.compile(r"whsec_[A-Za-z0-9+/=_-]+")
_LONGEST_SHOWN: Final = 100


class SettingsError(LivesegmentsError):
    """A setting is wrong: one line for each, with its name, source, value and what is allowed."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings in force, and who said what."""

    settings: Settings
    origins: Mapping[str, str]
    """By setting: the file, the environment variable or the flag. What is not in here is the default."""
    unknown_variables: Mapping[str, str]
    """Environment variables that look like a misspelt setting, and the name that was probably meant."""
    file: Path | None = None
    """The settings file that was read."""
    shop: str | None = None
    """The shop of that file, where it has several."""


@dataclass(frozen=True, slots=True)
class _Values:
    """What one source says, and how it is called, by setting."""

    values: Mapping[str, Any]
    origins: Mapping[str, str]

    def under(self, other: Self) -> "_Values":
        """Both, the other one winning."""
        return _Values({**self.values, **other.values}, {**self.origins, **other.origins})


def load_settings(
    config: Path | None = None, flags: Mapping[str, Any] | None = None, shop: str | None = None
) -> Loaded:
    """The settings in force. `flags` are those given, by name of the setting; `shop` is one of the file's.

    Raises SettingsError.
    """
    environment = _environment()
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    shop = shop or os.environ.get(SHOP_VARIABLE) or None
    said = (
        _file(config, shop)
        .under(environment)
        .under(_Values(given, {name: f"flag --{name.replace('_', '-')}" for name in given}))
    )
    try:
        settings = Settings(**said.values)
    except ValidationError as error:
        raise SettingsError("\n".join(_wrong(dict(one), said) for one in error.errors())) from None
    try:
        worker_settings(settings)
    except LivesegmentsError as error:
        raise SettingsError(_refused(str(error), said)) from None
    return Loaded(settings, said.origins, _misspelt(), named_config(config), shop)


def replaced(settings: Settings, **values: object) -> Settings:
    """The settings with other values for some, as given on the command line. Raises SettingsError."""
    try:
        return Settings.model_validate({**dict(settings), **values})
    except ValidationError as error:
        said = _Values(values, dict.fromkeys(values, "the command line"))
        raise SettingsError("\n".join(_wrong(dict(one), said) for one in error.errors())) from None


def named_config(config: Path | None) -> Path | None:
    """The settings file to read: the one named by flag or environment, else the one in the current folder, if any."""
    named = config or (Path(variable) if (variable := os.environ.get(CONFIG_VARIABLE)) else None)
    return named or (Path(FILE) if Path(FILE).exists() else None)


def shown(name: str, value: object) -> str:
    """A value as it may be shown: without secrets."""
    if name in _SECRETS:
        return "**********"
    if name in _URLS and isinstance(value, str):
        return without_password(value)
    if isinstance(value, Duration | Path):
        return str(value)
    if name == "webhooks":
        return _endpoints_shown(value, "url")
    if name == "audience_syncs":
        return _endpoints_shown(value, "to")
    text = repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _endpoints_shown(tables: object, field: str) -> str:
    """Endpoints without what stands behind the host of their URLs: it may be what only the receiver should know."""
    if not isinstance(tables, Mapping):
        return "**********"
    hosts = {
        name: _host(table[field])
        for name, table in tables.items()
        if isinstance(table, Mapping) and isinstance(table.get(field), str)
    }
    told = ", ".join(f"{name}: {hosts.get(name, '?')}" for name in tables)
    return _SECRET.sub("**********", "{" + told + "}")[:_LONGEST_SHOWN]


def _host(url: str) -> str:
    """A URL up to its host; what is none, such as a folder, whole."""
    return "/".join(without_password(url).split("?")[0].split("/", 3)[:3]) if "://" in url else url


def _file(config: Path | None, shop: str | None) -> _Values:
    path = named_config(config)
    if path is None:
        if shop is not None:
            raise SettingsError(f"there is no shop {shop!r}: shops stand in a settings file, and there is none")
        return _Values({}, {})
    if not path.is_file():
        raise SettingsError(f"there is no settings file {path}: correct --config or {CONFIG_VARIABLE}")
    try:
        values = TomlConfigSettingsSource(Settings, path)()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingsError(f"{path} is not readable as TOML: {error}") from None
    for name in values:
        if name not in Settings.model_fields and name != TABLE:
            raise SettingsError(f"{path}: there is no setting {name!r}{_closest(name)}")
    try:
        values = values_of(values, shop, str(path))
    except ShopError as error:
        raise SettingsError(str(error)) from None
    return _Values(values, dict.fromkeys(values, str(path) if shop is None else f"{path}, shop {shop}"))


def _environment() -> _Values:
    values = EnvSettingsSource(Settings)()
    return _Values(values, {name: PREFIX + name.upper() for name in values})


def _closest(name: str) -> str:
    close = difflib.get_close_matches(name.lower(), Settings.model_fields, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else "; `livesegments settings` lists all there are"


def _misspelt() -> dict[str, str]:
    """Variables that begin like ours and are nearly a setting. Other tools have their own, so they are no error."""
    found = {}
    for variable in os.environ:
        name = variable.removeprefix(PREFIX).lower()
        if variable.startswith(PREFIX) and name not in {"config", "shop"} and name not in Settings.model_fields:
            close = difflib.get_close_matches(name, Settings.model_fields, n=1, cutoff=0.85)
            if close:
                found[variable] = PREFIX + close[0].upper()
    return found


def _wrong(error: Mapping[str, Any], said: _Values) -> str:
    """One line on one wrong setting."""
    message = error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if not error["loc"]:
        return _refused(message, said)
    name, *inner = (str(part) for part in error["loc"])
    place = ".".join([name, *(part for part in inner if part != "[key]")])
    origin = said.origins.get(name, "default")
    return f"{place} = {shown(name, error['input'])} (from {origin}): {message[0].lower()}{message[1:]}"


def _refused(message: str, said: _Values) -> str:
    """A message that names settings, with where these come from."""
    origins = [f"{name} from {origin}" for name, origin in said.origins.items() if re.search(rf"\b{name}\b", message)]
    return f"{message} ({', '.join(origins)})" if origins else message
