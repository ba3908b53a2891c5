"""The servers that tests and the demo start: real processes, really ended."""

from __future__ import annotations

import gc
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from callguard.testing import RedisServer, RedisServerFailed, find_server, redis_server

_PARENT = """
from callguard.testing import RedisServer
server = RedisServer()
server.start()
print(server.url, flush=True)
input()
"""


@pytest.fixture
def client(own_redis: RedisServer) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(own_redis.url, retry=None) as client:
        yield client


def test_a_server_starts_and_keeps_nothing(client: redis.Redis) -> None:
    """The server would not take commands, or would write to the disk."""
    assert client.ping()
    assert client.config_get("save") == {"save": ""}
    assert client.config_get("appendonly") == {"appendonly": "no"}


def test_a_restart_loses_everything(own_redis: RedisServer, client: redis.Redis) -> None:
    """A test of data loss would find its data, or the server elsewhere."""
    client.set("key", "value")
    before = (own_redis.url, own_redis.pid)
    own_redis.restart()
    client.connection_pool.disconnect()
    assert client.get("key") is None
    assert own_redis.url == before[0]
    assert own_redis.pid != before[1]


def test_a_killed_server_comes_back(own_redis: RedisServer, client: redis.Redis) -> None:
    """A server that was killed would still answer, or could not be started again."""
    own_redis.kill()
    with pytest.raises(redis.ConnectionError):
        client.ping()
    own_redis.start()
    assert client.ping()


def test_a_paused_server_is_silent(own_redis: RedisServer, client: redis.Redis) -> None:
    """A pause would not be one, or could not be ended."""
    own_redis.pause()
    with redis.Redis.from_url(own_redis.url, socket_timeout=0.1, retry=None) as impatient:
        with pytest.raises(redis.TimeoutError):
            impatient.ping()
    own_redis.resume()
    assert client.ping()


def test_a_paused_server_can_be_stopped(own_redis: RedisServer) -> None:
    """A test that fails while its server is paused would wait for it in vain."""
    own_redis.pause()
    own_redis.stop()
    own_redis.stop()
    with pytest.raises(RuntimeError, match="is not running"):
        own_redis.pause()


def test_a_server_takes_more_arguments(redis_program: Path) -> None:
    """A server could not be configured as a test needs it."""
    with RedisServer("--maxmemory", "10mb") as server, redis.Redis.from_url(server.url) as client:
        assert client.config_get("maxmemory") == {"maxmemory": str(10 * 1024 * 1024)}


@pytest.fixture
def try_first(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Has the next server try a port before it tries any other."""

    def try_first(port: int) -> None:
        any_port = redis_server._any_port
        ports = iter([port])
        monkeypatch.setattr(redis_server, "_any_port", lambda: next(ports, None) or any_port())

    return try_first


def test_a_port_that_was_taken_meanwhile(
    redis_program: Path, try_first: Callable[[int], None]
) -> None:
    """A server would fail to start, or pass off another one as itself, on a port in use."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        try_first(port)
        with RedisServer() as server, redis.Redis.from_url(server.url) as client:
            assert server.port != port
            assert client.info("server")["process_id"] == server.pid


def test_no_other_server_takes_the_port_of_one_that_is_down(
    own_redis: RedisServer, try_first: Callable[[int], None]
) -> None:
    """A server could not be started again, because another test's had come by its port."""
    own_redis.kill()
    try_first(own_redis.port)
    with RedisServer() as other:
        assert other.port != own_redis.port
        own_redis.start()


def test_the_port_of_a_server_that_nobody_has_any_more_is_free(
    redis_program: Path, try_first: Callable[[int], None]
) -> None:
    """A long run of tests would run out of ports, or of open files."""
    with RedisServer() as server:
        port = server.port
    del server
    gc.collect()
    try_first(port)
    with RedisServer() as other:
        assert other.port == port


def test_a_start_that_fails_says_why(redis_program: Path) -> None:
    """Whoever configures a server wrongly would not learn what it said, or wait for long."""
    with pytest.raises(RedisServerFailed, match=r"ended with code 1, and said: (?s:.*)no-such"):
        RedisServer("--no-such-option", "1").start()


def test_a_program_that_is_none(tmp_path: Path) -> None:
    """A program that can't be run would end in an error that names no server."""
    with pytest.raises(RedisServerFailed, match=r"nothing can't be run"):
        RedisServer(program=tmp_path / "nothing").start()


def test_no_server_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Tests would fail instead of being skipped on a machine without a server."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(redis_server, "find_spec", lambda _: None)
    assert find_server() is None
    with pytest.raises(RedisServerFailed, match="no redis-server or valkey-server"):
        RedisServer().start()


def test_the_server_on_the_path_is_taken_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Someone's own server, or Valkey, would not be tested against."""
    program = tmp_path / "valkey-server"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server() == program


def test_a_server_ends_with_a_killed_parent(redis_program: Path) -> None:
    """Every test run that is killed would leave a server behind."""
    command = [sys.executable, "-c", _PARENT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().decode().strip()
        try:
            with redis.Redis.from_url(url) as client:
                assert client.ping()
        finally:
            parent.kill()
    _wait_until_away(url)


def _wait_until_away(url: str) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            with redis.Redis.from_url(url, retry=None) as client:
                client.ping()
        except redis.ConnectionError:
            return
        time.sleep(0.01)
    pytest.fail("the server is still there")
