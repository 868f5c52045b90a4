"""Files of authors who are not trusted, and surroundings that are not what one hopes for."""

import asyncio
import json
import os
import pwd
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from paas_workflows.definition.checking import examined
from paas_workflows.definition.document import DocumentError
from paas_workflows.store.executions import default_folder

from paas_runner import cli
from tests.support.wire_server import Server, listening

FILE = """\
name: z
context: {{a: {value}}}
workflows: {{run: {{start: {{action: a}}}}}}
actions: {{a: {{image: action}}}}
"""
ODD = "start\n\x1b]0;title\x07\x01"
DRAWN = {
    "name": "z\x1b[31m\0\ufffe",
    "current_step": ODD,
    "workflows": {"run": {ODD: {"action": "a]]>\x01", "success": "漢字"}, "漢字": {"action": "b"}}},
    "actions": {"a": {"image": "action"}},
}


@pytest.fixture
def called(capfd, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    def call(*arguments):
        code = cli.main(["workflow", *map(str, arguments)])
        return code, *capfd.readouterr()

    return call


@pytest.fixture
def odd(tmp_path):
    path = tmp_path / "odd.json"
    path.write_text(json.dumps(DRAWN))
    return path


@pytest.mark.parametrize("value", ["!!int abc", "!!float x", "!!bool maybe", "9" * 5000, "!!int ''"])
def test_a_value_that_its_tag_does_not_fit_is_told_with_its_line(value):
    with pytest.raises(DocumentError, match=r"^f\.yaml:2: what is written as `\w+` is none$"):
        examined("f.yaml", FILE.format(value=value).encode())


def test_a_flag_that_its_tag_does_not_fit_is_told_with_its_line():
    found = examined("f.yaml", f"stop_on_failure: !!bool maybe\n{FILE.format(value=1)}".encode())
    assert [str(each) for each in found.complaints] == [
        "f.yaml:1: stop_on_failure: true or false was expected, not a text"
    ]


def test_a_picture_of_any_names_is_xml(called, odd):
    code, out, _ = called("graph", odd, "--svg")
    assert code == 0
    assert ET.fromstring(out).tag.endswith("svg")


def test_a_box_has_one_line_and_is_as_wide_as_its_name(called, odd):
    _, out, _ = called("graph", odd)
    assert out.splitlines()[1].rstrip() == "│ start ]0;title │ a]]>"
    assert [line for line in out.splitlines() if "漢字" in line and "│" in line] == ["│ 漢字 │ b"]
    assert "┌──────┐" in out


def test_no_name_in_a_message_moves_a_terminals_cursor(called, tmp_path):
    wrong = tmp_path / "wrong.json"
    start = {"action": "a", "success": "x\x1b[2J"}
    wrong.write_text(json.dumps({**DRAWN, "workflows": {"run": {ODD: start}}}))
    code, _, err = called("run", wrong)
    assert (code, "no step `x" in err) == (2, True)
    assert all(char.isprintable() or char == "\n" for char in err)


@pytest.fixture
def answered(called):
    """A call about a file that a server has, in whose address is a password."""

    def call(text, command, *options):
        body = text.encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()

        async def served():
            async with listening(Server([head + body])) as port:
                url = f"http://somebody:hunter22@127.0.0.1:{port}/f.yaml?key=hunter22"
                return await asyncio.to_thread(called, command, url, *options)

        return asyncio.run(served())

    return call


@pytest.mark.parametrize(
    ("command", "option", "reads"), [("check", "--json", json.loads), ("graph", "--svg", ET.fromstring)]
)
def test_of_an_address_nothing_but_the_answer_is_printed(answered, command, option, reads):
    code, out, err = answered(FILE.format(value=1), command, option)
    assert (code, err) == (0, "")
    assert reads(out) is not None


def test_messages_have_an_address_without_its_password(answered):
    for text, told in ((FILE.format(value=1), "/f.yaml: can be run"), ("a: 1", "/f.yaml:1: name is missing")):
        _, out, err = answered(text, "check")
        assert told in out.replace("the file.", "")
        assert "hunter22" not in out + err


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"HOME": "", "XDG_STATE_HOME": "relative"}])
def test_without_a_home_records_are_in_that_of_the_users_account(environ):
    home = pwd.getpwuid(os.getuid()).pw_dir
    assert default_folder(environ) == Path(home, ".local/state/paas-runner/workflows")
