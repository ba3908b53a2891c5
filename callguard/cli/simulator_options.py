"""The options of ``callguard simulator``, and what each says of itself."""

from __future__ import annotations

from typing import Annotated

import typer

from callguard.simulator import CPS_REFUSALS, CPS_RULES, DIAL_FAULTS, FATES, FAULTS

__all__ = [
    "AnswerRate",
    "ApiKey",
    "BurstLimit",
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
    "InboundRate",
    "InboundRespectsLimit",
    "InboundTalkTime",
    "Latency",
    "Limit",
    "Numbers",
    "Port",
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
    int, typer.Option(min=0, max=65535, help="Where to listen on this machine; 0: any.")
]
ApiKey = Annotated[
    str, typer.Option(metavar="KEY", help="The key to accept; made up, so not a secret.")
]
Limit = Annotated[int, typer.Option(help="Calls that may go on at once.")]
BurstLimit = Annotated[
    int, typer.Option(help="Calls that may go on at once with burst; 0: burst is off.")
]
ReservedInbound = Annotated[
    int, typer.Option(help="Calls below every limit that outbound calls leave free.")
]
Cps = Annotated[
    float | None,
    typer.Option(
        metavar="CPS", help="Phone calls that may start per second; without it there is no rule."
    ),
]
Trunks = Annotated[
    list[str] | None,
    typer.Option(
        "--trunk",
        metavar="NUMBER:CPS",
        help="The same for the calls from one number, which share no rate with others; may be "
        "repeated.",
    ),
]
CpsRule = Annotated[
    str,
    typer.Option(
        metavar="RULE",
        help=f"How starts are counted: {' or '.join(CPS_RULES)}, by any rolling second or by the "
        "time since the last.",
    ),
]
CpsRefusal = Annotated[
    str,
    typer.Option(
        metavar="FORM",
        help=f"How a dial is refused that comes too fast: {' or '.join(CPS_REFUSALS)}, by that "
        "status or by a call that dies at once.",
    ),
]
TalkTime = Annotated[str, typer.Option(metavar="TIME", help="How long an answered call lasts.")]
RingTime = Annotated[
    str, typer.Option(metavar="TIME", help="How long an answered call rings before.")
]
AnswerRate = Annotated[
    float, typer.Option(help="The share of the dialled calls that are answered, 0 to 1.")
]
RingLimit = Annotated[
    float, typer.Option(help="Seconds after which an unanswered call stops ringing.")
]
UnansweredRing = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="How long such a call rings; else the ring limit."),
]
CountsRinging = Annotated[bool, typer.Option(help="Whether a call counts while it rings.")]
RiseLag = Annotated[
    float, typer.Option(help="Seconds after which the counter shows that a call began.")
]
FallLag = Annotated[
    float, typer.Option(help="Seconds after which the counter shows that a call is over.")
]
InboundRate = Annotated[
    float, typer.Option(help="Calls that others start, on average, per second.")
]
InboundTalkTime = Annotated[str, typer.Option(metavar="TIME", help="How long those last.")]
InboundRespectsLimit = Annotated[
    bool, typer.Option(help="Whether those are turned away at the limit.")
]
Seed = Annotated[int, typer.Option(help="What every draw and every fault at random follows from.")]
Numbers = Annotated[
    list[str] | None,
    typer.Option(
        "--number",
        metavar="NUMBER:FATE",
        help="What becomes of the calls to a number; may be repeated. Any of "
        f"{', '.join(FATES)}, or several with commas between, one for each call.",
    ),
]
Latency = Annotated[str | None, typer.Option(metavar="TIME", help="How long each answer takes.")]
FaultRate = Annotated[
    float, typer.Option(help="The share of the readings that go wrong at random, 0 to 1.")
]
Fault = Annotated[
    list[str] | None,
    typer.Option(metavar="KIND", help=f"With what; may be repeated; any of {', '.join(FAULTS)}."),
]
FaultAt = Annotated[
    list[str] | None,
    typer.Option(
        metavar="BEGIN:END:KIND",
        help="Every reading goes wrong between these seconds; may be repeated.",
    ),
]
DialFaultRate = Annotated[
    float, typer.Option(help="The share of the dials that go wrong at random, 0 to 1.")
]
DialFault = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KIND", help=f"With what; may be repeated; any of {', '.join(DIAL_FAULTS)}."
    ),
]
DialFaultAt = Annotated[
    list[str] | None,
    typer.Option(
        metavar="BEGIN:END:KIND",
        help="Every dial goes wrong between these seconds; may be repeated.",
    ),
]
DialFaultsPlace = Annotated[
    bool, typer.Option(help="Whether a call whose dial goes wrong is placed nevertheless.")
]
WebhookUrl = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Where to post webhooks, signed with the key."),
]
