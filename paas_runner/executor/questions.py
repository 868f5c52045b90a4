"""What an executor lets registration ask, so that the section it writes can be served as it is.

An `ExecutorKind` that has `questions` gets them asked in their order, each answer checked before the next
question. Registration asks any other kind's required settings, by what their declarations say.
"""

import enum
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import attrs

from paas_runner.errors import RunnerError
from paas_runner.executor.contract import RunnerSection
from paas_runner.http import Connect
from paas_runner.job.images import InvalidReferenceError, parse


class AnswerRefusedError(RunnerError):
    """An answer that cannot be taken, and why; `again` names an earlier question to be answered anew."""

    def __init__(self, text: str, *, again: str = "") -> None:
        """`text` is a sentence for the one who answered; it repeats no secret."""
        super().__init__(text)
        self.again = again


class AnswerKind(enum.Enum):
    """How an answer is given."""

    TEXT = enum.auto()
    SECRET = enum.auto()  # never shown
    YES_NO = enum.auto()


@attrs.frozen(kw_only=True)
class Choice:
    """One of the possible answers, and a remark shown beside it."""

    value: str
    note: str = ""


@attrs.frozen(kw_only=True)
class QuestionContext:
    """What is known when a question is asked, or its answer checked."""

    section: RunnerSection
    settings: Mapping[str, Any]
    """The executor's settings so far, by field, with their types."""

    connect: Connect


async def names_an_image(_: QuestionContext, answer: str) -> str:
    """A check: what no engine takes for the name of an image is refused; variables are known to jobs only."""
    try:
        if "$" not in answer:
            parse(answer)
    except InvalidReferenceError as error:
        raise AnswerRefusedError(f"this is no image name: {error}") from None
    return ""


def _always(_: QuestionContext) -> bool:
    return True


@attrs.frozen(kw_only=True)
class Question:
    """One key of the section; without a default it must be answered."""

    key: str
    """With dots for a key of a sub-table: `docker.image`."""

    variable: str = ""
    """The environment variable that answers it for a script; by default the key in capitals."""

    prompt: str = ""
    """What is asked for; without one nothing is asked, and the default is written unless more is given."""

    kind: AnswerKind = AnswerKind.TEXT
    default: str | None = None
    wanted: Callable[[QuestionContext], bool] = _always
    choices: Callable[[QuestionContext], Awaitable[Sequence[Choice]]] | None = None
    """The only answers possible; raises `RemoteError` when they cannot be read now."""

    check: Callable[[QuestionContext, str], Awaitable[str]] | None = None
    """Gets the answer, which is among the settings, too; returns what was found out, for the reader.

    Raises `AnswerRefusedError`, or `RemoteError` when it cannot be checked now.
    """


@runtime_checkable
class HasQuestions(Protocol):
    """An `ExecutorKind` that says what registration should ask."""

    @property
    def questions(self) -> Sequence[Question]:
        """In the order of asking."""
