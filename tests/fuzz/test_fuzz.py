"""What comes from outside raises callguard's own errors, and nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.ledgers import GOOD
from tests.fuzz.targets import TARGETS

pytestmark = pytest.mark.slow

NAMES = st.sampled_from(
    [
        "current_concurrency", "concurrency_limit", "reserved_inbound_concurrency",
        "concurrency_burst_enabled", "concurrency_burst_limit", "base_concurrency",
        "event", "call", "call_id", "call_status", "disconnection_reason",
    ]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=11).map(json.dumps).map(str.encode)
PIECES = st.lists(
    st.binary(max_size=40) | DOCUMENTS | st.sampled_from([b"\n", b"\0", b"--", b"9" * 400]),
    max_size=6,
).map(b"".join)
TYPED = st.lists(
    st.sampled_from(
        ["--json", "--limit", "--ring", "--talk", "--seed", "--yes", "--from", "--to", "--ledger",
         "--workers", "--timeout", "nan", "inf", "-1", "1e999", "0", "+1", "", "ü", "redis://:pw@x"]
    )
    | st.text(max_size=12),
    max_size=7,
).map(lambda words: "\0".join(words).encode())  # fmt: skip


ODD_PARTS = st.dictionaries(
    st.sampled_from(
        [*GOOD, "grants", "right_to_read", "snapshot", "again", "void", "stepped", "failed"]
    ),
    VALUES
    | st.just({"began": 5, "received": 6, "limits": "{}", "reader": "one"})
    | st.sampled_from([[[0, 1]], [[0]], {"token": 1}, 10**400, -1, "0", [0, -1], [None, 0]]),
    max_size=3,
)
EXCHANGES = st.builds(
    lambda odd, gone: json.dumps({k: v for k, v in (GOOD | odd).items() if k not in gone}).encode(),
    ODD_PARTS,
    st.sets(st.sampled_from(list(GOOD)), max_size=2),
)

OF_A_GATE = ("answers_to_a_gate", "arguments_of_a_gate")


@pytest.mark.parametrize(
    "name",
    [name for name in TARGETS if name not in ("arguments", "answers_of_a_ledger", *OF_A_GATE)],
)
def test_nothing_but_our_own_errors_comes_out(name: str) -> None:
    """An answer, a delivery or a header of somebody else's would break the caller's program."""
    given(PIECES | DOCUMENTS)(settings(max_examples=120)(TARGETS[name]))()


@pytest.mark.parametrize("name", OF_A_GATE)
def test_no_gate_is_stopped_by_what_is_odd(name: str) -> None:
    """An answer or an argument that nobody has thought of would leave callers waiting."""
    given(PIECES | st.binary(max_size=60))(settings(max_examples=120)(TARGETS[name]))()


@given(st.lists(EXCHANGES | PIECES, max_size=3).map(b"\0".join))
@settings(max_examples=300)
def test_no_answer_of_a_ledgers_server_is_half_believed(answers: bytes) -> None:
    """What a worker holds would be forgotten by an answer that it can't make sense of."""
    TARGETS["answers_of_a_ledger"](answers)


@given(TYPED)
@settings(max_examples=60)
def test_whatever_is_typed_is_answered(typed: bytes) -> None:
    """A slip on the command line would show a traceback."""
    TARGETS["arguments"](typed)
