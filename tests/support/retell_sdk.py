"""Parts of the provider's own SDK. Importing all of it takes seconds, in every process."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any


def part(name: str) -> Any:
    """Import one module of the SDK, such as ``"lib.webhook_auth"``, and nothing else."""
    whole = importlib.util.find_spec("retell")
    assert whole is not None
    assert whole.origin is not None
    file = Path(whole.origin).parent.joinpath(*name.split(".")).with_suffix(".py")
    spec = importlib.util.spec_from_file_location(f"retell.{name}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


exceptions = part("_exceptions")
webhook_auth = part("lib.webhook_auth")
