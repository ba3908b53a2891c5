"""The cached limit fetcher, and the HTTP client below it."""

from callguard.fetcher.cached import LimitFetcher
from callguard.fetcher.http import ProviderClient

__all__ = ["LimitFetcher", "ProviderClient"]
