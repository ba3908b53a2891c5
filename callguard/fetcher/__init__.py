"""The cached limit fetcher, and the HTTP client below it."""

from callguard.fetcher.cached import LimitFetcher
from callguard.fetcher.calls import CallState
from callguard.fetcher.fixed import FixedLimit
from callguard.fetcher.http import ProviderClient

__all__ = ["CallState", "FixedLimit", "LimitFetcher", "ProviderClient"]
