"""Deliveries at their time, in a loop whose clock jumps."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from callguard.simulator import (
    Constant,
    Courier,
    Deliveries,
    Delivery,
    WebhookPlan,
    Workspace,
    WorkspaceSettings,
)
from callguard.webhooks import WebhookError, receive
from tests.support.virtual_time import run
from tests.unit.simulator.support import HandClock, workspace
from tests.unit.webhooks.support import NOW, Witness

SETTINGS = WorkspaceSettings(
    limit=100, cps=None, answer_rate=1.0, ring_time=Constant(5.0), talk_time=Constant(10.0)
)


def test_deliveries_come_by_themselves() -> None:
    """Webhooks would wait until somebody asks the workspace for something else."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        model = Workspace(SETTINGS, loop.time)
        came: list[tuple[float, str, str]] = []

        def deliver(delivery: Delivery) -> None:
            came.append((round(loop.time(), 6), delivery.event, delivery.call_id))

        Courier(model, Deliveries(model, WebhookPlan(late=Constant(0.5))), deliver)
        await asyncio.sleep(100.0)
        first = model.dial().call_id
        await asyncio.sleep(3.0)
        second = model.dial().call_id
        await asyncio.sleep(1.0)
        model.stop(first)
        await asyncio.sleep(100.0)
        assert came == [
            (104.5, "call_ended", first),
            (106.5, "call_analyzed", first),
            (108.5, "call_started", second),
            (118.5, "call_ended", second),
            (120.5, "call_analyzed", second),
        ]

    run(main())


def test_a_campaign_without_sockets() -> None:
    """A gate could not be tested for hours under virtual time, with true and forged webhooks."""

    async def main() -> list[tuple[str, str, bool]]:
        loop = asyncio.get_running_loop()
        model = Workspace(SETTINGS, loop.time)
        gate, refused = Witness(), []

        def wall_clock() -> float:
            return NOW + loop.time()

        def deliver(delivery: Delivery) -> None:
            try:
                receive(
                    gate,
                    delivery.body,
                    delivery.signature,
                    api_key="key_simulated",
                    now=wall_clock,
                )
            except WebhookError:
                refused.append(delivery.forgery)

        plan = WebhookPlan(lost=0.1, duplicated=0.2, shuffled=0.3, forged=0.5, seed=9)
        courier = Courier(model, Deliveries(model, plan, wall_clock=wall_clock), deliver)
        for _ in range(500):
            model.dial()
            await asyncio.sleep(1.0)
        await asyncio.sleep(600.0)
        courier.close()
        assert None not in refused
        assert len(refused) == pytest.approx(0.5 * 1500, rel=0.1)
        # No lie has come through: nobody was refused.
        assert not any(is_refused for _, _, is_refused in gate.notes)
        assert len(gate.notes) == pytest.approx(0.9 * 1.2 * 1500, rel=0.05)
        return gate.notes

    assert run(main()) == run(main())


def test_closing() -> None:
    """Something would be delivered to a gate that is closed, or a timer be left behind."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        model = Workspace(SETTINGS, loop.time)
        came: list[Delivery] = []
        courier = Courier(model, Deliveries(model), came.append)
        model.dial()
        await asyncio.sleep(6.0)
        assert len(came) == 1
        courier.close()
        model.dial()
        await asyncio.sleep(100.0)
        model.dial()
        assert len(came) == 1
        await asyncio.Event().wait()

    # Were a timer left, the clock would jump to it.
    with pytest.raises(RuntimeError, match="nothing is left that could wake the loop"):
        run(main())


def test_one_that_fails_does_not_stop_the_next() -> None:
    """One failing delivery would end all the others in silence."""

    async def main() -> list[object]:
        loop = asyncio.get_running_loop()
        model = Workspace(SETTINGS, loop.time)
        failures: list[object] = []
        loop.set_exception_handler(lambda _, context: failures.append(context["exception"]))

        def deliver(delivery: Delivery) -> None:
            raise ValueError(delivery.event)

        courier = Courier(model, Deliveries(model), deliver)
        model.dial()
        await asyncio.sleep(100.0)
        courier.close()
        return [str(failure) for failure in failures]

    assert run(main()) == ["call_started", "call_ended", "call_analyzed"]


def test_a_clock_of_its_own() -> None:
    """With a clock that is not the loop's, what is due would wait for as long as it was to come."""

    async def main(**longest: Any) -> list[float]:
        loop = asyncio.get_running_loop()
        clock = HandClock()
        model = workspace(clock)
        came: list[float] = []
        courier = Courier(
            model, Deliveries(model), lambda _: came.append(round(loop.time(), 6)), **longest
        )
        model.dial()
        await asyncio.sleep(1.1)
        clock.now = 6.0
        await asyncio.sleep(0.5)
        courier.close()
        return came

    assert run(main(longest_sleep=0.25)) == [1.25]
    assert run(main()) == []
