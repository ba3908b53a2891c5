"""The fixtures that callguard brings to pytest, which finds them by itself.

Outside the package, because importing anything of that imports all that a gate needs, and every run
of pytest on the machine would pay for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from callguard.testing import VirtualWorkspace

__all__ = ["simulated_workspace"]


@pytest.fixture
def simulated_workspace(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Makes a `callguard.testing.VirtualWorkspace`, which lasts as long as the test.

    ::

        def test_a_busy_line_is_tried_again(simulated_workspace):
            workspace = simulated_workspace(limit=5, numbers={LEAD: (BUSY, answered())})
            workspace.run(campaign([LEAD]))
            assert workspace.truth().answered == 1

    The environment's RETELL_API_KEY and RETELL_BASE_URL are the workspace's for the rest of the
    test, so a dialer that is given neither finds it.
    """
    from callguard.testing import VirtualWorkspace  # noqa: PLC0415 - as late as it is needed

    with ExitStack() as stack:

        def make(**options: Any) -> VirtualWorkspace:
            workspace = stack.enter_context(VirtualWorkspace(**options))
            monkeypatch.setenv("RETELL_API_KEY", workspace.api_key)
            monkeypatch.setenv("RETELL_BASE_URL", workspace.url)
            return workspace

        yield make
