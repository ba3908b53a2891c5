"""Routes that answer every request to their paths, so that none is forwarded by a slip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter

from aiohttp import web
from aiohttp.typedefs import Handler

from callguard.serve.problems import Problem

__all__ = ["only", "unknown"]


def only(routes: Iterable[web.RouteDef]) -> Iterator[web.RouteDef]:
    """Yield the routes, and for each path one more that answers every other method with 405.

    Args:
        routes: routes of which those with the same path are adjacent.
    """
    for path, group in groupby(routes, key=attrgetter("path")):
        same = list(group)
        yield from same
        yield web.route("*", path, _refusal(sorted(route.method for route in same)))


def _refusal(methods: list[str]) -> Handler:
    async def refuse(request: web.Request) -> web.StreamResponse:
        allowed = ", ".join(methods)
        problem = Problem(405, f"{request.path} takes {allowed}, not {request.method}")
        response = problem.response()
        response.headers["Allow"] = allowed
        return response

    return refuse


async def unknown(request: web.Request) -> web.StreamResponse:
    """Answer a request to a path below ``/v1`` that there isn't: it might bear the token."""
    raise Problem(404, f"there is no {request.path} here; see /openapi.json")
