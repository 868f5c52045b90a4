"""Commands that other distributions bring as entry points, and `register` as the first of them."""

import importlib.metadata
import re
import subprocess
import sys
from importlib.metadata import EntryPoint

import attrs
import pytest

from paas_runner import cli
from paas_runner.commands.command import Command

ORDER = [
    *("run", "register", "unregister", "verify", "list", "check", "status", "explain", "reload", "drain"),
    *("pause", "resume", "orphans", "expire", "costs", "notify", "migrate", "store", "demo", "exec"),
    *("workflow", "pipelines"),
]


def brought(monkeypatch, **values):
    """Nothing but these entry points."""
    found = [EntryPoint(name, value, cli.ENTRY_POINTS) for name, value in values.items()]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group: found)


def called(capsys, *arguments):
    """Exit code, answer and messages."""
    try:
        code = cli.main(arguments)
    except SystemExit as ended:
        code = ended.code
    told = capsys.readouterr()
    return code, told.out, told.err


def test_commands_stand_in_the_order_in_which_an_operator_needs_them(capsys):
    code, text, _ = called(capsys, "--help")
    assert code == 0
    assert re.findall(r"^    ([a-z-]+)(?: |$)", text, re.MULTILINE) == ORDER


GREETING = Command(
    name="greet",
    help="say hello",
    description="",
    epilog="",
    arguments=lambda parser: parser.add_argument("whom") and None,
    call=lambda arguments: print(f"hello {arguments.whom}") or 0,
)

WRONG_HELP = attrs.evolve(GREETING, help="100 %")
WRONG_ARGUMENTS = attrs.evolve(GREETING, arguments=lambda _: 1 / 0)


def test_another_distributions_command_is_listed_last_and_can_be_called(monkeypatch, capsys):
    brought(monkeypatch, greet=f"{__name__}:GREETING")
    code, text, _ = called(capsys, "--help")
    assert code == 0
    assert re.search(r"^    demo .*^    greet +say hello$", text, re.MULTILINE | re.DOTALL)
    assert called(capsys, "greet", "world") == (0, "hello world\n", "")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("no_such_module_at_all:COMMAND", "ModuleNotFoundError: No module named 'no_such_module_at_all'"),
        (f"{__name__}:NOTHING", "AttributeError"),
        (f"{__name__}:ORDER", f"{__name__}:ORDER is no command, but list"),
        ("tests.commands.breaks_at_import:COMMAND", "ZeroDivisionError: division by zero"),
        ("tests.commands.ends_at_import:COMMAND", "SystemExit: 3"),
        (f"{__name__}:WRONG_HELP", "ValueError"),
        (f"{__name__}:WRONG_ARGUMENTS", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_command_that_cannot_be_loaded_says_so_and_is_in_no_other_ones_way(
    monkeypatch, capsys, value, problem
):
    brought(monkeypatch, broken=value, greet=f"{__name__}:GREETING")
    for arguments in ((), ("one", "--two"), ("--two",), ("--help",)):
        code, answer, messages = called(capsys, "broken", *arguments)
        assert (code, answer) == (1, "")
        assert messages.startswith(
            "paas-runner: the command `broken` of another distribution cannot be loaded: "
        )
        assert problem in messages
        assert "Traceback" not in messages
    code, text, messages = called(capsys, "--help")
    assert (code, messages) == (0, "")
    assert "(it cannot be loaded: call it to see why)" in text
    assert called(capsys, "greet", "world")[0] == 0


def test_no_other_distribution_takes_the_name_of_one_of_ours(monkeypatch, capsys):
    brought(monkeypatch, status=f"{__name__}:GREETING")
    code, text, _ = called(capsys, "status", "--help")
    assert code == 0
    assert "CONFIG" in text
    assert "whom" not in text


def test_a_command_has_the_name_of_its_entry_point(monkeypatch, capsys):
    brought(monkeypatch, welcome=f"{__name__}:GREETING", state=f"{__name__}:NAMED_AS_OURS")
    code, text, _ = called(capsys, "--help")
    assert code == 0
    assert re.search(r"^    welcome +say hello$", text, re.MULTILINE)
    assert called(capsys, "welcome", "world") == (0, "hello world\n", "")
    assert called(capsys, "state", "world") == (0, "hello world\n", "")


NAMED_AS_OURS = attrs.evolve(GREETING, name="status")

LIGHT = """
import sys
from paas_runner.cli import main
try:
    main({arguments})
except SystemExit:
    pass
heavy = {{"asyncio", "httpx", "structlog", "git", "docker", "tomlkit", "rich", "sqlite3", "cattrs"}}
print("heavy:", *sorted(heavy & sys.modules.keys()))
print("sought" if "importlib.metadata" in sys.modules else "not sought")
"""


@pytest.mark.parametrize(
    ("arguments", "sought"),
    [(["--help"], "sought"), (["register", "--help"], "sought"), (["orphans", "--help"], "not sought")],
)
def test_help_imports_nothing_that_takes_long(arguments, sought):
    told = subprocess.run(
        [sys.executable, "-c", LIGHT.format(arguments=arguments)], capture_output=True, text=True, check=True
    )
    assert told.stdout.splitlines()[-2:] == ["heavy:", sought]
