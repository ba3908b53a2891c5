"""The configuration of ``callguard serve``: flags over the environment over the file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest

from callguard import Lane, Trunk, UsageError
from callguard.serve.configuration import configured
from callguard.serve.settings import Bounds, ServeSettings, WorkspaceSettings

FILE = """
port = 9000
wait = 110
drain = 10

[bounds]
max_waiters = 50

[workspace]
cps = "none"
counts_ringing = true
ends_free_at_once = true

[[workspace.lanes]]
name = "urgent"
priority = -1

[[workspace.lanes]]
name = "campaign"
reserve = 2
default = true

[[workspace.trunks]]
name = "twilio"
cps = 5

[workspace.trunk_of]
"+1415*" = "twilio"

[workspaces.0123456789abcdef01234567]
cps = 3
"""


def read(
    tmp_path: Path,
    text: str = "",
    environment: Mapping[str, str] | None = None,
    **flags: object,
) -> ServeSettings:
    file = tmp_path / "callguard.toml"
    file.write_text(text, "utf-8")
    return configured(file, environment or {}, flags)


def test_every_plain_setting_can_be_set() -> None:
    """A setting would be known by name, and end the server with a traceback."""
    plain = {
        field.name: field.default
        for field in dataclasses.fields(ServeSettings)
        if isinstance(field.default, bool | int | float | str)
    }
    environment = {f"CALLGUARD_{name.upper()}": str(said).lower() for name, said in plain.items()}
    assert configured(None, environment, {}) == ServeSettings()


def test_nothing_said_is_the_default() -> None:
    """A server without a file would not start."""
    assert configured(None, {}, {}) == ServeSettings()


def test_a_file_says_everything(tmp_path: Path) -> None:
    """A setting would be read and have no effect."""
    options = {"counts_ringing": True, "ends_free_at_once": True}
    lanes = (Lane("urgent", priority=-1), Lane("campaign", reserve=2, default=True))
    assert read(tmp_path, FILE) == ServeSettings(
        port=9000,
        wait=110.0,
        drain=10.0,
        bounds=Bounds(max_waiters=50),
        workspace=WorkspaceSettings(
            lanes=lanes,
            trunks=(Trunk("twilio", cps=5),),
            cps=None,
            trunk_of={"+1415*": "twilio"},
            options=options,
        ),
        workspaces={"0123456789abcdef01234567": WorkspaceSettings(cps=3)},
    )


def test_a_file_says_none_for_no_tracking(tmp_path: Path) -> None:
    """Asking could not be turned off, since TOML has no None."""
    settings = read(tmp_path, '[workspace]\ntrack = "none"')
    assert settings.workspace.options == {"track": None}


def test_flags_come_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    """A deployment could not override what the image says."""
    variables = {"CALLGUARD_PORT": "9001", "CALLGUARD_WAIT": "50", "CALLGUARD_CPS": "2"}
    settings = read(tmp_path, FILE, variables, port=9002, wait=None)
    assert (settings.port, settings.wait, settings.drain) == (9002, 50.0, 10.0)
    assert settings.workspace.cps == 2


def test_secrets_come_from_the_environment_and_are_not_shown() -> None:
    """A key would be in the log of whoever prints the settings."""
    variables = {"RETELL_API_KEY": "key_secret", "CALLGUARD_TOKEN": "12345678"}
    settings = configured(None, variables, {"ledger": None})
    assert (settings.api_key, settings.token) == ("key_secret", "12345678")
    assert "key_secret" not in repr(settings)
    assert "12345678" not in repr(settings)


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("CALLGUARD_TOKEN", "token must be text in UTF-8"),
        ("RETELL_API_KEY", "the API key contains"),
    ],
)
def test_a_secret_that_is_no_text_is_an_error_that_does_not_show_it(
    variable: str, said: str
) -> None:
    """A server would end in a traceback, or start and fail at each request."""
    with pytest.raises(UsageError) as caught:
        configured(None, {variable: "caf\udce9-12345678"}, {})
    assert said in str(caught.value)
    assert "12345678" not in str(caught.value)


def test_a_token_that_is_no_text_in_a_file_is_an_error_that_does_not_show_it(
    tmp_path: Path,
) -> None:
    """A secret would be in the log of whoever starts the server."""
    with pytest.raises(UsageError) as caught:
        read(tmp_path, "token = 12345678")
    assert "token must be text" in str(caught.value)
    assert "12345678" not in str(caught.value)


def test_the_clients_address_of_the_provider_is_not_the_servers() -> None:
    """A server that shares its environment with a dialer would forward to itself."""
    settings = configured(None, {"RETELL_BASE_URL": "http://127.0.0.1:8790"}, {})
    assert settings.provider_url == "https://api.retellai.com"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 1", "prot is no setting; did you mean port?"),
        ("cps = 5", "cps belongs into the table [workspace]"),
        ("lanes = 3", "lanes belongs into the table [workspace]"),
        ("[workspaces.abc]", "[workspaces.abc] is for no workspace"),
        ("[bounds]\nmax_waiter = 1", "[bounds] max_waiter is no setting; did you mean max_waiters"),
        ("[workspace]\ncsp = 1", "[workspace] csp is no setting; did you mean cps?"),
        ("[[workspace.lanes]]\nname='a'\nprioritty=1", "did you mean priority?"),
        ("[[workspace.lanes]]\nname='a'\nreserve=-1", "reserve must be at least 0"),
        ("[workspace.trunk_of]\n'+1*' = 'twilio'", "no trunk 'twilio', only default"),
        ("[workspace]\nmax_age = 0.1", "max_age must be at least ttl"),
        ("[workspace]\ntrack = false", '[workspace] track must be "ask" or "none", got False'),
        ("[workspace]\nlanes = 1", "must be tables"),
        ("workspace = 1", "workspace must be a table"),
        ("port = '80'", "port must be"),
        ("port = 70000", "port must be at most 65535"),
        ("wait = -1", "wait must be at least 0"),
        ("idle = 5", "idle must be at least ring_limit + counter_lag, 32 s"),
        ("idle = 60", "back_within must be at most idle, 60 s, because a gate that was closed has"),
        ("back_within = 301", "has forgotten who is to come back; got 301"),
        ("host = '0.0.0.0'", "set CALLGUARD_TOKEN"),
        ("provider_url = 'http://example.com'", "pass --allow-plain-http"),
        ("provider_url = 'http://localhost:8790/'", "is this server's own"),
        ("api_key = 'key'", "api_key is no setting"),
        ("port", "is not valid TOML"),
    ],
)
def test_what_can_not_be_right_is_an_error_that_says_which(
    tmp_path: Path, text: str, said: str
) -> None:
    """A slip of the pen would have no effect, or end in a traceback."""
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("misspelt", "right"), [("PROVIDR_URL", "PROVIDER_URL"), ("PROT", "PORT"), ("WIAT", "WAIT")]
)
def test_a_misspelt_variable_is_an_error_and_one_of_somebody_else_is_not(
    misspelt: str, right: str
) -> None:
    """A slip in a deployment's environment would have no effect."""
    with pytest.raises(UsageError, match=f"CALLGUARD_{right} is"):
        configured(None, {f"CALLGUARD_{misspelt}": "x"}, {})
    assert configured(None, {"CALLGUARD_TEST_REDIS": "x"}, {}) == ServeSettings()


@pytest.mark.parametrize(
    ("name", "table"),
    [
        *[(name, "workspace") for name in ("ends_free_at_once", "ttl", "track", "trunks")],
        ("trunk_of", "workspace"),
        *[(field.name, "bounds") for field in dataclasses.fields(Bounds)],
    ],
)
def test_a_variable_for_what_only_the_file_says_is_an_error_that_says_where_it_goes(
    name: str, table: str
) -> None:
    """A server would start without a setting that its deployment gives it."""
    variable = f"CALLGUARD_{name.upper()}"
    with pytest.raises(UsageError) as caught:
        configured(None, {variable: "true"}, {})
    assert f"{variable} is no setting; {name} goes into [{table}] of the file" in str(caught.value)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """A server would start without its lanes and trunks."""
    with pytest.raises(UsageError, match="can't be read"):
        configured(tmp_path / "none.toml", {}, {})
