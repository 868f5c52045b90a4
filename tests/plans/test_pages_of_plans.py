"""The pages about plans are true: their blocks are run, and print what stands below them."""

import ast
import inspect
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "plans" / "index.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCKS = [(found[1], found[2]) for found in BLOCK.finditer(PAGE)]
FIRST = next(text for language, text in BLOCKS if language == "python")
STORY = [block for block in BLOCKS if block[0] != "sh" and block[1] != FIRST]


def printed_below(index):
    """What a block of the story is said to print."""
    following = STORY[index + 1 : index + 2]
    return following[0][1] if following and following[0][0] == "text" else ""


async def said_by(text, names):
    code = compile(text, "the page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    with redirect_stdout(StringIO()) as said:
        if inspect.iscoroutine(waited := eval(code, names)):
            await waited
    return said.getvalue()


async def test_the_story_of_the_page_can_be_told_and_prints_what_stands_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for index, (language, text) in enumerate(STORY):
        if language == "python":
            assert await said_by(text, names) == printed_below(index), text
    await names["workstream"].__aexit__(None, None, None)


def outputs():
    """What is printed below commands, by the last of them."""
    pairs = pairwise(BLOCKS)
    return {text: below for (kind, text), (other, below) in pairs if (kind, other) == ("sh", "text")}


def test_the_first_plan_of_the_page_is_the_example_and_prints_what_stands_there(tmp_path):
    example = (ROOT / "plans" / "examples" / "first_plan.py").read_text()
    assert example.endswith(FIRST)
    assert FIRST in (ROOT / "plans" / "README.md").read_text()
    assert sum(bool(line.strip()) for line in FIRST.splitlines()) <= 20
    (tmp_path / "first_plan.py").write_text(FIRST)
    command = [sys.executable, "first_plan.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == outputs()["bin/python first_plan.py\n"]


ROW = r"[0-9a-f]{12}  ✓ completed {4}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {1,11}[\d.]+ s  First plan\n"


@pytest.mark.long
def test_a_newcomer_who_types_what_stands_there_has_a_plan(tmp_path):
    checkout, planning = tmp_path / "checkout", tmp_path / "planning"
    checkout.mkdir()
    (checkout / "plans").symlink_to(ROOT / "plans")
    install, start, look = [text for language, text in BLOCKS if language == "sh"]

    def typed(text, folder=planning):
        return subprocess.run(
            ["sh", "-ec", text], cwd=folder, capture_output=True, text=True, timeout=110, check=False
        )

    if (installed := typed(install, checkout)).returncode:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(installed.stdout + installed.stderr)
    (planning / "first_plan.py").write_text(FIRST)
    assert typed(start).stdout == outputs()[start]
    assert re.fullmatch(ROW, typed(look).stdout)
    assert re.fullmatch(ROW, outputs()[look])


def commands():
    """Of the section about the command line: a name, and the options that stand there."""
    _, _, section = PAGE.partition("\n## Command line")
    for name, rest in re.findall(r"^paas-plans (\w+) (.*)$", section, re.MULTILINE):
        yield pytest.param(name, re.findall(r"--?[a-z]+", rest), id=name)


@pytest.mark.parametrize(("name", "options"), list(commands()))
def test_each_command_has_the_options_of_the_page(name, options):
    command = [sys.executable, "-m", "paas_plans", name, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert [option for option in options if not re.search(rf"{option}\b", done.stdout)] == []
