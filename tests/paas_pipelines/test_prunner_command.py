"""`paas-pipelines`: prunner's options, variables and commands (P076–P095), in this process."""

import logging
import re

import jwt
import pytest
from paas_pipelines.cli import prunner
from paas_pipelines.cli.options import OPTIONS, settings_of
from paas_pipelines.server.settings import Settings

from paas_runner.errors import UsageError
from tests.support.pipelines_server import environment

SECRET = "a secret of as many characters as PyJWT wants"


def settings(*arguments, **environ):
    given, rest = prunner._parsed(arguments)
    assert not rest
    return settings_of(given, environ)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    for name in list(environment(tmp_path)):
        if name.startswith(("PRUNNER_", "PAAS_", "MINIMAL")):
            monkeypatch.delenv(name)
    return tmp_path


def called(capsys, *arguments):
    code = prunner.main(arguments)
    return code, *capsys.readouterr()


def test_without_anything_the_defaults_are_prunners():
    assert settings() == Settings()


@pytest.mark.parametrize(
    ("row", "argument", "value", "field", "expected"),
    [
        ("P076", "verbose", "true", "verbose", True),
        ("P077", "enable-profiling", "1", "enable_profiling", True),
        ("P078", "disable-ansi", "T", "disable_ansi", True),
        ("P079", "config", "/etc/p.yml", "config", "/etc/p.yml"),
        ("P080", "jwt-secret", SECRET, "jwt_secret", "[secret]"),
        ("P081", "data", "/var/p", "data", "/var/p"),
        ("P082", "pattern", "*.yml", "pattern", "*.yml"),
        ("P083", "path", "app", "path", "app"),
        ("P084", "address", ":9009", "address", ":9009"),
        ("P085", "env-files", "a.env, b.env", "env_files", ("a.env", "b.env")),
        ("P085", "env-files", "", "env_files", ()),
        ("P087", "watch", "true", "watch", True),
        ("P088", "poll-interval", "1m30s", "poll_interval", "0:01:30"),
        ("ours", "external-url", "https://ci.example", "external_url", "https://ci.example"),
        ("ours", "runners", "config.toml", "runners", "config.toml"),
        ("ours", "max-log-bytes", "1000", "max_log_bytes", 1000),
        ("ours", "settings", "automation.toml", "settings", "automation.toml"),
    ],
)
def test_each_option_is_taken_as_flag_and_as_variable(row, argument, value, field, expected):
    """P090; with one dash or two, with and without `=`."""
    variable = f"{'PAAS_PIPELINES' if row == 'ours' else 'PRUNNER'}_{argument.replace('-', '_').upper()}"
    for found in (
        settings(f"--{argument}={value}"),
        settings(f"-{argument}={value}"),
        settings(**{variable: value}),
        settings(f"--{argument}={value}", **{variable: "true" if expected is True else "7s"}),
    ):
        got = getattr(found, field)
        assert (got if isinstance(expected, bool | int | tuple) else str(got)) == expected


def test_every_option_of_the_table_is_in_the_one_above():
    assert len(OPTIONS) == 16


def test_a_flag_wins_over_its_variable_and_false_is_a_value():
    assert settings("--watch=false", PRUNNER_WATCH="1").watch is False
    assert settings(PRUNNER_WATCH="f").watch is False
    assert settings(PRUNNER_WATCH="", PRUNNER_POLL_INTERVAL="", PRUNNER_DATA="") == Settings()


def test_switches_take_no_value_behind_a_blank_and_others_do():
    given, rest = prunner._parsed(
        ["-v", "--data", "--odd", "--env-files", "a", "--env-files=b", "debug", "-x"]
    )
    assert (given["verbose"], given["data"], given["env-files"]) == (["true"], ["--odd"], ["a", "b"])
    assert rest == ["debug", "-x"]


@pytest.mark.parametrize(
    ("arguments", "environ", "told"),
    [
        (["--nonsense"], {}, "flag provided but not defined: -nonsense"),
        (["--data"], {}, "flag needs an argument: -data"),
        (["--watch=maybe"], {}, 'could not parse "maybe" as bool'),
        (["--poll-interval=30"], {}, "has no unit"),
        (["--poll-interval=-1s"], {}, "no time to wait"),
        ([], {"PRUNNER_POLL_INTERVAL": "soon"}, "$PRUNNER_POLL_INTERVAL"),
        (["--max-log-bytes=0"], {}, "no number of bytes"),
    ],
)
def test_wrong_usage_is_told(arguments, environ, told):
    with pytest.raises(UsageError, match=re.escape(told)):
        settings(*arguments, **environ)


@pytest.mark.parametrize("arguments", [["--nonsense"], ["no-command"], ["--watch=maybe"], ["--data"]])
def test_every_usage_error_ends_with_1(here, capsys, arguments):
    """P095."""
    code, out, err = called(capsys, *arguments)
    assert (code, out) == (1, "")
    assert err.startswith("paas-pipelines: ")


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["help"], ["h"], ["--data", "x", "help", "debug"]])
def test_help_lists_commands_options_and_variables(here, capsys, arguments):
    """P089."""
    code, out, _ = called(capsys, *arguments)
    assert code == 0
    for option in OPTIONS:
        assert f"--{option.name}" in out
        assert f"[${option.variable}]" in out
    assert re.findall(r"^   (debug|version|help, h) ", out, re.MULTILINE) == ["debug", "version", "help, h"]


def test_version_is_one_line(here, capsys):
    """P091."""
    code, out, err = called(capsys, "version")
    assert (code, err) == (0, "")
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", out)


def test_debug_tells_a_header_with_a_token_of_the_secret(here, capsys, monkeypatch):
    """P092."""
    monkeypatch.setenv("PRUNNER_JWT_SECRET", SECRET)
    code, out, _ = called(capsys, "debug")
    assert code == 0
    token = re.search(r"^    Authorization: Bearer (\S+)\n\Z", out, re.MULTILINE)[1]
    assert jwt.decode(token, SECRET, algorithms=["HS256"]).keys() == {"iat"}


def test_debug_for_scripts_prints_the_value_and_nothing_else(here, capsys, monkeypatch):
    """P092; the secret is of the file, which is made by it."""
    monkeypatch.setenv("MINIMAL_OUTPUT", "1")
    code, out, err = called(capsys, "debug")
    assert code == 0
    assert re.fullmatch(r"Bearer [\w.-]+", out)
    assert "Bearer" not in err


def test_help_of_a_command_does_nothing(here, capsys):
    code, out, _ = called(capsys, "debug", "--help")
    assert (code, "Authorization: Bearer" in out, list(here.iterdir())) == (0, False, [])
