"""Tables of figures for people."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Column, Table

__all__ = ["figures"]


def figures(rows: Mapping[str, object]) -> Table:
    """Make a table with a row for each name and its value."""
    table = Table("", Column(justify="right"), show_header=False)
    for name, value in rows.items():
        table.add_row(name, str(value))
    return table
