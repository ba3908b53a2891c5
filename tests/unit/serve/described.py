"""Compares answers with the OpenAPI document."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

from openapi_schema_validator import OAS31Validator

DOCUMENT: Final[dict[str, Any]] = json.loads(
    files("callguard.serve").joinpath("openapi.json").read_text("utf-8")
)

_TEMPLATES: Final = {
    re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))): item
    for path, item in DOCUMENT["paths"].items()
}

_NOT_DESCRIBED: Final = {405}
"""Statuses of requests that the document doesn't have."""


def check(method: str, path: str, status: int, kind: str, body: object) -> None:
    """Check that an answer is one that the document has for this request, if it has the request."""
    operation = _operation(method, path)
    if operation is None or status in _NOT_DESCRIBED:
        return
    described = operation["responses"].get(str(status))
    assert described is not None, f"{method} {path} is not said to answer {status}: {body}"
    if "$ref" in described:
        described = DOCUMENT["components"]["responses"][described["$ref"].rpartition("/")[2]]
    if "content" not in described:
        assert not body
        return
    assert kind in described["content"], f"{method} {path} answers {status} as {kind}"
    if kind.endswith("json"):
        schema = described["content"][kind]["schema"] | {"components": DOCUMENT["components"]}
        OAS31Validator(schema).validate(body)


def _operation(method: str, path: str) -> Mapping[str, Any] | None:
    plain = path.partition("?")[0]
    for template, item in _TEMPLATES.items():
        if template.fullmatch(plain):
            return item.get(method.lower())  # type: ignore[no-any-return]
    return None
