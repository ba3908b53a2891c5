"""What a ledger's address may say, and what it is told about the rest."""

from __future__ import annotations

import asyncio

import pytest

import callguard
from callguard import RedisLedger, UsageError
from callguard.cli import main
from callguard.cli.exits import ExitCode
from callguard.ledger.redis.address import checked_address

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("address", "said", "advice"),
    [
        ("redis://h?timeout=5", "timeout", "RedisLedger.from_url(address, timeout=...)"),
        ("redis://h?socket_timeout=5", "socket_timeout", "from_url(address, timeout=...)"),
        ("redis://h?socket_connect_timeout=5", "socket_connect_timeout", "timeout=..."),
        ("redis://h?lease=5", "lease", "RedisLedger.from_url(address, lease=...)"),
        ("redis://h?name=mine", "name", "RedisLedger.from_url(address, name=...)"),
        ("redis://h?max_connections=1", "max_connections", "RedisLedger(client)"),
        ("redis://h?decode_responses=True", "decode_responses", "the options are db, "),
        ("redis://h?family=6", "family", "leave it out"),
        ("redis://h?DB=1", "DB", "the options are db, "),
        ("redis://h?=1", "'?'", "%3F"),
        (f"redis://:12?{SECRET}@h", "'?'", "%3F"),
        ("redis://h?ssl_cert_reqs=none", "ssl_cert_reqs", "rediss://"),
        ("rediss://h?ssl_cert_reqs=CERT_NONE", "ssl_cert_reqs", "none, optional or required"),
        ("rediss://h?ssl_check_hostname=maybe", "ssl_check_hostname", "yes or no"),
        ("redis://h?db=two", "db", "a whole number"),
        ("redis://h?db=-1", "db", "a whole number"),
        ("redis://h?db=", "db", "a whole number"),
        ("redis://h?db", "db", "a whole number"),
        ("redis://h?db=1&db=2", "db", "leave one out"),
        ("redis://h/1?db=2", "database", "twice"),
        ("redis://h?protocol=4", "protocol", "2 or 3"),
        ("redis://h?socket_keepalive=5", "socket_keepalive", "yes or no"),
        ("redis://h?client_name=a%20b", "client_name", "one word"),
        ("redis://h/zero", "database", "redis://localhost:6379/0"),
        ("redis://h/0/1", "database", "redis://localhost:6379/0"),
        ("redis://h:port", "port", "1 to 65535"),
        ("redis://h:99999", "port", "1 to 65535"),
        ("redis://h:0", "port", "1 to 65535"),
        ("redis://a:1,b:2", "port", "1 to 65535"),
        (f"redis://:{SECRET}/x@h", "port", "%2F"),
        (f"redis://:{SECRET}?x@h", "port", "%3F"),
        (f"redis://:{SECRET}#x@h", "'#'", "%23"),
        (f"redis://:{SECRET} @h", "white space", "%20"),
        ("redis://h\n", "white space", "leave it out"),
        ("redis://[::1", "host", "redis://localhost:6379/0"),
        ("localhost:6379", "must begin with redis://", "got 'localhost:6379': for a"),
        ("redis.example/0", "must begin with redis://", "got 'redis.example/…'"),
        (SECRET, "must begin with redis://", "/0: for a"),
        (f"u:{SECRET}@localhost:6379", "must begin with redis://", "/0: for a"),
        ("http://h", "redis://", "unix://"),
        ("redis+sentinel://h", "Sentinel", "RedisLedger(client)"),
        ("", "redis://", "unix://"),
        ("unix://", "socket", "unix:///run/redis/redis.sock"),
        (f"redis://h?password={SECRET}&password=x", "password", "leave one out"),
        (f"redis://h?passwd={SECRET}", "passwd", "password"),
    ],
)
def test_what_can_not_be_used_is_named_with_the_fix(address: str, said: str, advice: str) -> None:
    """Whoever mistypes an address would read of a library's inside, or of nothing."""
    with pytest.raises(UsageError) as caught:
        RedisLedger.from_url(address)
    message = str(caught.value)
    assert said in message
    assert advice in message
    assert SECRET not in message
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "address",
    [
        "redis://localhost",
        "redis://localhost:6379/0",
        "redis://localhost:6379/",
        "redis://:6380",
        "redis://user:p%2Fss@[::1]:6379/3",
        "redis://h?db=1&client_name=dialler&protocol=3&socket_keepalive=yes",
        "redis://h?username=u&password=p",
        "rediss://h:6380?ssl_cert_reqs=none&ssl_check_hostname=False&ssl_ca_certs=/etc/ca.pem",
        "rediss://h?ssl_certfile=a&ssl_keyfile=b&ssl_ca_data=e",
        "unix:///run/redis.sock",
        "unix://user@/run/redis.sock?db=1&password=p",
    ],
)
async def test_what_can_be_used_makes_a_client_that_can_connect(address: str) -> None:
    """An option that is taken here would fail at the first connection, in a library's words."""
    assert checked_address(address) == address
    async with RedisLedger.from_url(address) as ledger:
        pool = ledger._client.connection_pool  # type: ignore[union-attr]
        assert pool.make_connection() is not None


async def test_an_address_that_is_taken_is_one_that_works(
    redis_url: str, workspace_key: str
) -> None:
    """Every option that is taken would have to be mended in production."""
    options = "?db=0&client_name=dialler&protocol=3&socket_keepalive=yes"
    async with RedisLedger.from_url(redis_url + options, name=workspace_key) as ledger:
        assert not (await ledger.look(workspace_key)).known


def test_a_gate_and_a_command_say_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The words would help those alone who make the ledger themselves."""
    monkeypatch.setenv("RETELL_API_KEY", "key_x")

    async def open_one() -> None:
        async with callguard.open_gate("key_x", ledger="redis://h?timeout=5"):
            pass

    with pytest.raises(UsageError, match="timeout"):
        asyncio.run(open_one())
    assert main(["ps", "--ledger", "redis://h?timeout=5"]) == ExitCode.WRONG_USE
    assert "timeout" in capsys.readouterr().err
