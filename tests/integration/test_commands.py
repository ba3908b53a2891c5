"""The commands over real sockets, in this process: exit codes and output."""

from __future__ import annotations

import json
from typing import Any

import pytest

from callguard.cli.exits import ExitCode
from callguard.simulator import Faults
from tests.integration.support import LONGEST, Command, served

KEY = "key_of_this_test"


def test_status_as_json(command: Command) -> None:
    """A script could not read what `callguard status --json` says."""
    with served(api_key=KEY, limit=7, burst_limit=21) as server:
        ended = command("status", "--json", RETELL_API_KEY=KEY, RETELL_BASE_URL=server.url)
    assert (ended.code, ended.err) == (ExitCode.OK, "")
    fields = json.loads(ended.out)
    assert (fields["fits"], fields["headroom"], fields["headroom_with_burst"]) == (True, 7, 21)
    assert (fields["base_concurrency"], fields["concurrency_limit"]) == (7, 7)


@pytest.mark.parametrize("arguments", [(), ("--json",)])
@pytest.mark.parametrize(
    ("workspace", "code", "name"),
    [
        ({"limit": 0, "burst_limit": 5}, ExitCode.FULL, None),
        (
            {"faults": Faults(rate=1.0, kinds=("wrong-types",))},
            ExitCode.MALFORMED,
            "LimitsMalformed",
        ),
        ({"faults": Faults(rate=1.0, kinds=("500",))}, ExitCode.UNREACHABLE, "LimitsUnavailable"),
    ],
)
def test_status_exit_codes(
    command: Command,
    arguments: tuple[str, ...],
    workspace: dict[str, Any],
    code: ExitCode,
    name: str | None,
) -> None:
    """A script could not tell a full workspace from one that can't be asked."""
    patience = "1" if code == ExitCode.UNREACHABLE else f"{LONGEST:g}"
    with served(api_key=KEY, **workspace) as server:
        ended = command(
            "status",
            "--timeout",
            patience,
            *arguments,
            RETELL_API_KEY=KEY,
            RETELL_BASE_URL=server.url,
        )
    assert ended.code == code
    assert ended.err.count("\n") == (name is not None)
    assert KEY not in ended.out + ended.err
    if arguments:
        assert json.loads(ended.out).get("error") == name


@pytest.mark.parametrize(
    ("variables", "arguments", "code"),
    [
        ({"RETELL_API_KEY": "key_secret"}, (), ExitCode.KEY_REFUSED),
        ({"RETELL_API_KEY": None}, (), ExitCode.WRONG_USE),
        ({"RETELL_API_KEY": "key secret"}, (), ExitCode.WRONG_USE),
        ({}, ("--base-url", "http://example.invalid"), ExitCode.WRONG_USE),
        ({}, ("--base-url", "URL/elsewhere"), ExitCode.WRONG_USE),
        ({}, ("--timeout", "0"), ExitCode.WRONG_USE),
        ({}, ("--no-such-option",), ExitCode.WRONG_USE),
    ],
)
def test_status_of_a_wrong_use(
    command: Command,
    variables: dict[str, str | None],
    arguments: tuple[str, ...],
    code: ExitCode,
) -> None:
    """A wrong key or address would look like an outage, or the key be shown to whoever looks on."""
    with served(api_key=KEY) as server:
        given = [argument.replace("URL", server.url) for argument in arguments]
        defaults: dict[str, str | None] = {"RETELL_API_KEY": KEY, "RETELL_BASE_URL": server.url}
        ended = command("status", *given, **(defaults | variables))
    assert (ended.code, ended.out) == (code, "")
    assert "Traceback" not in ended.err
    for key in (KEY, "key_secret", "key secret"):
        assert key not in ended.err


def test_status_of_nobody(command: Command, nowhere: str) -> None:
    """A provider that can't be reached would look like one that refuses."""
    ended = command("status", "--timeout", "0.5", RETELL_API_KEY=KEY, RETELL_BASE_URL=nowhere)
    assert (ended.code, ended.out) == (ExitCode.UNREACHABLE, "")
    assert ended.err.count("\n") == 1
    assert KEY not in ended.err


def test_demo(command: Command) -> None:
    """The product's own demonstration would fail, or not be readable by a script."""
    ended = command("demo", "--json", "--leads", "20", "--seed", "3")
    fields = json.loads(ended.out)
    assert (ended.code, ended.err) == (ExitCode.OK, "")
    assert (fields["kept"], fields["dialer"], fields["seed"]) == (True, "gate", 3)
    assert (fields["dialled_once"], fields["placed"], fields["refused"]) == (20, 20, 0)
    assert (fields["lost"], fields["surcharge"]) == (0, 0.0)
    assert 0 < fields["peak"] <= fields["limit"] == 20
    without = fields["without"]
    assert (without["kept"], without["dialer"], without["leads"]) == (False, "loop", 20)
    assert without["placed"] + without["lost"] == 20
    assert without["refused"] > without["lost"] > 0
    assert command("demo", "--json", "--leads", "20", "--seed", "3").out == ended.out


def test_demo_in_a_log(command: Command) -> None:
    """Where there is no terminal, the demo would write control sequences, or nothing."""
    ended = command("demo", "--leads", "5", FORCE_COLOR=None)
    assert (ended.code, ended.err) == (ExitCode.OK, "")
    assert "through callguard:" in ended.out
    assert "5 of 5" in ended.out
    assert "read the count, dial what fits:" in ended.out
    assert "Nothing refused" in ended.out
    assert "\x1b" not in ended.out


def test_demo_without_a_gate(command: Command) -> None:
    """The demo would not show what the gate is for."""
    ended = command("demo", "--without", "--json", "--leads", "40")
    fields = json.loads(ended.out)
    assert ended.code == ExitCode.FAILED
    assert (fields["kept"], fields["dialer"]) == (False, "loop")
    assert fields["lost"] > 0
    assert "without" not in fields


def test_simulator_on_a_taken_port(command: Command) -> None:
    """Starting the simulator twice would end in a traceback."""
    with served() as server:
        port = server.url.rpartition(":")[2]
        ended = command("simulator", "--port", port)
    assert (ended.code, ended.out) == (ExitCode.UNREACHABLE, "")
    assert ended.err.startswith(f"can't listen on port {port}: ")
    assert ended.err.count("\n") == 1
