"""What a command says when it can't do what was asked: its own options, and no Python."""

from __future__ import annotations

import re

import pytest

from callguard.cli import main
from callguard.cli.exits import ExitCode
from callguard.cli.failures import report
from callguard.errors import LimitsRejected, UsageError

PYTHON = re.compile(
    r"\b(?!RETELL_|CALLGUARD_)\w+=[^/\s]|\b[a-z]+_[a-z_]+\b|\b(?!PHONE)\w+\(|\b(?:None|True|False)\b"
    r"|[a-z]Error\b|Ledger\b|Traceback"
)
"""An argument, a call, a name of Python's: nothing of what a command line has."""

ADDRESS = re.compile(
    r"\w+://\S*|the options are [a-z_, ]+|an option \w+|address has the option \w+"
)
"""Addresses, and the options that they have after the question mark, such as client_name."""

TO, FROM = ("--to", "+14155550101"), ("--from", "+14155550100")


def bad(command: str, *options: str, **variables: str) -> object:
    return pytest.param(
        command, options, variables, id=f"{command} {' '.join(options)} {variables}"
    )


LEDGERS = [
    "http://h", "redis://h?timeout=5", "redis://h?lease=5", "redis://h?name=x", "redis://h?zz=1",
    "redis://h?client_name=a%20b", "redis://h:99999", "redis://h/x", "unix://", "redis://h#x",
    "redis://h h", "rediss://h?ssl_cert_reqs=perhaps", "redis://h?ssl_ca_certs=x", "redis://[", "redis://:swordfish@h?zz=1",
    "redis://h?db=1&db=2", "redis://h/1?db=1", "redis-sentinel://h",
]  # fmt: skip

ADDRESSES = [
    "http://example.com", "ftp://h", "https://", "https://me:swordfish@h", "https://h?x", "https://h#x",
    "https://h h", "https://h:x", "", "\udcff",
]  # fmt: skip


@pytest.mark.parametrize(
    ("command", "options", "variables"),
    [
        *[bad(command, "--ledger", url) for command in ("ps", "status", "demo") for url in LEDGERS],
        *[bad("status", CALLGUARD_LEDGER=url) for url in LEDGERS[:3]],
        *[bad("status", "--base-url", url) for url in ADDRESSES],
        *[bad("status", RETELL_BASE_URL=url) for url in ADDRESSES[:-2]],
        *[bad("probe", *TO, *FROM, "--yes", "--base-url", url) for url in ADDRESSES],
        *[bad(command, RETELL_API_KEY=key) for command in ("ps", "status") for key in ("", "a b")],
        bad("probe", *TO, *FROM, "--yes", RETELL_API_KEY=""),
        bad("ps", "--ledger", "redis://h", "--name", ""),
        bad("status", "--ledger", "redis://h", "--name", "\udcff"),
        bad("ps"),
        *[bad(command) for command in ("pause", "resume", "drain")],
        *[bad(command, "--ledger", "redis://h", "--lane", "") for command in ("pause", "resume")],
        bad("pause", "--ledger", "redis://h", "--reason", "\udcff"),
        bad("resume", "--ledger", "redis://h", RETELL_API_KEY=""),
        *[bad("status", "--timeout", time) for time in ("nan", "inf", "0", "-1", "soon")],
        *[
            bad("probe", *TO, *FROM, "--yes", option, "nan")
            for option in ("--interval", "--longest", "--longest-lag")
        ],
        bad("probe", *TO, "--from", "me", "--yes"),
        bad("probe", *FROM, "--to", "", "--yes"),
        bad("probe", *FROM, *TO),
        *[
            bad("simulator", option, value)
            for option in (
                "--limit", "--burst-limit", "--reserved-inbound", "--answer-rate", "--ring-limit",
                "--rise-lag", "--fall-lag", "--inbound-rate", "--talk-time", "--ring-time",
                "--unanswered-ring", "--inbound-talk-time", "--latency", "--fault-rate",
                "--dial-fault-rate",
            )
            for value in ("-1", "nan", "uniform:5:1")
        ],
        bad("simulator", "--webhook-url", "ftp://h", "--port", "0"),
        bad("simulator", "--fault", "500"),
        bad("simulator", "--dial-fault", "broken-json", "--dial-fault-rate", "1"),
        bad("simulator", "--fault-at", "5:500"),
        bad("simulator", "--fault-at", "5:1:500"),
        bad("simulator", "--fault-at", "1:5:nonsense"),
    ],
)  # fmt: skip
def test_a_wrong_use_is_told_in_options_and_not_in_python(
    command: str,
    options: tuple[str, ...],
    variables: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whoever never wrote Python would be advised to pass an argument that no command has."""
    for name in ("RETELL_BASE_URL", "CALLGUARD_LEDGER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"RETELL_API_KEY": "key_secret", **variables}.items():
        monkeypatch.setenv(name, value)
    code = main([command, *options])
    captured = capsys.readouterr()
    assert code == ExitCode.WRONG_USE, captured
    assert captured.out == ""
    said = ADDRESS.sub("", captured.err)
    assert not PYTHON.search(said), captured.err
    assert "swordfish" not in captured.err
    if command == "simulator":
        assert re.sub("-(rate|at)$", "", options[0]) in said


def test_an_error_ends_in_one_stop_only(capsys: pytest.CaptureFixture[str]) -> None:
    """An error would read "Invalid API Key.; check RETELL_API_KEY"."""
    error = LimitsRejected("the provider answered HTTP 401: Invalid API Key.", 401)
    code = report(error, ExitCode.KEY_REFUSED, "check RETELL_API_KEY", as_json=False)
    assert code == ExitCode.KEY_REFUSED
    expected = "the provider answered HTTP 401: Invalid API Key; check RETELL_API_KEY\n"
    assert capsys.readouterr().err == expected


def test_advice_after_a_question_is_a_sentence_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An error would read "did you mean ttl?; see"."""
    error = UsageError("tll is no setting; did you mean ttl?")
    report(error, ExitCode.WRONG_USE, "see `callguard serve --help`", as_json=False)
    expected = "tll is no setting; did you mean ttl? See `callguard serve --help`\n"
    assert capsys.readouterr().err == expected


def test_whoever_has_a_sentinel_or_a_cluster_is_told_which_address_to_give(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence about the address would not say what to write."""
    monkeypatch.setenv("RETELL_API_KEY", "key_secret")
    assert main(["ps", "--ledger", "foo"]) == ExitCode.WRONG_USE
    assert (
        "unix://, such as redis://localhost:6379/0: for a Sentinel or a cluster, give the address "
        "of the server itself; see `callguard ps --help`"
    ) in " ".join(capsys.readouterr().err.split())
