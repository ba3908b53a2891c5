"""A ledger on a Redis or Valkey server, shared by gates in many processes and on many machines."""
