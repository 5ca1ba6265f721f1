"""The API's own description: problems, keys and events that every route or none would have to declare."""

import json
import re
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import FastAPI, Path

from contracts.events import MAX_ID_LENGTH, json_schema
from dashboard.api.problems import MEDIA_TYPE, ProblemDocument

PRINTABLE: Final = r"^[^\x00-\x1f\x7f-\x9f]+$"
"""Ids may hold anything but control characters."""

CustomerId = Annotated[str, Path(min_length=1, max_length=MAX_ID_LENGTH, pattern=PRINTABLE, examples=["17850"])]
ItemId = Annotated[str, Path(min_length=1, max_length=MAX_ID_LENGTH, pattern=PRINTABLE, examples=["85123A"])]
SegmentId = Annotated[int, Path(ge=-(2**31), le=2**31 - 1, examples=[3])]

_EVERYWHERE: Final = {
    HTTPStatus.BAD_REQUEST: "The request can not be read.",
    HTTPStatus.UNAUTHORIZED: "No key that is known was shown.",
    HTTPStatus.FORBIDDEN: "The key lacks the scope; without keys: asked from elsewhere.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The request can be read, and not be used.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Redis or the log does not answer now; try again.",
}
_SCHEMA: Final = {"$ref": "#/components/schemas/ProblemDocument"}


def problems(**more: str) -> dict[int | str, dict[str, Any]]:
    """What can go wrong with a route, as FastAPI wants it; `more` by status, as `s404="There is no such segment."`."""
    told = {int(status): text for status, text in _EVERYWHERE.items()}
    told |= {int(name.removeprefix("s")): text for name, text in more.items()}
    return {
        status: {"description": text, "content": {MEDIA_TYPE: {"schema": _SCHEMA}}}
        for status, text in sorted(told.items())
    }


def describe(app: FastAPI) -> None:
    """Complete what FastAPI says of the app."""
    made = app.openapi

    @cache
    def complete() -> dict[str, Any]:
        document = made()
        components = document.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        schemas["ProblemDocument"] = ProblemDocument.model_json_schema()
        schemas |= _events()
        components["securitySchemes"] = {
            "key": {"type": "http", "scheme": "bearer", "description": "A key of web_keys."},
            "password": {"type": "http", "scheme": "basic", "description": "The key as the password, under any name."},
        }
        for path, operations in document["paths"].items():
            for operation in operations.values():
                operation["tags"] = [re.findall(r"\w+", path)[0]]
        _without_tuples(document)
        document["security"] = [{"key": []}, {"password": []}]
        return document

    app.openapi = complete  # type: ignore[method-assign]


def _without_tuples(schema: Any) -> None:
    """Say of arrays what each place may hold all together: generators of clients stumble over prefixItems."""
    if isinstance(schema, list):
        for one in schema:
            _without_tuples(one)
    elif isinstance(schema, dict):
        places = schema.get("prefixItems")
        if isinstance(places, list):
            del schema["prefixItems"]
            schema["items"] = {"anyOf": [one for n, one in enumerate(places) if one not in places[:n]]}
        for one in schema.values():
            _without_tuples(one)


def _events() -> dict[str, Any]:
    """The schemas of events, as components; `Event` is any of them."""
    schema = json.loads(json_schema().replace("#/$defs/", "#/components/schemas/"))
    schema.pop("$schema")
    schemas: dict[str, Any] = schema.pop("$defs")
    return {**schemas, "Event": schema}
