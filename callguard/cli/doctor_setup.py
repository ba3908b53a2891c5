"""What ``callguard doctor`` examines: its options over the configuration of ``callguard serve``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from callguard.arguments import checked_seconds, is_sendable
from callguard.cli.setup_options import parse_cps, parse_lane, parse_trunk
from callguard.doctor import Setup
from callguard.errors import UsageError
from callguard.lanes import Lane, checked_lanes
from callguard.ledger.redis.keys import workspace_hash
from callguard.serve.configuration import configured
from callguard.trunks import Trunk, checked_trunks

__all__ = ["Options"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the command, as they were given; None and empty for what was not."""

    lanes: Sequence[str]
    cps: str | None
    trunks: Sequence[str]
    average_call: float
    base_url: str | None
    allow_plain_http: bool
    ledger: str | None
    ledger_name: str | None
    webhook_url: str | None
    config: Path | None

    def setup(self) -> Setup:
        """What they say is to be examined.

        Raises:
            UsageError: an option or a setting can't be right.
        """
        if self.ledger_name is not None and not is_sendable(self.ledger_name):
            raise UsageError("--name must be text that can be sent, and not empty")
        if self.webhook_url is not None and not _is_address(self.webhook_url):
            raise UsageError("--webhook-url must begin with http:// or https://, and name a host")
        try:
            length = checked_seconds("--average-call", self.average_call, above_zero=True)
            file = _File.read(self.config)
            lanes = [parse_lane(each) for each in self.lanes] or file.lanes
            trunks = [parse_trunk(each) for each in self.trunks] or file.trunks
            cps = file.cps if self.cps is None else parse_cps(self.cps)
            return Setup(
                base_url=self.base_url or file.provider_url,
                allow_plain_http=self.allow_plain_http or file.allow_plain_http,
                lanes=checked_lanes(list(lanes)),
                trunks=checked_trunks(list(trunks), cps),
                average_call=length,
                ledger=self.ledger or file.ledger,
                ledger_name=self.ledger_name,
                webhook_url=self.webhook_url,
            )
        except ValueError as error:
            raise UsageError(str(error)) from None


@dataclass(frozen=True, slots=True)
class _File:
    """What a configuration says of one workspace; the defaults where there is none."""

    lanes: Sequence[Lane] = ()
    trunks: Sequence[Trunk] = ()
    cps: float | None = 1.0
    ledger: str | None = None
    provider_url: str | None = None
    allow_plain_http: bool = False

    @classmethod
    def read(cls, file: Path | None) -> _File:
        """Read a file with the eyes of the proxy: the environment comes before it."""
        if file is None:
            return cls()
        settings = configured(file, os.environ, {})
        workspace = settings.of(workspace_hash(settings.api_key or ""))
        return cls(
            workspace.lanes,
            workspace.trunks,
            workspace.cps,
            workspace.ledger,
            settings.provider_url,
            settings.allow_plain_http,
        )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and url.isprintable()
