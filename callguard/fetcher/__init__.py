"""The cached limit fetcher."""
