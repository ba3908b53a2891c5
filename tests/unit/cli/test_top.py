"""What `callguard top` draws, and where it looks."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import replace

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from rich.cells import cell_len
from rich.console import Console

from callguard import RedisLedger
from callguard.cli import main
from callguard.cli.exits import ExitCode
from callguard.cli.top_chart import chart
from callguard.cli.top_feeds import LedgerFeed, ServerAway, UrlFeed, feed_of
from callguard.cli.top_picture import Picture
from callguard.demo.chart import Glyphs
from callguard.errors import UsageError
from callguard.serve.views import Overview, Point
from tests.support.overviews import NOW, STATES, busy, full, hostile

SIZES = [(80, 24), (200, 60), (120, 30), (40, 24), (20, 5)]

FOOT = "p pause"


def drawn(picture: Picture, width: int = 80, height: int = 24, *, color: bool = False) -> list[str]:
    console = Console(
        file=io.StringIO(),
        width=width,
        height=height,
        force_terminal=True,
        color_system="standard" if color else None,
    )
    with console.capture() as capture:
        console.print(picture, end="")
    return capture.get().split("\n")


def picture(seen: Overview | None, *, age: float = 0.0, trouble: str | None = None) -> Picture:
    return Picture(seen, age, trouble, "http://127.0.0.1:8790", FOOT)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("state", STATES)
def test_a_picture_has_the_size_of_its_terminal(state: str, size: tuple[int, int]) -> None:
    """The picture would scroll away at its top, or be broken at its edge."""
    width, height = size
    lines = drawn(picture(STATES[state]()), width, height)
    assert len(lines) == height
    assert max(map(cell_len, lines)) <= width
    assert lines[-1] == FOOT


def test_what_matters_most_is_on_the_smallest_usual_terminal() -> None:
    """An operator on a server's console would not see why nobody is admitted."""
    text = "\n".join(drawn(picture(full())))
    for said in ("bulk [in 40 s] denied: 20 of 20 in use", "1834", "40 s/95 s", "read 0.4 s ago",
                 "counter_lag", "20┤", "█ ours", "1 refused"[2:]):  # fmt: skip
        assert said in text
    assert text.count("█") > 100


def test_the_signs_differ_without_colours() -> None:
    """Our calls could not be told from others' in a log, or by who sees no colours."""
    text = "\n".join(drawn(replace(picture(busy()), whole=True), 120))
    assert "█ ours  ▒ others  ░ dialling or uncounted" in text
    assert text.count("▒") > text.count("▒ others")


def test_the_legend_is_whole_on_a_narrow_terminal() -> None:
    """How much time the chart shows would be cut off, or a sign stand apart from its meaning."""
    lines = drawn(picture(full()), 60)
    at = next(number for number, line in enumerate(lines) if line.startswith("█ ours"))
    assert lines[at : at + 2] == [
        "█ ours  ▒ others  ░ dialling or uncounted  ─ limit 20",
        "10 min",
    ]


def test_the_answer_to_an_order_is_whole_on_a_narrow_terminal() -> None:
    """What to do about a refusal would be cut off."""
    refusal = "the server answers HTTP 403: this server is read-only; start it without --read-only"
    lines = drawn(replace(picture(full()), answer=refusal), 60)
    assert len(lines) == 24
    assert " ".join(lines[-3:-1]) == refusal
    assert lines[-1] == FOOT
    assert len(drawn(replace(picture(full()), answer=refusal), 20, 5)) == 5
    assert drawn(replace(picture(full()), answer="everything paused"))[-1] == (
        f"everything paused   {FOOT}"
    )


def test_countdowns_go_on_between_two_looks() -> None:
    """A countdown would stand still while nobody answers."""
    text = "\n".join(drawn(picture(full(), age=15.2)))
    assert "bulk [in 25 s]" in text
    assert "read 16 s ago" in text


def test_the_last_picture_is_grey_and_says_its_age() -> None:
    """An operator would take a picture for the present that is minutes old."""
    lines = drawn(picture(busy(), age=61.0, trouble="nobody answers"), color=True)
    assert "nobody answers; the picture is 61 s old" in lines[1]
    assert all("\x1b[2" in line or not line for line in lines[2:-1])
    before = drawn(picture(None, trouble="nobody answers"))
    assert before[1] == "nobody answers"
    assert len(before) == 24


@pytest.mark.parametrize("whole", [False, True])
def test_nothing_from_outside_controls_the_terminal(whole: bool) -> None:
    """A pause's reason could clear the screen, or write into the terminal's clipboard."""
    seen = hostile()
    nasty = "\x1b]52;c;ZXZpbA==\x07\x9b2J\r\n[red]"
    seen = replace(
        seen,
        outage=nasty,
        lanes=(replace(seen.lanes[0], name=nasty, sentence=nasty),),
        trunks=(replace(seen.trunks[0], name=nasty),),
        holders=(replace(seen.holders[0], id=nasty, worker=nasty, lane=nasty),),
        pauses=(replace(seen.pauses[0], reason=nasty),),
        premises=(replace(seen.premises[0], name=nasty, sentence=nasty),),
        given_up=(nasty,),
        events=(replace(seen.events[0], sentence=nasty),),
    )
    lines = drawn(replace(picture(seen, trouble=nasty), source=nasty, whole=whole), 200, 60)
    text = "\n".join(lines)
    assert not set(text) & set("\x1b\x07\x9b\r")
    assert "[red]" in text


def test_without_a_terminal_everything_is_printed() -> None:
    """A log would have only as much as fits on a screen."""
    lines = drawn(replace(picture(busy()), whole=True), 100, 5)
    text = "\n".join(lines)
    assert all(event.sentence[:40] in text for event in busy().events)
    assert sum("counted" in line or "dialling" in line for line in lines) >= 12


def test_a_single_look_at_a_ledger_has_no_empty_chart() -> None:
    """A log would have twenty lines of nothing."""
    lines = drawn(replace(picture(replace(full(), chart=full().chart[:1])), whole=True), 100, 5)
    assert not any("┤" in line for line in lines)


def point(at: float, reported: int | None, *, others: int | None = None) -> Point:
    return Point(NOW + at, reported, 1, 1, others, 20, 2, None)


def rows(points: Iterable[Point], width: int = 65, height: int = 10) -> list[str]:
    glyphs = Glyphs.fit_for(ascii_only=False)
    return chart([*points], now=NOW, width=width, height=height, glyphs=glyphs).plain.split("\n")


def test_the_chart_shows_calls_where_they_were() -> None:
    """An operator would see a rise at another time, or another height."""
    lines = rows([point(-599.0, 20), point(-300.0, 10), point(0.0, None)])
    bottom = lines[-1].partition("┤")[2]
    assert (bottom[0], bottom[29], bottom[-1]) == ("█", "█", " ")
    assert bottom.count("█") == 2
    heights = [sum(line.partition("┤")[2][at] in "▁▂▃▄▅▆▇█" for line in lines) for at in (0, 29)]
    assert heights == [9, 5]


def test_the_chart_has_lines_at_the_limits() -> None:
    """An operator would not see how much room is left."""
    lines = rows([point(-1.0, 3)], height=22)
    labels = [line.partition("┤")[0].strip() for line in lines]
    assert [label for label in labels if label] == ["20", "18", "0"]
    assert labels.index("18") == labels.index("20") + 2
    assert rows([])[-1].startswith("   0┤")


def test_single_seconds_without_a_point_leave_no_holes() -> None:
    """A wide chart would look like a comb."""
    lines = rows([point(-second, 20) for second in range(1, 599, 2)], width=505, height=4)
    assert " " not in lines[-1].partition("┤")[2][3:-3]


STATUS = busy().as_json()


async def asked(answer: web.Response, token: str | None = None) -> tuple[Overview, list[str]]:
    """What a server answers to a feed, and with which authorization it was asked."""
    authorizations: list[str] = []

    async def status(request: web.Request) -> web.Response:
        authorizations.append(request.headers.get("Authorization", ""))
        return answer

    application = web.Application()
    application.router.add_get("/v1/status", status)
    async with TestServer(application) as server, aiohttp.ClientSession() as session:
        feed = UrlFeed(session, str(server.make_url("")).rstrip("/"), token)
        return await feed.look(), authorizations


async def test_a_server_is_asked_with_its_token() -> None:
    """`callguard top` would show nothing of a server on another machine."""
    seen, authorizations = await asked(web.json_response(STATUS), "t0ken")
    assert (seen, authorizations) == (busy(), ["Bearer t0ken"])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((404, "nothing here", "text/plain"), "HTTP 404: nothing here"),
        ((503, '{"detail": "it drains"}', "application/problem+json"), "HTTP 503: it drains"),
        ((302, "", "text/plain"), "HTTP 302"),
        ((200, "<html>", "text/html"), "no JSON"),
        ((200, "{}", "application/json"), "not an overview .* has no field 'workspace'"),
        ((200, "[" * 50_000, "application/json"), "no JSON"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_answers_that_are_no_overview_are_said(
    answer: tuple[int, str, str], said: str
) -> None:
    """A wrong address or a missing token would end in a traceback."""
    status, text, kind = answer
    response = web.Response(status=status, text=text, content_type=kind)
    with pytest.raises(ServerAway, match=said):
        await asked(response)


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (None, "the server wants its token"),
        ("t0ken", "the server refuses the token of CALLGUARD_TOKEN"),
    ],
)
async def test_a_missing_token_is_told_from_a_wrong_one(token: str | None, said: str) -> None:
    """Whoever has set a token would set it again, or look for a fault in the address."""
    with pytest.raises(ServerAway, match=f"^{said}$") as caught:
        await asked(web.Response(status=401), token)
    assert caught.value.advice == "set CALLGUARD_TOKEN to the server's own"


async def test_an_address_that_cannot_be_used_is_said() -> None:
    """The token would travel unencrypted, or the advice name another option."""
    with pytest.raises(UsageError, match=r"^--url must begin with https://.*, got 'top:8790'"):
        async with feed_of("top:8790", None, None, allow_plain_http=False):
            pass


def test_the_token_does_not_travel_unencrypted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Anyone on the way could read it, and pause the campaign."""
    monkeypatch.setenv("CALLGUARD_TOKEN", "t0ken")
    assert main(["top", "--json", "--url", "http://10.0.0.1:8790"]) == ExitCode.WRONG_USE
    captured = capsys.readouterr()
    assert "--allow-plain-http" in captured.err
    assert json.loads(captured.out)["exit"] == ExitCode.WRONG_USE
    assert "t0ken" not in captured.out + captured.err


def test_a_server_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    """A script would not know whether to try again."""
    assert main(["top", "--url", "http://127.0.0.1:1"]) == ExitCode.UNREACHABLE
    assert capsys.readouterr().err == (
        "nobody answers at http://127.0.0.1:1; check --url, and that `callguard serve` runs there\n"
    )


class _AtHand:
    """A feed that has its overview at hand."""

    name = "here"

    async def look(self) -> Overview:
        return busy()


@pytest.mark.parametrize(
    ("columns", "width"), [("80", 80), ("200", 200), (None, 120), ("", 120), ("many", 120)]
)
def test_a_log_gets_the_width_that_it_asks_for_and_no_blanks_at_the_ends_of_lines(
    columns: str | None,
    width: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A picture in a narrow window would be broken, and a diff of two of them full of blanks."""
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr("callguard.cli.top.feed_of", lambda *_, **__: nullcontext(_AtHand()))
    assert main(["top"]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    assert width - 5 <= max(map(cell_len, lines)) <= width
    assert not [line for line in lines if line != line.rstrip()]


def test_before_anything_was_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever tries it first would be told to check an address that they never gave."""
    for name in ("CALLGUARD_LEDGER", "CALLGUARD_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("callguard.cli.top_feeds.URL", "http://127.0.0.1:1")
    assert main(["top"]) == ExitCode.UNREACHABLE
    advice = "start `callguard serve`, or pass --url or --ledger redis://…"
    assert capsys.readouterr().err == f"nobody answers at http://127.0.0.1:1; {advice}\n"


async def test_a_ledger_that_nobody_has_used(
    redis_url: str,
    workspace_key: str,
) -> None:
    """Whoever mistypes a key or a name would be told to check --url."""
    async with RedisLedger.from_url(redis_url, name=workspace_key) as ledger:
        for key, advice in (
            ("key_x", "check RETELL_API_KEY, or pass --name"),
            ("", "check --name"),
        ):
            with pytest.raises(ServerAway, match="no gate has used this ledger") as caught:
                await LedgerFeed(ledger, key, "here").look()
            assert caught.value.advice.startswith(advice)
