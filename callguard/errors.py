"""Everything that callguard raises.

::

    CallGuardError
    ├── AdmissionError                 a call was not admitted
    │   ├── NoHeadroom                 not now, and the caller did not want to wait
    │   ├── QueueFull                  the lane's queue is as long as it may be
    │   └── AdmissionTimeout           waited as long as allowed (a TimeoutError too)
    ├── LimitsError                    the workspace's limits could not be read
    │   ├── LimitsRejected             the provider refused the request, say for its key
    │   ├── LimitsUnavailable          no answer, or only transient faults
    │   └── LimitsMalformed            an answer that can't be right
    ├── LedgerUnavailable              the shared ledger can't be reached
    ├── GateClosed                     the gate is closed, or was while a caller waited
    │   └── GateDraining               it is about to be: it drains, and admits nobody any more
    └── UsageError                     callguard was used in a way that can't work
        └── MissingExtra               an extra is not installed

Whatever goes wrong below (HTTP, retries, a ledger's server) arrives as one of these, so
``except callguard.CallGuardError`` is all that a caller has to write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from callguard.decision import Decision

__all__ = [
    "AdmissionError",
    "AdmissionTimeout",
    "CallGuardError",
    "GateClosed",
    "GateDraining",
    "LedgerUnavailable",
    "LimitsError",
    "LimitsMalformed",
    "LimitsRejected",
    "LimitsUnavailable",
    "MissingExtra",
    "NoHeadroom",
    "QueueFull",
    "UsageError",
]


_KEY_REFUSED: Final = 401
"""The status for a wrong key, by docs.retellai.com/api-references/get-concurrency (2026-11-22)."""


class CallGuardError(Exception):
    """The root of the tree."""


class AdmissionError(CallGuardError):
    """A call was not admitted.

    Attributes:
        decision: every number that the denial was made from; its ``str`` is the reason.
        retry_after: seconds until the answer can differ: `Decision.lifts_in`, or where that isn't
            known, until the next reading may begin; None where no reading is expected, or it is
            paused.
    """

    def __init__(self, decision: Decision, retry_after: float | None = None) -> None:
        super().__init__(decision, retry_after)
        self.decision = decision
        self.retry_after = retry_after

    def __str__(self) -> str:
        return str(self.decision)


class NoHeadroom(AdmissionError):
    """No room now, the trunk is not due, or a pause; and the caller did not want to wait."""


class QueueFull(AdmissionError):
    """The lane has `Lane.max_waiting` callers in the queue already."""


class AdmissionTimeout(AdmissionError, TimeoutError):
    """Waited in the queue as long as `timeout`, `not_after` or `Lane.max_wait` allowed.

    Attributes:
        not_after: the moment that ended the wait, or had passed before it; None for any other end.
    """

    def __init__(
        self,
        decision: Decision,
        retry_after: float | None = None,
        not_after: datetime | None = None,
    ) -> None:
        super().__init__(decision, retry_after)
        self.args = (decision, retry_after, not_after)  # what a copy is made from
        self.not_after = not_after

    def at(self, moment: datetime) -> AdmissionTimeout:
        """The same error, where it was `moment` that ended the wait: it can't help to try again."""
        return AdmissionTimeout(self.decision, None, moment)

    def __str__(self) -> str:
        if self.not_after is None:
            return f"timed out in the queue; {self.decision}"
        why = "" if self.decision.admitted else f"; {self.decision}"
        return f"too late: not to be admitted after {self.not_after.isoformat()}{why}"


class LimitsError(CallGuardError):
    """The workspace's limits could not be read."""


class LimitsRejected(LimitsError):
    """The provider refused the request, and would again: a wrong key, a wrong address.

    Attributes:
        status: the HTTP status of the refusal.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message, status)
        self.status = status

    @property
    def of_the_key(self) -> bool:
        """Whether the provider refused the key; any other refusal may be a firewall's."""
        return self.status == _KEY_REFUSED

    def __str__(self) -> str:
        return str(self.args[0])


class LimitsUnavailable(LimitsError):
    """The limits can't be known now: no answer, transient faults, or no snapshot young enough.

    Attributes:
        retry_after: seconds that the provider asked to wait, or None where it did not say.
        status: the HTTP status of the provider's answer; None where it gave none.
    """

    def __init__(
        self, message: str, retry_after: float | None = None, status: int | None = None
    ) -> None:
        super().__init__(message, retry_after, status)
        self.retry_after = retry_after
        self.status = status

    def __str__(self) -> str:
        return str(self.args[0])


class LimitsMalformed(LimitsError):
    """The provider's answer is not what its specification promises."""


class LedgerUnavailable(CallGuardError):
    """The shared ledger can't be reached: nothing is admitted, and each permit stands."""


class GateClosed(CallGuardError):
    """The block of `open_gate` was left: nobody is admitted any more, and nobody waits."""


class GateDraining(GateClosed):
    """`Gate.drain` was called: nobody is admitted any more, and nobody waits."""


class UsageError(CallGuardError):
    """callguard was used in a way that can't work: another event loop, an unknown lane, no key.

    The parts of the message are for programs that take callguard's arguments from elsewhere and
    have other names for them, as a command line has.

    Attributes:
        problem: what is wrong with the subject.
        subject: what the message begins with, such as an argument's name; empty where the problem
            is a sentence of its own.
        missing: the argument that would help; None where none would.
        remedy: what to do, such as to pass it, in Python; empty where none is missing.
    """

    def __init__(
        self, problem: str, *, subject: str = "", missing: str | None = None, remedy: str = ""
    ) -> None:
        sentence = f"{subject} {problem}" if subject else problem
        super().__init__(f"{sentence}: {remedy}" if remedy else sentence)
        self.problem = problem
        self.subject = subject
        self.missing = missing
        self.remedy = remedy


class MissingExtra(UsageError):
    """Something was used that needs a package which is not installed, or is too old.

    Attributes:
        extra: the extra of callguard that brings the package, such as ``"redis"``.
        install: the command that installs it.
    """

    def __init__(self, problem: str, extra: str, install: str) -> None:
        super().__init__(f"{problem}: {install}")
        self.args = (problem, extra, install)  # what a copy is made from
        self.extra = extra
        self.install = install

    def __str__(self) -> str:
        return self.problem
