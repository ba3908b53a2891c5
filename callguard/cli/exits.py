"""The exit codes of the commands."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["ExitCode"]


class ExitCode(IntEnum):
    """The exit codes of the commands.

    From 64 on they are those of ``sysexits.h``, written out because `os.EX_USAGE` and the others
    don't exist on Windows. From 128 on they are 128 plus the number of a signal, as in a shell.

    Attributes:
        OK: the command succeeded; for ``status``, a call fits.
        FAILED: the demo's dialer broke its promise, ``probe`` placed no call, or there is no such
            ledger or pause.
        WRONG_USE: the arguments or the environment can't be right (``EX_USAGE``).
        MALFORMED: the provider's answer is malformed (``EX_DATAERR``).
        UNREACHABLE: there was no answer, or the port can't be opened (``EX_UNAVAILABLE``).
        OUTPUT_FAILED: stdout can't be written, say because the disk is full (``EX_IOERR``).
        FULL: no call fits now; for ``drain``, calls are left; for ``probe``, the result isn't clear
            (``EX_TEMPFAIL``).
        KEY_REFUSED: the provider refused the key (``EX_NOPERM``).
        NOT_INSTALLED: an extra or a program is not installed (``EX_CONFIG``). Not 69, which a
            script may take for a reason to try again.
        INTERRUPTED: Ctrl-C ended the command.
        NO_READER: the reader of the output has left, as ``head`` does.
        TERMINATED: SIGTERM ended the command.
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
