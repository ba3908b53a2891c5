"""The provider's SDK for Node.js, from npm."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

RETELL_SDK = "retell-sdk@5"

_LONGEST = 120.0


def node_modules() -> Path:
    """The folder for NODE_PATH that has retell-sdk: npm installs it once on each machine.

    Skips the test where there is no Node.js, or where npm can't install it.
    """
    kept = Path(tempfile.gettempdir(), f"callguard-{RETELL_SDK}-{os.getuid()}")
    modules = kept / "node_modules"
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("there is no Node.js here, or no npm")
    if not modules.is_dir():
        _install(kept)
    return modules


def _install(kept: Path) -> None:
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        command = ["npm", "install", "--prefix", folder, "--no-audit", "--no-fund", RETELL_SDK]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=_LONGEST
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm did not install {RETELL_SDK} in {_LONGEST:g} s")
        if done.returncode:
            pytest.skip(f"npm can't install {RETELL_SDK}: {done.stderr.strip()[-200:]}")
        with suppress(OSError):  # another test was quicker
            shutil.copytree(folder, f"{folder}-whole")
            Path(f"{folder}-whole").rename(kept)
