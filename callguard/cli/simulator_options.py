"""The options of ``callguard simulator``, with their help."""

from __future__ import annotations

from typing import Annotated

import typer

from callguard.simulator import CPS_REFUSALS, CPS_RULES, DIAL_FAULTS, FATES, FAULTS

__all__ = [
    "AnswerRate",
    "ApiKey",
    "BurstLimit",
    "ClockOffset",
    "CountsRinging",
    "Cps",
    "CpsRefusal",
    "CpsRule",
    "DialFault",
    "DialFaultAt",
    "DialFaultRate",
    "DialFaultsPlace",
    "FallLag",
    "Fault",
    "FaultAt",
    "FaultRate",
    "Hanging",
    "InboundApart",
    "InboundRate",
    "InboundRespectsLimit",
    "InboundTalkTime",
    "Latency",
    "Limit",
    "ListsRinging",
    "Numbers",
    "Port",
    "RefusesByReported",
    "RequestsPerMinute",
    "ReservedInbound",
    "RingLimit",
    "RingTime",
    "RiseLag",
    "Seed",
    "TalkTime",
    "Trunks",
    "UnansweredRing",
    "WebhookUrl",
]

Port = Annotated[
    int, typer.Option(min=0, max=65535, help="The port on this machine; 0: any free one.")
]
ApiKey = Annotated[
    str, typer.Option(metavar="KEY", help="The key to accept; made up, so not a secret.")
]
Limit = Annotated[int, typer.Option(help="Calls that may be live at once.")]
BurstLimit = Annotated[
    int, typer.Option(help="Calls that may be live at once with burst; 0: burst is off.")
]
ReservedInbound = Annotated[
    int, typer.Option(help="Calls below every limit that are kept for inbound ones.")
]
InboundApart = Annotated[
    bool,
    typer.Option(
        help="Whether the reservation bounds outbound calls alone, as documented, or all calls."
    ),
]
Cps = Annotated[
    str,
    typer.Option(metavar="CPS", help="Phone calls that may start per second; none for no limit."),
]
Trunks = Annotated[
    list[str] | None,
    typer.Option(
        "--trunk",
        metavar="NUMBER:CPS",
        help="A rate of its own for calls from one number; may be repeated.",
    ),
]
CpsRule = Annotated[
    str,
    typer.Option(
        metavar="RULE",
        help=f"How starts are counted: {' or '.join(CPS_RULES)}, in any rolling second or by the "
        "time since the last one.",
    ),
]
CpsRefusal = Annotated[
    str,
    typer.Option(
        metavar="FORM",
        help=f"How a dial that comes too fast is refused: {' or '.join(CPS_REFUSALS)}, by that "
        "status or by a call that dies at once.",
    ),
]
TalkTime = Annotated[str, typer.Option(metavar="TIME", help="How long an answered call lasts.")]
RingTime = Annotated[
    str, typer.Option(metavar="TIME", help="How long an answered call rings first.")
]
AnswerRate = Annotated[
    float, typer.Option(help="The share of the dialled calls that are answered, 0 to 1.")
]
RingLimit = Annotated[
    float, typer.Option(help="Seconds after which an unanswered call stops ringing.")
]
UnansweredRing = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="How long an unanswered call rings; else the ring limit."),
]
CountsRinging = Annotated[bool, typer.Option(help="Whether a call counts while it rings.")]
RefusesByReported = Annotated[
    bool, typer.Option(help="Whether dials are refused by the late counter, not by the true count.")
]
RiseLag = Annotated[
    float, typer.Option(help="Seconds after which the counter shows that a call began.")
]
FallLag = Annotated[
    float, typer.Option(help="Seconds after which the counter shows that a call is over.")
]
InboundRate = Annotated[float, typer.Option(help="Calls that come in per second, on average.")]
InboundTalkTime = Annotated[str, typer.Option(metavar="TIME", help="How long inbound calls last.")]
InboundRespectsLimit = Annotated[
    bool, typer.Option(help="Whether inbound calls are turned away at the limit.")
]
ClockOffset = Annotated[
    float,
    typer.Option(help="Seconds by which the provider's clock is ahead; negative if it is behind."),
]
Seed = Annotated[int, typer.Option(help="The seed of every draw and every random fault.")]
Numbers = Annotated[
    list[str] | None,
    typer.Option(
        "--number",
        metavar="NUMBER:FATE",
        help="The fate of the calls to a number; may be repeated. Any of "
        f"{', '.join(FATES)}, or several separated by commas, one for each call.",
    ),
]
Latency = Annotated[str | None, typer.Option(metavar="TIME", help="How long each answer takes.")]
RequestsPerMinute = Annotated[
    int | None,
    typer.Option(
        metavar="NUMBER",
        help="Requests of all kinds that are answered in a minute; the others get a 429.",
    ),
]
Hanging = Annotated[
    float, typer.Option(help="The share of the readings that get no answer at all, 0 to 1.")
]
FaultRate = Annotated[
    float, typer.Option(help="The share of the readings that fail at random, 0 to 1.")
]
Fault = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KIND", help=f"How readings fail; may be repeated; any of {', '.join(FAULTS)}."
    ),
]
FaultAt = Annotated[
    list[str] | None,
    typer.Option(
        metavar="BEGIN:END:KIND",
        help="Let every reading between these seconds fail; may be repeated.",
    ),
]
DialFaultRate = Annotated[
    float, typer.Option(help="The share of the dials that fail at random, 0 to 1.")
]
DialFault = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KIND", help=f"How dials fail; may be repeated; any of {', '.join(DIAL_FAULTS)}."
    ),
]
DialFaultAt = Annotated[
    list[str] | None,
    typer.Option(
        metavar="BEGIN:END:KIND",
        help="Let every dial between these seconds fail; may be repeated.",
    ),
]
DialFaultsPlace = Annotated[
    bool, typer.Option(help="Whether a call is placed even if its dial fails.")
]
ListsRinging = Annotated[
    bool, typer.Option(help="Whether a list of calls shows those that still ring.")
]
WebhookUrl = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Where to post webhooks, signed with the key."),
]
