"""The configuration: flags over the environment over a TOML file, and nothing that is misspelt."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from callguard.arguments import checked_flag, checked_seconds, checked_whole, is_sendable
from callguard.errors import CallGuardError, UsageError
from callguard.fetcher.settings import checked_api_key, checked_base_url, is_loopback
from callguard.gate import open_gate
from callguard.lanes import Lane
from callguard.serve.settings import Bounds, ServeSettings, WorkspaceSettings
from callguard.showing import shown
from callguard.trunks import DEFAULT_TRUNK, Trunk

__all__ = ["configured"]

Values = Mapping[str, Any]

T = TypeVar("T")

_OPTIONS: Final = (
    "ttl",
    "max_age",
    "counts_ringing",
    "ring_limit",
    "counter_lag",
    "min_interval",
    "reserved_inbound",
    "ends_free_at_once",
    "track",
)
"""The arguments of `open_gate` that a configuration may have, beside lanes, trunks and the rate."""

_RING_LIMIT: Final = 30.0
_COUNTER_LAG: Final = 2.0
"""The defaults of `open_gate`, in seconds."""

_HIGHEST_PORT: Final = 65535

_ID: Final = re.compile("[0-9a-f]{24}")
"""The id of a workspace; see `callguard.ledger.workspace_hash`."""

_TEXTS: Final = ("host", "provider_url", "token", "ledger")
_PREFIX: Final = "CALLGUARD_"


def configured(
    file: Path | None, environment: Mapping[str, str], flags: Mapping[str, Any]
) -> ServeSettings:
    """Return the settings of a server.

    Args:
        file: the TOML file; None for none.
        environment: the variables; `RETELL_API_KEY` and those that begin with ``CALLGUARD_`` count.
        flags: by setting, what the command line says; None for what it doesn't say.

    Raises:
        UsageError: a setting is unknown or can't be right; the error says which, and names the
            nearest right one.
    """
    values = {} if file is None else _read(file)
    workspace = dict(_table("workspace", values.pop("workspace", {})))
    said = {name: value for name, value in flags.items() if value is not None}
    for name, value in {**_of_environment(environment), **said}.items():
        (workspace if name in _names(WorkspaceSettings) else values)[name] = value
    settings = _server(values, _workspace("workspace", workspace), environment)
    _check(settings)
    return settings


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"the configuration can't be read: {error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not valid TOML: {error}") from None


def _of_environment(environment: Mapping[str, str]) -> Values:
    """What the environment says, by setting."""
    known = [*_names(ServeSettings), "ledger", "cps"]
    known = [name for name in known if name not in {"api_key", "bounds", "workspace", "workspaces"}]
    found = {}
    for variable, text in environment.items():
        if not variable.startswith(_PREFIX) or not text:
            continue
        name = variable.removeprefix(_PREFIX).lower()
        if name in known:
            found[name] = text if name in _TEXTS else _value(text)
        elif table := _table_of(name):
            raise UsageError(
                f"{variable} is no setting; {name} goes into [{table}] of the file. "
                "Move it there, or unset it"
            )
        elif near := get_close_matches(name, known, 1, cutoff=0.7):
            raise UsageError(
                f"{variable} is no setting; {_PREFIX}{near[0].upper()} is. Rename or unset it"
            )
    return found


def _table_of(name: str) -> str | None:
    """The table of the file that a setting goes into; None for one that has no table."""
    if name in _names(Bounds):
        return "bounds"
    own = [each for each in _names(WorkspaceSettings) if each != "options"]
    return "workspace" if name in {*own, *_OPTIONS} else None


def _value(text: str) -> object:
    """A value as TOML reads it, or else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _server(
    values: Values, workspace: WorkspaceSettings, environment: Mapping[str, str]
) -> ServeSettings:
    given = dict(values)
    for name in given:
        if name in {*_names(WorkspaceSettings), *_OPTIONS}:
            raise UsageError(f"{name} belongs into the table [workspace]")
    _know(given, [name for name in _names(ServeSettings) if name != "api_key"], "")
    bounds = dict(_table("bounds", given.pop("bounds", {})))
    _know(bounds, _names(Bounds), "[bounds] ")
    others = _table("workspaces", given.pop("workspaces", {}))
    for name in others:
        if not _ID.fullmatch(name):
            raise UsageError(
                f"[workspaces.{name}] is for no workspace: an id has 24 hexadecimal digits, as in "
                "the server's log"
            )
    plain = {name: _CHECKS[name](name, value) for name, value in given.items()}
    return ServeSettings(
        **plain,
        api_key=checked_api_key(key) if (key := environment.get("RETELL_API_KEY")) else None,
        bounds=Bounds(
            **{
                name: _CHECKS.get(name, _positive)(f"[bounds] {name}", value)
                for name, value in bounds.items()
            }
        ),
        workspace=workspace,
        workspaces={
            name: _workspace(f"workspaces.{name}", _table(f"workspaces.{name}", each))
            for name, each in others.items()
        },
    )


def _workspace(where: str, values: Values) -> WorkspaceSettings:
    given = dict(values)
    own = [name for name in _names(WorkspaceSettings) if name != "options"]
    _know(given, [*own, *_OPTIONS], f"[{where}] ")
    lanes = _each(where, "lanes", Lane, given.pop("lanes", []))
    trunks = _each(where, "trunks", Trunk, given.pop("trunks", []))
    trunk_of = _table(f"{where}.trunk_of", given.pop("trunk_of", {}))
    names = [DEFAULT_TRUNK, *(trunk.name for trunk in trunks)]
    for number, name in trunk_of.items():
        if name not in names:
            raise UsageError(
                f"[{where}.trunk_of] {number}: no trunk {shown(name)}, only {', '.join(names)}"
            )
    cps = given.pop("cps", 1.0)
    ledger = given.pop("ledger", None)
    if "track" in given:
        given["track"] = _track(f"[{where}] track", given["track"])
    return WorkspaceSettings(
        lanes=lanes,
        trunks=trunks,
        cps=None if cps == "none" else cps,
        trunk_of=trunk_of,
        ledger=None if ledger is None else _text(f"[{where}] ledger", ledger),
        options=given,
    )


def _each(where: str, name: str, kind: Callable[..., T], tables: object) -> tuple[T, ...]:
    if not isinstance(tables, list):
        raise UsageError(f"[{where}] {name} must be tables, as in [[{where}.{name}]]")
    made = []
    for table in tables:
        values = dict(_table(f"{where}.{name}", table))
        _know(values, _names(kind), f"[[{where}.{name}]] ")
        if values.get("cps") == "none":
            values["cps"] = None
        try:
            made.append(kind(**values))
        except (TypeError, ValueError) as error:
            raise UsageError(f"[[{where}.{name}]]: {error}") from None
    return tuple(made)


def _check(settings: ServeSettings) -> None:
    """Check what concerns more than one setting, and what `open_gate` checks."""
    try:
        checked_base_url(settings.provider_url, allow_plain_http=settings.allow_plain_http)
    except UsageError as error:
        remedy = "; use https, or pass --allow-plain-http" if error.missing else ""
        raise UsageError(f"the provider's address (provider_url) {error.problem}{remedy}") from None
    _check_that_it_is_another(settings)
    if not is_loopback(settings.host) and settings.token is None:
        raise UsageError(
            f"to listen on {settings.host}, which others can reach, a token is needed: set "
            "CALLGUARD_TOKEN to a long random text"
        )
    for where, workspace in {"workspace": settings.workspace, **settings.workspaces}.items():
        _check_gate(where, workspace, settings)
    if settings.back_within > settings.idle:
        raise UsageError(
            f"back_within must be at most idle, {settings.idle:g} s, because a gate that was "
            f"closed has forgotten who is to come back; got {settings.back_within:g}"
        )


def _check_that_it_is_another(settings: ServeSettings) -> None:
    provider = urlsplit(settings.provider_url)
    is_here = is_loopback(provider.hostname or "") or provider.hostname == settings.host
    port = provider.port or (443 if provider.scheme == "https" else 80)
    if is_here and settings.port and port == settings.port:
        raise UsageError(
            f"the provider's address (provider_url) is this server's own, port {port}: give the "
            "provider's. RETELL_BASE_URL is for the clients of this server"
        )


def _check_gate(where: str, workspace: WorkspaceSettings, settings: ServeSettings) -> None:
    try:
        open_gate(
            "key_of_nobody",
            base_url=settings.provider_url,
            lanes=workspace.lanes,
            trunks=workspace.trunks,
            cps=workspace.cps,
            ledger=workspace.ledger,
            allow_plain_http=settings.allow_plain_http,
            **workspace.options,
        )
    except (TypeError, ValueError, CallGuardError) as error:
        raise UsageError(f"[{where}] {error}") from None
    options = workspace.options
    shows = options.get("ring_limit", _RING_LIMIT) + options.get("counter_lag", _COUNTER_LAG)
    if settings.idle < shows:
        raise UsageError(
            f"idle must be at least ring_limit + counter_lag, {shows:g} s, so that the count shows "
            f"every call when a gate is opened anew; got {settings.idle:g}"
        )


def _know(values: Mapping[str, object], known: Sequence[str], where: str) -> None:
    for name in values:
        if name not in known:
            near = get_close_matches(name, known, 1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"they are {', '.join(known)}"
            raise UsageError(f"{where}{name} is no setting; {hint}")


def _names(kind: Any) -> list[str]:
    return [field.name for field in fields(kind) if field.init and field.name != "_"]


def _table(where: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{where} must be a table, as in [{where}], got {shown(value)}")
    return value


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise UsageError(f"{name} must be text, got {shown(value)}")
    return value


def _track(name: str, value: object) -> str | None:
    if value not in ("ask", "none"):
        raise UsageError(f'{name} must be "ask" or "none", got {shown(value)}')
    return "ask" if value == "ask" else None


def _token(name: str, value: object) -> str:
    if not isinstance(value, str) or not is_sendable(value):
        raise UsageError(f"{name} must be text in UTF-8; what it is isn't shown here")
    return value


def _address(name: str, value: object) -> str:
    return _text(name, value).rstrip("/")


def _flag(name: str, value: object) -> bool:
    return bool(_checked(checked_flag, name, value))


def _seconds(name: str, value: object) -> float:
    return float(_checked(lambda *it: checked_seconds(*it, above_zero=False), name, value))


def _above_zero(name: str, value: object) -> float:
    return float(_checked(lambda *it: checked_seconds(*it, above_zero=True), name, value))


def _positive(name: str, value: object) -> int:
    return int(_checked(lambda *it: checked_whole(*it, least=1), name, value))


def _port(name: str, value: object) -> int:
    port = int(_checked(lambda *it: checked_whole(*it, least=0), name, value))
    if port > _HIGHEST_PORT:
        raise UsageError(f"{name} must be at most {_HIGHEST_PORT}, got {port}")
    return port


def _checked(check: Callable[..., Any], name: str, value: Any) -> Any:
    try:
        made = check(name, value)
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from None
    return value if made is None else made


_CHECKS: Final[Mapping[str, Callable[[str, object], Any]]] = {
    "host": _text,
    "port": _port,
    "provider_url": _address,
    "allow_plain_http": _flag,
    "token": _token,
    "read_only": _flag,
    "wait": _seconds,
    "max_wait": _seconds,
    "back_within": _above_zero,
    "renew_within": _above_zero,
    "idle": _above_zero,
    "drain": _seconds,
    "body_seconds": _above_zero,
}
"""By setting, what it must be."""
