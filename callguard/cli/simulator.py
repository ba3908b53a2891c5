"""``callguard simulator``: a simulated workspace on a port, to test any dialer against."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import cast

import typer
from rich.table import Table

from callguard.cli import simulator_options as options
from callguard.cli.exits import ExitCode
from callguard.cli.running import run
from callguard.cli.saying import complain, say
from callguard.cli.screen import Screen
from callguard.cli.tables import figures
from callguard.simulator import (
    DIAL_FAULTS,
    FATES,
    FAULTS,
    CpsRefusal,
    CpsRule,
    Distribution,
    Fate,
    Fault,
    Faults,
    InvalidSetting,
    RequestLimit,
    Server,
    Truth,
    WorkspaceSettings,
    parse_distribution,
    serve,
)
from callguard.simulator.settings import is_rate

__all__ = [
    "rated_trunk",
    "request_table",
    "scheduled_fault",
    "scripted_number",
    "simulator",
    "truth_table",
]

_DEFAULTS = WorkspaceSettings()


def simulator(
    *,
    port: options.Port = 8787,
    api_key: options.ApiKey = "key_simulated",
    limit: options.Limit = _DEFAULTS.limit,
    burst_limit: options.BurstLimit = _DEFAULTS.burst_limit,
    reserved_inbound: options.ReservedInbound = _DEFAULTS.reserved_inbound,
    inbound_apart: options.InboundApart = _DEFAULTS.inbound_apart,
    cps: options.Cps = f"{_DEFAULTS.cps:g}",
    trunks: options.Trunks = None,
    cps_rule: options.CpsRule = _DEFAULTS.cps_rule,
    cps_refusal: options.CpsRefusal = _DEFAULTS.cps_refusal,
    talk_time: options.TalkTime = str(_DEFAULTS.talk_time),
    ring_time: options.RingTime = str(_DEFAULTS.ring_time),
    answer_rate: options.AnswerRate = _DEFAULTS.answer_rate,
    ring_limit: options.RingLimit = _DEFAULTS.ring_limit,
    unanswered_ring: options.UnansweredRing = None,
    counts_ringing: options.CountsRinging = _DEFAULTS.counts_ringing,
    refuses_by_reported: options.RefusesByReported = _DEFAULTS.refuses_by_reported,
    rise_lag: options.RiseLag = _DEFAULTS.rise_lag,
    fall_lag: options.FallLag = _DEFAULTS.fall_lag,
    inbound_rate: options.InboundRate = _DEFAULTS.inbound_rate,
    inbound_talk_time: options.InboundTalkTime = str(_DEFAULTS.inbound_talk_time),
    inbound_respects_limit: options.InboundRespectsLimit = _DEFAULTS.inbound_respects_limit,
    clock_offset: options.ClockOffset = _DEFAULTS.clock_offset,
    seed: options.Seed = _DEFAULTS.seed,
    numbers: options.Numbers = None,
    latency: options.Latency = None,
    requests_per_minute: options.RequestsPerMinute = None,
    hanging: options.Hanging = 0.0,
    fault_rate: options.FaultRate = 0.0,
    fault: options.Fault = None,
    fault_at: options.FaultAt = None,
    dial_fault_rate: options.DialFaultRate = 0.0,
    dial_fault: options.DialFault = None,
    dial_fault_at: options.DialFaultAt = None,
    dial_faults_place: options.DialFaultsPlace = True,
    lists_ringing: options.ListsRinging = False,
    webhook_url: options.WebhookUrl = None,
) -> None:
    """Run a simulated workspace, so that a dialer can be tested without an account.

    A TIME is 12 (seconds), constant:12, uniform:5:30, exponential:60 or exponential:60:300 (mean,
    at most).

    Ctrl-C ends it (exit code 130; SIGTERM 143), and it prints the true totals. The worst excess
    among them is the most by which an outbound call, when it began to count, brought the count
    above what was allowed when it was dialled; it is 0 or less if each had room.

    Exit code 64: an option can't be right; 69: the port can't be opened.
    """
    try:
        world = World(
            WorkspaceSettings(
                limit=limit,
                burst_limit=burst_limit,
                reserved_inbound=reserved_inbound,
                inbound_apart=inbound_apart,
                cps=_rate("--cps", cps),
                trunks=dict(rated_trunk(text) for text in trunks or ()),
                cps_rule=cast("CpsRule", cps_rule),
                cps_refusal=cast("CpsRefusal", cps_refusal),
                talk_time=_time("talk_time", talk_time),
                ring_time=_time("ring_time", ring_time),
                answer_rate=answer_rate,
                ring_limit=ring_limit,
                unanswered_ring=_perhaps("unanswered_ring", unanswered_ring),
                counts_ringing=counts_ringing,
                refuses_by_reported=refuses_by_reported,
                rise_lag=rise_lag,
                fall_lag=fall_lag,
                inbound_rate=inbound_rate,
                inbound_talk_time=_time("inbound_talk_time", inbound_talk_time),
                inbound_respects_limit=inbound_respects_limit,
                clock_offset=clock_offset,
                seed=seed,
                numbers=dict(scripted_number(text) for text in numbers or ()),
            ),
            port=port,
            api_key=api_key,
            latency=_perhaps("latency", latency),
            requests_per_minute=requests_per_minute,
            faults=_faults("--fault", fault_rate, fault, fault_at, seed, hanging=hanging),
            dial_faults=_faults(
                "--dial-fault", dial_fault_rate, dial_fault, dial_fault_at, seed, DIAL_FAULTS
            ),
            dial_faults_place=dial_faults_place,
            lists_ringing=lists_ringing,
            webhook_url=webhook_url,
        )
    except ValueError as error:
        raise typer.BadParameter(_in_options(error)) from None
    run(_simulate(world))


@dataclass(frozen=True, slots=True)
class World:
    """The arguments of `serve`."""

    settings: WorkspaceSettings
    port: int
    api_key: str
    latency: Distribution | None
    requests_per_minute: int | None
    faults: Faults
    dial_faults: Faults
    dial_faults_place: bool
    lists_ringing: bool
    webhook_url: str | None


def scheduled_fault(text: str) -> tuple[float, float, Fault]:
    """Parse ``BEGIN:END:KIND``: a fault, and the seconds between which it occurs.

    Raises:
        ValueError: the text doesn't have that form. `Faults` checks that the fault is known.
    """
    match text.split(":"):
        case [begin, end, kind]:
            return float(begin), float(end), cast("Fault", kind)
        case _:
            raise ValueError(f"a scheduled fault must be BEGIN:END:KIND, got {text!r}")


def rated_trunk(text: str) -> tuple[str, float | None]:
    """Parse ``NUMBER:CPS``: a number to call from, and how many calls may start per second.

    Raises:
        ValueError: the text doesn't have that form, or the rate can't be right.
    """
    number, _, rate = text.rpartition(":")
    if not number:
        raise ValueError(f"--trunk must be NUMBER:CPS, got {text!r}")
    return number, _rate("--trunk", rate)


def scripted_number(text: str) -> tuple[str, tuple[Fate, ...]]:
    """Parse ``NUMBER:FATE,FATE``: a number, and the fates of successive calls to it.

    Raises:
        ValueError: the text doesn't have that form, or a fate is unknown.
    """
    number, _, names = text.rpartition(":")
    try:
        fates = tuple(FATES[name] for name in names.split(","))
    except KeyError as unknown:
        known = ", ".join(FATES)
        raise ValueError(f"--number must end in one of {known}, got {unknown}") from None
    if not number:
        raise ValueError(f"--number must be NUMBER:FATE, got {text!r}")
    return number, fates


def truth_table(truth: Truth) -> Table:
    """The true totals, in a table with a row for each field of `Truth`."""
    return figures({name.replace("_", " "): _shown(value) for name, value in asdict(truth).items()})


def request_table(requests: RequestLimit) -> Table:
    """How many requests each endpoint has answered, and refused because they were too many."""
    counts = {f"{endpoint} answered": count for endpoint, count in requests.answered.items()}
    counts |= {f"{endpoint} refused": count for endpoint, count in requests.refused.items()}
    return figures({name: str(counts[name]) for name in sorted(counts)})


async def _simulate(world: World) -> ExitCode:
    async with AsyncExitStack() as stack:
        try:
            server = await stack.enter_async_context(_served(world))
        except OSError as error:
            complain(f"can't listen on port {world.port}: {error}; choose another")
            return ExitCode.UNREACHABLE
        except ValueError as error:
            complain(f"{_in_options(error)}; see `callguard simulator --help`")
            return ExitCode.WRONG_USE
        _introduce(server)
        try:
            await asyncio.Event().wait()
        finally:
            _take_leave(server)
    return ExitCode.OK


def _served(world: World) -> AbstractAsyncContextManager[Server]:
    return serve(
        world.settings,
        port=world.port,
        api_key=world.api_key,
        latency=world.latency,
        requests_per_minute=world.requests_per_minute,
        faults=world.faults,
        dial_faults=world.dial_faults,
        dial_faults_place=world.dial_faults_place,
        lists_ringing=world.lists_ringing,
        webhook_url=world.webhook_url,
    )


def _introduce(server: Server) -> None:
    address = f"RETELL_API_KEY={server.api_key} RETELL_BASE_URL={server.url}"
    say(f"A simulated workspace listens on {server.url}, and accepts the key {server.api_key}.")
    print(f"Try it:  {address} callguard status")
    # This flushes stdout, which a reader at a pipe waits for.
    say("Ctrl-C ends it.")


def _take_leave(server: Server) -> None:
    console = Screen()
    console.print()
    console.print(truth_table(server.workspace.truth()))
    console.print()
    requests = server.request_limit
    if requests.answered or requests.refused:
        console.print(request_table(requests))
    else:
        say("No request came.")


def _shown(value: object) -> str:
    if value is None:
        return "none yet"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def _in_options(error: ValueError) -> str:
    """The error's message, with the setting called by the name of its option."""
    if isinstance(error, InvalidSetting):
        return f"{_option(error.setting)} {error.problem}"
    return str(error)


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _time(name: str, text: str) -> Distribution:
    with _named(_option(name)):
        return parse_distribution(text)


def _rate(option: str, text: str) -> float | None:
    if text == "none":
        return None
    try:
        cps = float(text)
    except ValueError:
        cps = math.nan
    if not is_rate(cps):
        raise ValueError(f"{option} needs a rate above 0, or none, got {text!r}")
    return cps


def _perhaps(name: str, text: str | None) -> Distribution | None:
    return None if text is None else _time(name, text)


def _faults(
    option: str,
    rate: float,
    kinds: Sequence[str] | None,
    schedule: Sequence[str] | None,
    seed: int,
    allowed: tuple[Fault, ...] = FAULTS,
    *,
    hanging: float = 0.0,
) -> Faults:
    if kinds and not rate:
        raise ValueError(f"{option} {', '.join(kinds)} needs {option}-rate above 0")
    with _named(f"{option}-at"):
        scheduled = tuple(scheduled_fault(text) for text in schedule or ())
        Faults(schedule=scheduled).require_only(allowed)
    with _named("--hanging"):
        Faults(hanging=hanging)
    with _named(f"{option}-rate"):
        Faults(rate=rate)
    with _named(option):
        faults = Faults(
            hanging=hanging,
            rate=rate,
            kinds=cast("tuple[Fault, ...]", tuple(kinds or allowed)),
            schedule=scheduled,
            seed=seed,
        )
        faults.require_only(allowed)
    return faults


@contextmanager
def _named(option: str) -> Iterator[None]:
    """Name the option in an error of what is made from it."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from None
