"""Executors of third parties: with questions of their own, or asked for what they cannot do without."""

import asyncio
import random
import tomllib
from collections.abc import Sequence
from typing import Any

import attrs
import pytest

from paas_runner.executor.questions import AnswerKind, AnswerRefusedError, Choice, Question, QuestionContext
from paas_runner.http import Http
from paas_runner.sandbox.server import Sandbox
from paas_runner.secret import Secret
from paas_runner.settings import setting
from register.interview import MissingAnswerError
from register.options import Options
from register.registration import Registration


@attrs.frozen(kw_only=True)
class Settings:
    station: str = setting("the station to use")
    cores: int = setting("how many cores a job gets")
    password: Secret = setting("the machine's password")
    comment: str = setting("anything", default="")


@attrs.frozen
class Plain:
    """Has settings, and no word about questions."""

    settings: type[Any] = Settings

    def build(self, settings, section, connect):
        raise NotImplementedError


async def _rooms(_: QuestionContext) -> Sequence[Choice]:
    return [Choice(value="attic"), Choice(value="cellar", note="cool")]


async def _knows(inquiry: QuestionContext, answer: str) -> str:
    if inquiry.settings["password"] != Secret("open sesame"):
        raise AnswerRefusedError("the machine does not open")
    return f"the machine opens from {inquiry.section.url}"


@attrs.frozen
class Talkative(Plain):
    questions: Sequence[Question] = (
        Question(key="station", prompt="Which room", choices=_rooms),
        Question(key="cores", prompt="Cores", default="2"),
        Question(key="password", prompt="Password", kind=AnswerKind.SECRET, check=_knows),
        Question(key="comment", default="made by registration"),
    )


class Person:
    """Answers in turn; no one else is asked."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.collected = []

    def ask(self, prompt, default=None):
        self.collected.append(prompt)
        return self._answers.pop(0) or default or ""

    def secret(self, prompt):
        return self.ask(prompt)

    def show(self, text):
        self.collected.append(text)

    complain = show


@pytest.fixture
async def sandbox():
    async with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def registered(sandbox, tmp_path):
    """Register in a thread, as registration runs loops of its own; returns the section."""
    token = sandbox.coordinator.runners.add(description="there").token

    async def run(kind, person, **environ):
        options = Options(
            config=tmp_path / "config.toml",
            name="x",
            url=sandbox.coordinator_url,
            token=token,
            executor="mine",
            description=None,
            tags=None,
            run_untagged=None,
            locked=None,
            paused=None,
            access_level=None,
            maximum_timeout=None,
            maintenance_note=None,
            template=None,
            settings={},
            secrets_file=None,
            concurrent="1",
            state_file="s.json",
            non_interactive=person is None,
            environ=environ,
        )
        registration = Registration(
            options=options,
            terminal=person,
            show=(person or Person()).show,
            connect=Http(rng=random.Random(0)),
            executors={"mine": lambda: kind},
        )
        await asyncio.to_thread(registration.run)
        return tomllib.loads((tmp_path / "config.toml").read_text())["runners"][0]

    return run


async def test_what_an_executor_cannot_do_without_is_asked_for_with_its_type(registered):
    person = Person("m1", "many", "4", "open sesame")
    section = await registered(Plain(), person)
    assert (section["station"], section["cores"], section["password"]) == ("m1", 4, "open sesame")
    assert "comment" not in section
    assert "expected a whole number" in person.collected


async def test_an_executors_own_questions_are_asked_instead(registered):
    person = Person("2", "", "abracadabra", "open sesame")
    section = await registered(Talkative(), person)
    assert (section["station"], section["cores"]) == ("cellar", 2)
    assert section["comment"] == "made by registration"
    assert "the machine does not open" in person.collected
    assert [each for each in person.collected if each.startswith("✓ the machine opens from http://127.0.0.1")]


async def test_what_lacks_for_them_is_named_too(registered):
    with pytest.raises(MissingAnswerError, match=r"\$STATION or --set station=…; no \$CORES .*\$PASSWORD"):
        await registered(Plain(), None)
