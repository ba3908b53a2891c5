"""What holds for every command: exit codes, the version, and what is imported when."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import callguard
from callguard import cli
from callguard.cli import main
from callguard.cli.exits import ExitCode

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nonsense",),
        ("demo", "--nonsense"),
        ("demo", "--seed", "one"),
        ("demo", "--leads", "0"),
        ("status", "--timeout"),
        ("status", "--api-key", "k"),
        ("simulator", "--port", "65536"),
        ("simulator", "--talk-time", "sometimes"),
        ("simulator", "--limit", "-1"),
        ("simulator", "--fault", "500"),
        ("simulator", "--fault-rate", "1", "--fault", "404"),
        ("simulator", "--fault-rate", "2"),
        ("simulator", "--fault-at", "5:500"),
        ("simulator", "--dial-fault-rate", "1", "--dial-fault", "broken-json"),
        ("simulator", "--port", "0", "--webhook-url", "ftp://here"),
    ],
)
def test_wrong_use(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """A script could not tell its own mistake from an answer, or would see a traceback."""
    assert main(arguments) == ExitCode.WRONG_USE
    captured = capsys.readouterr()
    # What it says besides is typer's, and without arguments differs between its versions.
    assert captured.err if arguments else captured.err + captured.out
    assert "Traceback" not in captured.err


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("demo", "--without"),
        ("status", "RETELL_API_KEY"),
        ("simulator", "exponential:60:300"),
        ("simulator", "The worst excess among them is"),
        ("serve", "docs/serve.md"),
    ],
)
def test_help(command: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A command would not say how it is used."""
    assert main([command, "--help"]) == ExitCode.OK
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("command", ["demo", "status", "ps", "probe", "simulator"])
def test_short_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """-h, which most programs know, would be an error."""
    texts = []
    for arguments in ([command, "-h"], [command, "--help"], ["-h"], ["--help"]):
        assert main(arguments) == ExitCode.OK
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != texts[2] == texts[3]


@pytest.mark.parametrize("columns", ["40", "60", "80", "200"])
def test_the_list_of_commands_is_not_cut(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a command is for would end in the middle of its sentence."""
    monkeypatch.setenv("COLUMNS", columns)
    assert main(["--help"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "..." not in out.partition("Commands:")[2]
    whole = " ".join(out.split())
    assert "in a simulated workspace." in whole
    assert "tested without an account." in whole
    assert max(map(len, out.splitlines())) <= max(50, int(columns))  # what typer needs at least


@pytest.mark.parametrize(
    ("words", "offered"),
    [("callguard st", "status"), ("callguard status --tim", "--timeout")],
)
def test_completion(
    words: str, offered: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A shell would complete no command and no option."""
    monkeypatch.setenv("_CALLGUARD_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    assert main([]) == ExitCode.OK
    assert capsys.readouterr().out.split() == [offered]


def test_hidden_option(capsys: pytest.CaptureFixture[str]) -> None:
    """An option that only the tests need would be offered to people."""
    main(["demo", "--help"])
    assert "--leads" not in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody could say which version a report is about."""
    assert main(["--version"]) == ExitCode.OK
    assert capsys.readouterr().out == f"callguard {callguard.__version__}\n"


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_missing_extra(missing: str) -> None:
    """Whoever installed callguard without its extra would see a traceback."""
    code = f"import sys; sys.modules[{missing!r}] = None; import callguard.__main__"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == ExitCode.NOT_INSTALLED
    assert ended.stderr == f"the command line needs {missing}: {cli._INSTALL}\n"


def test_missing_extra_of_serve() -> None:
    """Whoever installed the commands without the extra for the server would see a traceback."""
    code = (
        "import sys; sys.modules['jinja2'] = None\n"
        "from callguard.cli import main; sys.exit(main(['serve', '--port', '0']))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == ExitCode.NOT_INSTALLED
    assert ended.stderr.startswith("callguard serve needs jinja2: ")
    assert "Traceback" not in ended.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("module", ["aiohttp", "typer", "rich", "cachetools"])
def test_interrupted_while_it_is_imported(module: str, tmp_path: Path) -> None:
    """Ctrl-C in the first half second would end in a traceback of whatever was imported then."""
    presses = "import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(60)"
    (tmp_path / f"{module}.py").write_text(presses, encoding="utf-8")
    script = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from callguard_command import main; sys.exit(main())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, "--version"],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ended.returncode, ended.stderr) == (ExitCode.INTERRUPTED, "interrupted\n")


def test_the_command_is_the_one_that_heeds_ctrl_c_from_the_first() -> None:
    """An entry point within the package would import all of it before it could be interrupted."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"callguard": "callguard_command:main"}


def test_interrupted_before_a_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C while the program starts would end in a traceback."""

    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("callguard.cli._run", interrupt)
    assert main([]) == ExitCode.INTERRUPTED
    assert capsys.readouterr().err == "interrupted\n"
