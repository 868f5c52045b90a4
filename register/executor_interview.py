"""The executor's own questions, asked in their order, each answer checked before the next one."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

import attrs

from paas_runner.config.complaints import Finding, Findings
from paas_runner.config.dialect import ALIASES, FORWARDED_KEYS
from paas_runner.config.reader import Reader
from paas_runner.config.secret_references import Surroundings
from paas_runner.executor.contract import ExecutorKind, RunnerSection
from paas_runner.executor.questions import (
    AnswerKind,
    AnswerRefusedError,
    Choice,
    HasQuestions,
    Question,
    QuestionContext,
)
from paas_runner.http import Connect, Tls
from paas_runner.logs import redactor
from paas_runner.secret import Secret
from paas_runner.settings import declared
from register.document import Draft
from register.interview import GoBackError, Interview, Wanted
from register.options import toml_value, yes_or_no

CHECK_SECONDS = 60.0


def questions_of(kind: ExecutorKind) -> Sequence[Question]:
    """What the executor wants to be asked; without a word of its own, each setting that must be there."""
    if isinstance(kind, HasQuestions):
        return kind.questions
    return [
        Question(
            key=key.written, prompt=key.doc, kind=AnswerKind.SECRET if key.kind is Secret else AnswerKind.TEXT
        )
        for key in declared(kind.settings)
        if key.required
    ]


@attrs.frozen(kw_only=True)
class ExecutorInterview:
    """One executor and one section; the answers go into `draft`."""

    kind: ExecutorKind
    draft: Draft
    interview: Interview
    around: Surroundings
    connect: Connect
    tls: Tls
    settled: Collection[str]
    """Keys that the command line gave, so that no variable overrides them."""

    def missing(self) -> list[str]:
        """What was not given and has no default, as far as can be known before anything is checked."""
        scratch = attrs.evolve(self, draft=self.draft.copy())
        missing = []
        for question in questions_of(self.kind):
            if not question.wanted(scratch.context()):
                continue
            answer = scratch.given(question)
            answer = question.default if answer is None else answer
            if answer is None:
                missing.append(_source(question))
                continue
            with suppress(AnswerRefusedError):  # refused again when it is its turn
                scratch.draft.put(question.key, scratch.value(question, answer))
        return missing

    def run(self) -> None:
        """Ask; raises as `Interview.settle`, but for going back."""
        questions = questions_of(self.kind)
        keys = [question.key for question in questions]
        position, mended = 0, set[str]()
        while position < len(questions):
            question = questions[position]
            if question.wanted(self.context()):
                try:
                    self._settle(question, again=question.key in mended)
                except GoBackError as back:
                    earlier = keys.index(back.key)
                    mended.update(keys[earlier : position + 1])
                    position = earlier
                    continue
            position += 1

    def context(self) -> QuestionContext:
        """What is known by now."""
        settings = {key: value for key, value in self.read()[0].items() if value is not None}
        return QuestionContext(section=self._section(), settings=settings, connect=self.connect)

    def read(self) -> tuple[dict[str, Any], list[Finding]]:
        """The executor's settings as far as they are known, None for a wrong one, and what is wrong."""
        findings = Findings()
        reader = Reader(findings=findings, around=self.around, aliases=ALIASES)
        values = reader.values(self.kind.settings, self.draft.table, ())
        return values, [fault for fault in findings.faults if fault.at[0] in self.draft.table]

    def given(self, question: Question) -> Any:
        """The answer that need not be asked for."""
        variable = self.around.environ.get(_variable(question))
        if question.key not in self.settled and variable:
            return variable
        return self.draft.get(question.key)

    def value(self, question: Question, answer: Any) -> Any:
        """An answer as the file has it; raises `AnswerRefusedError`."""
        if not isinstance(answer, str):
            return answer
        if question.kind is AnswerKind.YES_NO:
            found = yes_or_no(answer)
            if found is None:
                raise AnswerRefusedError("yes or no was expected")
            return found
        if not answer:
            raise AnswerRefusedError("something must be answered")
        return toml_value(answer) if self._fault(question.key, answer) else answer

    def _settle(self, question: Question, *, again: bool) -> None:
        present = self.draft.get(question.key)
        secret = question.kind is AnswerKind.SECRET
        if not question.prompt:
            answer = self.given(question)
            self._accept(question, question.default if answer is None else answer)
            return
        default = present if again and isinstance(present, str) and not secret else question.default
        self.interview.settle(
            Wanted(
                prompt=question.prompt,
                source=_source(question),
                accept=lambda answer: self._accept(question, answer),
                given=None if again else self.given(question),
                default=default,
                secret=secret,
                choices=None if question.choices is None else lambda: self._choices(question),
            )
        )

    def _choices(self, question: Question) -> Sequence[Choice]:
        return [] if question.choices is None else self._within(question.choices(self.context()))

    def _accept(self, question: Question, answer: Any) -> None:
        value = self.value(question, answer)
        if fault := self._fault(question.key, value):
            raise AnswerRefusedError(f"expected {fault.expected}" if fault.expected else fault.found)
        self.draft.put(question.key, value)
        if question.kind is AnswerKind.SECRET:
            redactor.add([Secret(str(value))])
        if question.check and (found := self._within(question.check(self.context(), str(answer)))):
            self.interview.show(f"✓ {found}")

    def _within(self, looking: Any) -> Any:
        async def limited() -> Any:
            async with asyncio.timeout(CHECK_SECONDS):
                return await looking

        try:
            return asyncio.run(limited())
        except TimeoutError:
            raise AnswerRefusedError(f"no answer within {CHECK_SECONDS:g} s") from None

    def _fault(self, key: str, value: Any) -> Finding | None:
        """The fault that the configuration's reader finds with a setting of the executor's."""
        other = attrs.evolve(self, draft=self.draft.copy())
        other.draft.put(key, value)
        return next((fault for fault in other.read()[1] if fault.at[0] == key), None)

    def _section(self) -> RunnerSection:
        table = self.draft.table
        forwarded: Mapping[str, Any] = {key: table[key] for key in table if key in FORWARDED_KEYS}
        return RunnerSection(
            name=str(table.get("name", "")),
            url=str(table.get("url", "")),
            short_token="",
            forwarded=forwarded,
            installation="",
            tls=self.tls,
        )


def variable_of(kind: ExecutorKind, key: str) -> str:
    """The environment variable that answers for a key of the section."""
    asked = next((question for question in questions_of(kind) if question.key == key), None)
    return _variable(asked or Question(key=key))


def _variable(question: Question) -> str:
    return question.variable or question.key.replace(".", "_").replace("-", "_").upper()


def _source(question: Question) -> str:
    if question.kind is AnswerKind.SECRET:
        return f"${_variable(question)}"
    return f"${_variable(question)} or --set {question.key}=…"
