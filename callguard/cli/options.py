"""The options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["BaseUrlOption", "LedgerOption", "NameOption", "PlainHttpOption", "ReasonOption"]

BaseUrlOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="The provider's address; else RETELL_BASE_URL, else the production server.",
    ),
]
PlainHttpOption = Annotated[
    bool,
    typer.Option("--allow-plain-http", help="Let the key travel unencrypted to another machine."),
]
LedgerOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        envvar="CALLGUARD_LEDGER",
        help="The server of the shared ledger, such as redis://localhost:6379.",
    ),
]
NameOption = Annotated[
    str | None,
    typer.Option(help="The name of the gates' ledger, if it has one."),
]
ReasonOption = Annotated[str, typer.Option(help="The reason, which denials and ps show.")]
