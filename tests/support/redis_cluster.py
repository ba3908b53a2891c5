"""A real Redis Cluster of three masters, on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import redis

from callguard.testing import RedisServer

_SLOTS = 16_384
_NODES = 3
_LONGEST_WAIT = 30.0
"""Seconds; a node that has just started accepts no keys for 2 s."""


@contextmanager
def running_cluster(program: Path | None = None) -> Iterator[Sequence[RedisServer]]:
    """Yield the nodes of a cluster that accepts keys; a client may use any node's address."""
    with ExitStack() as stack:
        nodes = [stack.enter_context(_node(program)) for _ in range(_NODES)]
        clients = [stack.enter_context(redis.Redis.from_url(node.url)) for node in nodes]
        for index, client in enumerate(clients):
            _join(client, index, nodes)
        _wait_until_ready(clients)
        yield nodes


def _node(program: Path | None) -> RedisServer:
    return RedisServer("--cluster-enabled", "yes", program=program)


def _join(client: redis.Redis, index: int, nodes: Sequence[RedisServer]) -> None:
    slots = range(index * _SLOTS // _NODES, (index + 1) * _SLOTS // _NODES)
    client.cluster("ADDSLOTS", *slots)  # one by one: ADDSLOTSRANGE is younger than Redis 6.2
    client.cluster("SET-CONFIG-EPOCH", index + 1)
    for other in nodes[:index]:
        client.cluster("MEET", "127.0.0.1", other.port)


def _wait_until_ready(clients: Sequence[redis.Redis]) -> None:
    deadline = time.monotonic() + _LONGEST_WAIT
    while not all(_is_ready(client) for client in clients):
        if time.monotonic() > deadline:
            raise TimeoutError(f"no cluster after {_LONGEST_WAIT:g} s")
        time.sleep(0.02)


def _is_ready(client: redis.Redis) -> bool:
    info = client.cluster("INFO")
    return (info["cluster_state"], info["cluster_known_nodes"]) == ("ok", str(_NODES))
