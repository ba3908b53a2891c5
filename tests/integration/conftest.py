from __future__ import annotations

import os

import pytest

from callguard.cli import main
from tests.integration.support import Command, Ended, environment


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command to its end, in this process."""

    def run(*arguments: str, **variables: str | None) -> Ended:
        with monkeypatch.context() as patch:
            wanted = environment(**variables)
            for name in os.environ.keys() - wanted.keys():
                patch.delenv(name)
            for name, value in wanted.items():
                patch.setenv(name, value)
            code = main(arguments)
        out, err = capsys.readouterr()
        return Ended(code, out, err)

    return run
