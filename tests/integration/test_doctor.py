"""The command `callguard doctor` against real servers."""

from __future__ import annotations

import json
from typing import Any

from callguard.cli.exits import ExitCode
from callguard.simulator import Faults
from tests.integration.support import Command, served

KEY = "key_of_the_doctor"


def findings(out: str) -> dict[str, list[str]]:
    """What was found by check: each as "severity: what"."""
    found: dict[str, list[str]] = {}
    for each in json.loads(out)["findings"]:
        found.setdefault(each["check"], []).append(f"{each['severity']}: {each['what']}")
    return found


def examined(command: Command, *arguments: str, **workspace: Any) -> tuple[int, dict[str, Any]]:
    """The exit code and the findings of a simulated workspace."""
    with served(api_key=KEY, **workspace) as server:
        ended = command(
            "doctor", "--json", *arguments, RETELL_API_KEY=KEY, RETELL_BASE_URL=server.url
        )
    assert KEY not in ended.out + ended.err
    return ended.code, findings(ended.out)


def test_a_workspace_in_which_nothing_is_wrong(command: Command) -> None:
    """Whoever does everything right would not be told so."""
    code, found = examined(command, limit=20)
    assert code == ExitCode.OK
    assert found["key"] == ["ok: the provider accepts the key"]
    assert found["clock"][0].startswith("ok: ")
    assert found["lanes"] == ["ok: with the workspace empty, calls fit on 'default' up to 20"]


def test_a_workspace_in_which_much_is_wrong(command: Command) -> None:
    """A finding would be right in words, and be found in no workspace."""
    arguments = ("--lane", "urgent:burst=5", "--lane", "bulk:reserve=30", "--cps", "200")
    code, found = examined(command, *arguments, limit=20, reserved_inbound=2, clock_offset=-400.0)
    assert code == ExitCode.FAILED
    assert found["clock"][0].startswith("error: this machine's clock is ")
    assert found["lanes"][0].startswith("error: lane 'bulk' leaves 30 slots free")
    assert found["burst"][0].startswith("warning: lanes that may burst ('urgent')")
    assert found["trunks"][0].startswith("warning: the default trunk starts 200 calls a second")


def test_a_provider_with_faults(command: Command) -> None:
    """A provider that gives no answer would be taken for one without limits."""
    code, found = examined(command, faults=Faults(rate=1.0, kinds=("500",)))
    assert code == ExitCode.FAILED
    assert found["answers"][0].startswith("error: none of 3 readings succeeded")
    assert found["key"][0].startswith("unknown: ")
    assert "room" not in found
    code, found = examined(command, faults=Faults(rate=1.0, kinds=("broken-json",)))
    assert found["address"][0].startswith("error: ")
    assert "malformed" in found["address"][0]


def test_a_key_that_is_refused(command: Command) -> None:
    """A wrong key would be found by the first call of the campaign."""
    with served(api_key=KEY) as server:
        ended = command("doctor", "--json", RETELL_API_KEY="key_wrong", RETELL_BASE_URL=server.url)
    assert ended.code == ExitCode.FAILED
    assert findings(ended.out)["key"][0].startswith("error: the provider doesn't know the key")
    assert "key_wrong" not in ended.out + ended.err
