"""Log lines: for people or machines, about whom, and without secrets."""

import base64
import io
import json
import logging
import os
import re
from pathlib import Path

import pytest
import structlog

from paas_runner import logs
from paas_runner.secret import Secret

CANARY = 'canary"secret/0123'


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def out(monkeypatch):
    monkeypatch.setattr(logs, "redactor", logs.Redactor())
    monkeypatch.setattr(logs.chain, "redactor", logs.redactor)
    monkeypatch.setattr(logs.chain, "SOCKET", Path("/nowhere/journal/socket"))
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)


def configured(stream, level="info", form=None):
    logs.configure(level=level, form=form, stream=stream)
    logs.redactor.add([Secret(CANARY), Secret("short")])
    return structlog.stdlib.get_logger("test")


def lines(out):
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_pipe_gets_one_json_object_a_line(out):
    configured(out).info("job_launched", job=7, seconds=0.5)
    [line] = lines(out)
    assert (line["event"], line["job"], line["seconds"], line["level"]) == ("job_launched", 7, 0.5, "info")
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize("form", [None, "text"])
def test_a_line_says_when_which_process_which_logger_and_how_grave(out, form):
    """H029, of ours and of libraries alike."""
    configured(out, form=form).info("job_launched")
    logging.getLogger("library").warning("hello")
    for text, logger, level in zip(
        out.getvalue().splitlines(), ["test", "library"], ["info", "warning"], strict=True
    ):
        if form is None:
            line = json.loads(text)
            assert (line["process"], line["logger"], line["level"]) == (os.getpid(), logger, level)
            assert line["timestamp"]
        else:
            assert re.match(rf"\d{{4}}-\d\d-\d\d\S+ \[{level} *\].*\[{logger}\].*process={os.getpid()}", text)


def test_a_terminal_has_one_process_and_need_not_be_told_which():
    terminal = Terminal()
    configured(terminal).info("job_launched")
    assert "process" not in terminal.getvalue()
    assert "[test]" not in terminal.getvalue()


def test_a_terminal_gets_lines_for_people():
    terminal = Terminal()
    configured(terminal).info("job_launched", job=7)
    assert "job launched" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")


@pytest.mark.parametrize("form", ["runner", "text"])
def test_the_formats_of_gitlab_runner_for_people_work_in_a_pipe_without_colours(out, form):
    configured(out, form=form).warning("careful", reason="it rains")
    assert "careful" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_json_may_be_asked_for_on_a_terminal():
    terminal = Terminal()
    configured(terminal, form="json").info("x")
    assert json.loads(terminal.getvalue())["event"] == "x"


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", {"d", "i", "w", "e"}),
        ("info", {"i", "w", "e"}),
        ("warning", {"w", "e"}),
        ("error", {"e"}),
        ("fatal", set()),
        ("panic", set()),
    ],
)
def test_levels_are_those_of_gitlab_runner(out, level, shown):
    log = configured(out, level=level)
    log.debug("d")
    log.info("i")
    log.warning("w")
    log.error("e")
    assert {line["event"] for line in lines(out)} == shown


def test_what_is_bound_to_a_task_stands_on_every_line(out):
    log = configured(out)
    with structlog.contextvars.bound_contextvars(runner="one", job=7, phase="launching"):
        log.info("x")
        logging.getLogger("somebody.else").warning("y")
    assert [(line["runner"], line["job"], line["phase"]) for line in lines(out)] == [
        ("one", 7, "launching")
    ] * 2


@pytest.mark.parametrize(
    "form",
    [
        CANARY,
        json.dumps(CANARY)[1:-1],
        "canary%22secret%2F0123",
        base64.b64encode(CANARY.encode()).decode(),
    ],
)
def test_a_registered_secret_is_taken_out_in_every_form(out, form):
    log = configured(out)
    log.info(f"with {form} inside", value=f"x{form}x", nested={"a": [form, {"b": form}]})
    logging.getLogger("httpx").warning("GET https://x/?token=%s", form)
    assert form not in out.getvalue()
    assert out.getvalue().count("[secret]") == 5


def test_a_secret_is_taken_out_of_a_traceback(out):
    log = configured(out)
    try:
        int(f"refused: {CANARY}")
    except ValueError:
        log.exception("unexpected")
    assert "Traceback" in out.getvalue()
    assert "canary" not in out.getvalue()


def test_values_under_telling_keys_are_hidden_even_when_nobody_registered_them(out):
    configured(out).info("x", job_token="never registered", Authorization="Basic eA==", tokens=3)
    [line] = lines(out)
    assert (line["job_token"], line["Authorization"], line["tokens"]) == ("[secret]", "[secret]", 3)


def test_a_short_value_does_not_take_half_of_the_language_with_it(out):
    configured(out).info("a short story")
    assert lines(out)[0]["event"] == "a short story"


def test_urls_of_the_http_library_are_not_logged(out):
    configured(out, level="debug")
    logging.getLogger("httpx").info("HTTP Request: GET https://x/?job_token=abc")
    assert out.getvalue() == ""


@pytest.mark.parametrize(
    "text",
    [
        "as gitlab-ci-token:{}@gitlab.example",
        "?job_token={}&x=1",
        "It is {}.",
        '{{"token": "{}"}}',
        "{}",
    ],
)
def test_the_token_of_a_tracked_job_is_taken_out_as_long_as_it_is_tracked(text):
    redactor = logs.Redactor()
    token = Secret("glcbt-64_AbC-d.e~f")
    redactor.track(token)
    redactor.track(Secret("another-token"))
    assert redactor.text(text.format(token.reveal())) == text.format("[secret]")
    redactor.untrack(token)
    assert redactor.text(text.format(token.reveal())) == text.format(token.reveal())


@pytest.mark.parametrize("word", ["provisioning", "awaiting_provisioning", "2026-11-28T22", "concurrent"])
def test_a_coordinator_makes_none_of_our_own_words_a_secret(word):
    redactor = logs.Redactor()
    redactor.track(Secret(word))
    assert redactor.text(f'{{"{word}": "{word}:00"}}') == f'{{"{word}": "{word}:00"}}'


def test_each_line_for_the_journal_begins_with_its_priority(tmp_path, monkeypatch, out):
    with (tmp_path / "journal").open("w+") as journal:
        there = os.fstat(journal.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{there.st_dev}:{there.st_ino}")
        log = configured(journal, level="debug", form="text")
        for level in ("critical", "error", "warning", "info", "debug"):
            getattr(log, level)("x")
        try:
            int("many")
        except ValueError:
            log.exception("unexpected")
        journal.seek(0)
        told = journal.read().splitlines()
    assert [line[:3] for line in told[:5]] == ["<2>", "<3>", "<4>", "<6>", "<7>"]
    assert len(told) > 6
    assert {line[:3] for line in told[5:]} == {"<3>"}
    configured(out).info("not the journal")
    assert lines(out)[0]["event"] == "not the journal"


def test_a_line_that_cannot_be_written_is_told_without_its_secrets(out, capfd):
    logs.configure(level="info", form="json", stream=out)
    logs.redactor.add([Secret("canary-of-a-line")])
    structlog.stdlib.get_logger("test").warning("job_failed", reason="canary-of-a-line", a={1, object()})
    logging.getLogger("library").warning("%d", "canary-of-a-line")
    assert "a line of the log was lost (WARNING)" in out.getvalue()
    assert "canary" not in out.getvalue() + capfd.readouterr().err
