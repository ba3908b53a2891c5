"""A simulated voice workspace, to test a dialer against.

::

    async with callguard.simulator.serve(limit=5, seed=1) as server:
        async with callguard.open_gate(server.api_key, base_url=server.url) as gate:
            ...

It has the provider's paths and bodies, a counter that is late, calls by others, faults on demand, a
script for each dialled number, signed webhooks that may be late, lost, duplicated, shuffled or
forged, and the truth to compare with: ``server.workspace.truth()``. To simulate without a socket,
or on any clock, use `Workspace` alone, and `Deliveries` for its webhooks.
"""

from callguard.simulator.app import create_app
from callguard.simulator.courier import Courier
from callguard.simulator.distributions import (
    Constant,
    Distribution,
    Exponential,
    Uniform,
    parse_distribution,
)
from callguard.simulator.fates import (
    BAD_NUMBER,
    BUSY,
    DECLINED,
    FATES,
    NO_ANSWER,
    VOICEMAIL,
    Fate,
    answered,
)
from callguard.simulator.faults import DIAL_FAULTS, FAULTS, Fault, Faults
from callguard.simulator.model import KEPT_CALLS, Workspace
from callguard.simulator.provider_clock import SimulatedClock
from callguard.simulator.records import Call, CallRefused, CallStatus, CallTooFast, Direction, Truth
from callguard.simulator.request_limit import RequestLimit
from callguard.simulator.rule import OutboundRule
from callguard.simulator.server import Server, serve
from callguard.simulator.settings import (
    CPS_REFUSALS,
    CPS_RULES,
    CpsRefusal,
    CpsRule,
    InvalidSetting,
    WorkspaceSettings,
)
from callguard.simulator.webhooks import Deliveries, Delivery, Forgery, WebhookEvent, WebhookPlan

__all__ = [
    "BAD_NUMBER",
    "BUSY",
    "CPS_REFUSALS",
    "CPS_RULES",
    "DECLINED",
    "DIAL_FAULTS",
    "FATES",
    "FAULTS",
    "KEPT_CALLS",
    "NO_ANSWER",
    "VOICEMAIL",
    "Call",
    "CallRefused",
    "CallStatus",
    "CallTooFast",
    "Constant",
    "Courier",
    "CpsRefusal",
    "CpsRule",
    "Deliveries",
    "Delivery",
    "Direction",
    "Distribution",
    "Exponential",
    "Fate",
    "Fault",
    "Faults",
    "Forgery",
    "InvalidSetting",
    "OutboundRule",
    "RequestLimit",
    "Server",
    "SimulatedClock",
    "Truth",
    "Uniform",
    "WebhookEvent",
    "WebhookPlan",
    "Workspace",
    "WorkspaceSettings",
    "answered",
    "create_app",
    "parse_distribution",
    "serve",
]
