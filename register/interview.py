"""How one thing is found out: what was given is taken if it will do, else a person is asked until it does.

Without a person, what will not do or is missing ends it.
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import attrs

from paas_runner.errors import RemoteError, RunnerError
from paas_runner.executor.questions import AnswerRefusedError, Choice
from register.terminal import Terminal

T = TypeVar("T")


class MissingAnswerError(RunnerError):
    """Nobody can be asked, and this was not given."""


class GoBackError(Exception):
    """The answer to an earlier question is to be given again, before this one's."""

    def __init__(self, key: str) -> None:
        """`key` is the earlier question's."""
        super().__init__(key)
        self.key = key


@attrs.frozen(kw_only=True)
class Ask(Generic[T]):
    """One thing to find out."""

    prompt: str
    source: str
    """How it is given without being asked: an option, a variable."""

    accept: Callable[[Any], T]
    """Checks an answer and returns its value; raises `AnswerRefusedError` or `RemoteError`."""

    given: Any = None
    default: str | None = None
    secret: bool = False
    choices: Callable[[], Sequence[Choice]] | None = None


class Interview:
    """Asks the person at `terminal`; nobody, if there is none."""

    def __init__(self, terminal: Terminal | None, tell: Callable[[str], None]) -> None:
        """`tell` gets what was found out, person or not."""
        self.terminal = terminal
        self.tell = tell

    def settle(self, ask: Ask[T]) -> T:
        """The accepted answer.

        Raises `GoBackError` where a person should mend an earlier answer; without a person
        `MissingAnswerError`, `AnswerRefusedError` or `RemoteError`.
        """
        answer = ask.given
        while True:
            try:
                offered = ask.choices() if ask.choices else ()
                if answer is None:
                    answer = self._asked(ask, offered)
                _check_offered(answer, offered)
                return ask.accept(answer)
            except AnswerRefusedError as error:
                if self.terminal is None:
                    raise AnswerRefusedError(f"{ask.source}: {error}") from error
                self.terminal.complain(str(error))
                if error.again:
                    raise GoBackError(error.again) from None
                answer = None
            except RemoteError as error:
                if self.terminal is None:
                    raise
                self.terminal.complain(str(error))
                self.terminal.ask("Enter to try again, Ctrl-C to give up")

    def _asked(self, ask: Ask[T], offered: Sequence[Choice]) -> str:
        if self.terminal is None:
            if ask.default is None:
                raise MissingAnswerError(ask.source)
            return ask.default
        if ask.secret:
            return self.terminal.secret(ask.prompt)
        for number, choice in enumerate(offered, 1):
            self.terminal.say(f"  {number:2}) {choice.value}" + (f"  {choice.note}" if choice.note else ""))
        answer = self.terminal.ask(ask.prompt, ask.default)
        if offered and answer.isdecimal() and 1 <= int(answer) <= len(offered):
            return offered[int(answer) - 1].value
        return answer


def _check_offered(answer: Any, offered: Sequence[Choice]) -> None:
    values = [choice.value for choice in offered]
    if offered and answer not in values:
        raise AnswerRefusedError(f'"{answer}" is not on offer; choices: {", ".join(values)}')
