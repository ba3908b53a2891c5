"""A ledger on a Redis or Valkey server, shared by gates in many processes and on many machines."""

from callguard.ledger.redis.keys import workspace_hash
from callguard.ledger.redis.ledger import RedisLedger

__all__ = ["RedisLedger", "workspace_hash"]
