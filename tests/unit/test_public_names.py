"""What callguard promises to have."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import callguard


def test_the_public_names_are_these() -> None:
    """A name would be taken away, or given, by accident."""
    assert set(callguard.__all__) == {
        "AdmissionError", "AdmissionTimeout", "CallGuardError", "Decision", "Eta",
        "FixedLimit", "Gate",
        "GateClosed", "GateDraining",
        "GateStatistics", "Lane", "LedgerUnavailable", "LimitFetcher", "LimitSource",
        "Limits", "LimitsError",
        "LimitsMalformed", "LimitsRejected", "LimitsUnavailable", "Listener", "MissingExtra",
        "NoHeadroom",
        "Outage", "Pause",
        "Permit", "QueueFull", "RedisLedger", "Snapshot", "Trunk", "Usage", "UsageError",
        "connect",
        "open_gate",
    }  # fmt: skip
    assert all(hasattr(callguard, name) for name in callguard.__all__)


def test_the_arguments_of_open_gate_are_these() -> None:
    """Somebody's program would break on an argument that was renamed."""
    parameters = inspect.signature(callguard.open_gate).parameters
    assert list(parameters) == [
        "api_key", "base_url", "session", "source", "lanes", "cps", "trunks", "ttl",
            "max_age", "counts_ringing",
        "ring_limit", "counter_lag", "min_interval", "reserved_inbound", "ends_free_at_once",
            "refused", "listener", "track", "ledger", "allow_plain_http",
    ]  # fmt: skip
    named = [each for name, each in parameters.items() if name != "api_key"]
    assert all(each.kind is inspect.Parameter.KEYWORD_ONLY for each in named)


def test_every_error_is_in_the_tree_that_its_module_draws() -> None:
    """A user who catches the root would miss an error, or look for it in vain in the tree."""
    errors = [
        value
        for value in vars(callguard.errors).values()
        if isinstance(value, type) and issubclass(value, Exception)
    ]
    assert all(issubclass(error, callguard.CallGuardError) for error in errors)
    drawn = callguard.errors.__doc__ or ""
    assert all(error.__name__ in drawn for error in errors)
    assert {error.__name__ for error in errors} == set(callguard.errors.__all__)


@pytest.mark.parametrize("name", ["events", "metrics", "sync", "webhooks"])
def test_a_room_is_found_by_its_name(name: str) -> None:
    """README's `callguard.sync.open_gate()` would fail after `import callguard` alone."""
    script = f"import callguard; print(callguard.{name}.__name__)"
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == f"callguard.{name}"


def test_importing_callguard_brings_only_what_a_gate_needs() -> None:
    """A user with one process would pay for commands, the simulator, webhooks, events or Redis."""
    unneeded = (
        "typer rich redis decimal fractions callguard.events callguard.simulator callguard.cli "
        "callguard.webhooks callguard.ledger.redis.ledger callguard.gate.sharing "
        "callguard.gate.statistics callguard.metrics prometheus_client opentelemetry tenacity"
    )
    script = f"import sys, callguard; print(*[m for m in {unneeded.split()} if m in sys.modules])"
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == ""
