"""How one thing is found out: what was given is taken if it is accepted, else a person is asked until it is.

Without a person, what is missing or not accepted ends it.
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import attrs

from paas_runner.errors import RemoteError, UsageError
from paas_runner.executor.questions import AnswerRefusedError, Choice
from register.terminal import Terminal

T = TypeVar("T")


class MissingAnswerError(UsageError):
    """There is no one to ask, and this was not given."""


class GoBackError(Exception):
    """The answer to an earlier question is to be given again, before this one's."""

    def __init__(self, key: str) -> None:
        """`key` is the earlier question's."""
        super().__init__(key)
        self.key = key


@attrs.frozen(kw_only=True)
class Wanted(Generic[T]):
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
    """Asks the person at `terminal`, if there is one."""

    def __init__(self, terminal: Terminal | None, show: Callable[[str], None]) -> None:
        """`show` gets what was found out, person or not."""
        self.terminal = terminal
        self.show = show

    def settle(self, wanted: Wanted[T]) -> T:
        """The accepted answer.

        Raises `GoBackError` where a person should mend an earlier answer; without a person
        `MissingAnswerError`, `AnswerRefusedError` or `RemoteError`.
        """
        answer = wanted.given
        while True:
            try:
                offered = wanted.choices() if wanted.choices else ()
                if answer is None:
                    answer = self._ask(wanted, offered)
                _check_offered(answer, offered)
                return wanted.accept(answer)
            except AnswerRefusedError as error:
                if self.terminal is None:
                    source = f"--set {error.again}=…" if error.again else wanted.source
                    raise AnswerRefusedError(f"{source}: {error}") from error
                self.terminal.complain(str(error))
                if error.again:
                    raise GoBackError(error.again) from None
                answer = None
            except RemoteError as error:
                if self.terminal is None:
                    raise
                self.terminal.complain(str(error))
                self.terminal.ask("Enter to try again, Ctrl-C to give up")

    def _ask(self, wanted: Wanted[T], offered: Sequence[Choice]) -> str:
        if self.terminal is None:
            if wanted.default is None:
                raise MissingAnswerError(wanted.source)
            return wanted.default
        if wanted.secret:
            return self.terminal.secret(wanted.prompt)
        for number, choice in enumerate(offered, 1):
            self.terminal.show(f"  {number:2}) {choice.value}" + (f"  {choice.note}" if choice.note else ""))
        answer = self.terminal.ask(wanted.prompt, wanted.default)
        if offered and answer.isdecimal() and 1 <= int(answer) <= len(offered):
            return offered[int(answer) - 1].value
        return answer


def _check_offered(answer: Any, offered: Sequence[Choice]) -> None:
    values = [choice.value for choice in offered]
    if offered and answer not in values:
        raise AnswerRefusedError(f'"{answer}" is not on offer; choices: {", ".join(values)}')
