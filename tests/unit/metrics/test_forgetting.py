"""What a sink forgets of a workspace that may be made up."""

from __future__ import annotations

import callguard
from callguard import LimitsUnavailable
from callguard.metrics.meter import Measurement, Meter
from callguard.testing import ScriptedSource
from tests.support.virtual_time import run


def series(measurement: Measurement) -> int:
    return len(measurement.waits) + sum(map(len, measurement.values.values()))


def test_a_workspace_whose_limits_were_never_read_is_forgotten_when_its_gate_is_closed() -> None:
    """A server that takes any key would keep something of each for ever."""

    async def main() -> None:
        meter, source = Meter(), ScriptedSource()
        source.error = LimitsUnavailable("an outage")
        async with callguard.open_gate(source=source, listener=meter) as gate:
            before = series(meter.measure())
            meter.forget_unread(gate.workspace)
            assert series(meter.measure()) == before > 0
        meter.forget_unread("another")
        assert series(meter.measure()) > 0
        meter.forget_unread(gate.workspace)
        assert series(meter.measure()) == 0

    run(main())


def test_a_workspace_whose_limits_were_read_once_is_not_forgotten() -> None:
    """A counter would fall in an outage."""

    async def main() -> None:
        meter, source = Meter(), ScriptedSource()
        for error in (None, LimitsUnavailable("an outage")):
            source.error = error
            async with callguard.open_gate(source=source, listener=meter) as gate:
                pass
        before = series(meter.measure())
        meter.forget_unread(gate.workspace)
        assert series(meter.measure()) == before > 0

    run(main())
