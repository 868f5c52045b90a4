"""Each command that a document shows is one that the programs understand."""

import re
import shlex

import pytest

from paas_runner import cli
from paas_runner.inner.cli import parser as inner_parser
from register.commands import register_parser
from tests.support.site_program import ROOT

PROGRAMS = {
    "paas-runner": cli.commands_parser,
    "heptapod-paas-runner": cli.service_parser,
    "heptapod-paas-runner-register": register_parser,
    "paas-runner-inner": inner_parser,
}
_SHOWN = re.compile(r"^```(?:sh|shell)?\n(.*?)^```$|((?:^    .*\n)+)", re.MULTILINE | re.DOTALL)
_ENDS = re.compile(r"\s(?:\||&&|;|>|#)\s.*|;.*$")
_OF_1_1_1 = "/srv/heptapod-paas-runner/"


def commands():
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for found in _SHOWN.finditer(path.read_text()):
            text = (found[1] or re.sub(r"^    ", "", found[2], flags=re.MULTILINE)).replace("\\\n", " ")
            for line in text.splitlines():
                if command := command_in(line):
                    yield pytest.param(command, id=f"{path.name} {' '.join(command)}"[:90])


def command_in(line):
    """The program of ours in a line, with its arguments; None where there is none."""
    try:
        words = shlex.split(_ENDS.sub("", line.split("$(")[-1].rstrip(')"') if "$(" in line else line))
    except ValueError:
        return None
    while words and (words[0] in ("export", "sudo") or "=" in words[0]):
        prefix = words.pop(0)
        while prefix == "sudo" and words and words[0].startswith("-"):
            words = words[2:] if words[0] == "-u" else words[1:]
    if not words or words[0].startswith(_OF_1_1_1):
        return None
    name = words[0].rpartition("/")[2]
    return [name, *words[1:]] if name in PROGRAMS else None


@pytest.mark.parametrize("command", list(commands()))
def test_it_is_understood(command, capsys):
    parser = PROGRAMS[command[0]]()
    arguments = [word for word in command[1:] if word not in ("…", "...")]
    told = None
    try:
        parser.parse_args(arguments)
    except SystemExit as end:  # --help, --version, or a complaint
        told = end.code
    assert not told, capsys.readouterr().err


def test_there_are_such_commands():
    found = {tuple(each.values[0][:2]) for each in commands()}
    assert {("paas-runner", "check"), ("paas-runner", "drain"), ("paas-runner", "orphans")} <= found
