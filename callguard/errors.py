"""Everything that callguard raises.

::

    CallGuardError
    ├── AdmissionError                 a call was not admitted
    │   ├── NoHeadroom                 not now, and the caller did not want to wait
    │   ├── QueueFull                  the lane's queue has reached its maximum length
    │   └── AdmissionTimeout           the allowed wait is over (also a TimeoutError)
    ├── LimitsError                    the workspace's limits could not be read
    │   ├── LimitsRejected             the provider refused the request, say for its key
    │   ├── LimitsUnavailable          no answer, or only transient faults
    │   └── LimitsMalformed            an answer that can't be right
    ├── LedgerUnavailable              the shared ledger can't be reached
    ├── GateClosed                     the gate is closed, or was closed while a caller waited
    │   └── GateDraining               the gate drains before it closes, and admits nobody any more
    └── UsageError                     callguard was used in a way that can't work
        └── MissingExtra               an extra is not installed

Every failure below (HTTP, retries, a ledger's server) is raised as one of these, so a caller only
has to write ``except callguard.CallGuardError``.
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
        decision: the denial, with every number that it was made from; its ``str`` is the reason.
        retry_after: seconds until the answer may differ: `Decision.lifts_in`, or, if that is
            unknown, until the next reading may begin; None if no reading is expected, or if a pause
            applies to the call.
    """

    def __init__(self, decision: Decision, retry_after: float | None = None) -> None:
        super().__init__(decision, retry_after)
        self.decision = decision
        self.retry_after = retry_after

    def __str__(self) -> str:
        return str(self.decision)


class NoHeadroom(AdmissionError):
    """There is no room now, the trunk isn't due, or there is a pause, and the caller won't wait."""


class QueueFull(AdmissionError):
    """The lane already has `Lane.max_waiting` callers in the queue."""


class AdmissionTimeout(AdmissionError, TimeoutError):
    """The caller waited as long as `timeout`, `not_after` or `Lane.max_wait` allowed.

    Attributes:
        not_after: the moment that ended the wait, or that had passed before it; None if something
            else ended it.
    """

    def __init__(
        self,
        decision: Decision,
        retry_after: float | None = None,
        not_after: datetime | None = None,
    ) -> None:
        super().__init__(decision, retry_after)
        self.args = (decision, retry_after, not_after)  # the arguments for copies
        self.not_after = not_after

    def at(self, moment: datetime) -> AdmissionTimeout:
        """The same error, but with `moment` as the end of the wait, so a retry can't help."""
        return AdmissionTimeout(self.decision, None, moment)

    def __str__(self) -> str:
        if self.not_after is None:
            return f"timed out in the queue; {self.decision}"
        why = "" if self.decision.admitted else f"; {self.decision}"
        return f"too late: not to be admitted after {self.not_after.isoformat()}{why}"


class LimitsError(CallGuardError):
    """The workspace's limits could not be read."""


class LimitsRejected(LimitsError):
    """The provider refused the request, and would again, say for a wrong key or address.

    Attributes:
        status: the HTTP status of the refusal.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message, status)
        self.status = status

    @property
    def of_the_key(self) -> bool:
        """Whether the provider refused the key; another refusal may come from a firewall."""
        return self.status == _KEY_REFUSED

    def __str__(self) -> str:
        return str(self.args[0])


class LimitsUnavailable(LimitsError):
    """The limits are unknown for now: no answer, transient faults, or no snapshot young enough.

    Attributes:
        retry_after: seconds that the provider asked to wait; None if it did not.
        status: the HTTP status of the provider's answer; None if there was none.
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
    """The provider's answer does not follow its specification."""


class LedgerUnavailable(CallGuardError):
    """The shared ledger can't be reached: nothing is admitted, and permits keep their slots."""


class GateClosed(CallGuardError):
    """The block of `open_gate` was left: the gate admits nobody any more, and nobody waits."""


class GateDraining(GateClosed):
    """`Gate.drain` was called: the gate admits nobody any more, and nobody waits."""


class UsageError(CallGuardError):
    """callguard was used in a way that can't work: another event loop, an unknown lane, no key.

    The attributes are the parts of the message. They are for programs, such as a command line, that
    have other names for callguard's arguments.

    Attributes:
        problem: what is wrong with the subject.
        subject: the beginning of the message, such as an argument's name; empty if the problem is a
            complete sentence.
        missing: the argument that would help; None if none would.
        remedy: what to do in Python, such as to pass that argument; empty if none is missing.
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
    """A feature needs a package that is not installed, or is too old.

    Attributes:
        extra: the extra of callguard that installs the package, such as ``"redis"``.
        install: the command that installs it.
    """

    def __init__(self, problem: str, extra: str, install: str) -> None:
        super().__init__(f"{problem}: {install}")
        self.args = (problem, extra, install)  # the arguments for copies
        self.extra = extra
        self.install = install

    def __str__(self) -> str:
        return self.problem
