"""How a command ends: its exit code."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["ExitCode"]


class ExitCode(IntEnum):
    """What the commands exit with.

    From 64 on the codes are those of ``sysexits.h``, written out because `os.EX_USAGE` and its
    like don't exist on Windows; from 128 on they are 128 and the number of the signal, as a shell
    has it.

    Attributes:
        OK: done; for ``status``, a call fits.
        FAILED: the demo's dialer did not keep its promise.
        WRONG_USE: arguments or an environment that can't work (``EX_USAGE``).
        MALFORMED: the provider's answer can't be right (``EX_DATAERR``).
        UNREACHABLE: no answer, or a port that can't be had (``EX_UNAVAILABLE``).
        OUTPUT_FAILED: stdout can't be written, on a full disk for one (``EX_IOERR``).
        FULL: no call fits now (``EX_TEMPFAIL``).
        KEY_REFUSED: the provider refused the key (``EX_NOPERM``).
        NOT_INSTALLED: an extra is missing, or a program (``EX_CONFIG``). Not 69, which a script
            may take for a reason to try again.
        INTERRUPTED: Ctrl-C.
        NO_READER: whoever read the output has gone, as ``head`` does.
        TERMINATED: SIGTERM.
    """

    OK = 0
    FAILED = 1
    WRONG_USE = 64
    MALFORMED = 65
    UNREACHABLE = 69
    OUTPUT_FAILED = 74
    FULL = 75
    KEY_REFUSED = 77
    NOT_INSTALLED = 78
    INTERRUPTED = 130
    NO_READER = 141
    TERMINATED = 143
