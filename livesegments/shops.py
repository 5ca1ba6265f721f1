"""Several shops in one settings file: what each says in `[shops.<name>]` wins over what stands above all of them."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from contracts.errors import LivesegmentsError
from livesegments.settings import Settings

TABLE: Final = "shops"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_APART: Final = ("key_prefix", "log_prefix", "group")
"""What no two shops of one server may have in common: where their keys, their logs and their groups are."""


class ShopError(LivesegmentsError):
    """Which shop is meant is not clear, or two would write over each other."""


def values_of(file: Mapping[str, Any], shop: str | None, path: str) -> dict[str, Any]:
    """What a file says of one shop; of a file without shops all it says. Raises ShopError.

    What a shop does not say of `key_prefix`, `log_prefix` and `group` is made of its name, so that shops are apart.
    """
    common = {name: value for name, value in file.items() if name != TABLE}
    tables = file.get(TABLE, {})
    if not tables:
        if shop is not None:
            raise ShopError(f"there is no shop {shop!r}: {path} has no [shops.{shop}]")
        return common
    _check(tables, path)
    if shop is None:
        raise ShopError(f"{path} has several shops: choose one by --shop or LIVESEGMENTS_SHOP: {', '.join(tables)}")
    if shop not in tables:
        raise ShopError(f"there is no shop {shop!r}: {path} has {', '.join(tables)}")
    found = {name: _merged(name, table, common) for name, table in tables.items()}
    _are_apart(found, path)
    return found[shop]


def _check(tables: object, path: str) -> None:
    if not isinstance(tables, Mapping):
        raise ShopError(f"{path}: {TABLE}: expected tables such as [shops.berlin]")
    for name, table in tables.items():
        if not _NAME.fullmatch(name):
            raise ShopError(f"{path}: {name!r} is no name of a shop: letters, digits, - and _, 40 at most")
        if not isinstance(table, Mapping):
            raise ShopError(f"{path}: shops.{name}: expected a table of settings")
        if unknown := set(table) - set(Settings.model_fields):
            raise ShopError(
                f"{path}: shops.{name}: there is no setting {min(unknown)!r}; `livesegments settings` lists all"
            )


def _merged(shop: str, table: Mapping[str, Any], common: Mapping[str, Any]) -> dict[str, Any]:
    def above(name: str) -> str:
        said = common.get(name, Settings.model_fields[name].default)
        return said if isinstance(said, str) else ""

    named = {
        "key_prefix": f"{above('key_prefix')}-{shop}",
        "log_prefix": f"{above('log_prefix')}{shop}-",
        "group": f"{above('group')}-{shop}",
    }
    return {**common, **named, **table}


def _are_apart(shops: Mapping[str, Mapping[str, Any]], path: str) -> None:
    for name in _APART:
        taken: dict[tuple[str, str], str] = {}
        for shop, values in shops.items():
            place = (_server(values, of_log=name != "key_prefix"), _said(values, name))
            if place in taken:
                raise ShopError(
                    f"{path}: the shops {taken[place]} and {shop} have the same {name}: they would write over"
                    " each other; leave it out, and it is made of the shop's name"
                )
            taken[place] = shop


def _server(values: Mapping[str, Any], *, of_log: bool) -> str:
    """The server of a shop's keys or of its logs, however its URL is written; logs are in Redis unless it is said."""
    url = (_said(values, "log_url") if of_log else "") or _said(values, "redis_url")
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2].lower().removesuffix(":6379")
    return f"{parts.scheme}://{host}{parts.path.rstrip('/') or '/0'}"


def _said(values: Mapping[str, Any], name: str) -> str:
    return str(values.get(name, Settings.model_fields[name].default))
