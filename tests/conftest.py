from __future__ import annotations

from tests.redis_support import (
    own_redis,
    redis_cluster,
    redis_program,
    redis_server,
    redis_url,
    workspace_key,
)

__all__ = [
    "own_redis",
    "redis_cluster",
    "redis_program",
    "redis_server",
    "redis_url",
    "workspace_key",
]
