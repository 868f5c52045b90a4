"""What registration asks for every executor, and how it checks the answers at once."""

import asyncio
import socket
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs

from paas_runner.config.model import STATE_FILE
from paas_runner.config.packaged import unit_of
from paas_runner.config.secret_references import Surroundings, UnavailableError, is_literal
from paas_runner.coordinator.runner_records import RunnerRecords
from paas_runner.errors import Rejected, Transient, UsageError
from paas_runner.executor.questions import AnswerRefusedError, Choice
from paas_runner.http import Connect, Tls
from paas_runner.job.known_runner import created_there, short_token
from paas_runner.logs import redactor
from paas_runner.secret import Secret
from paas_runner.setting_types import SCALARS, UnfitError, Url
from register.interview import Interview, Wanted
from register.options import Options, tags_in, yes_or_no
from register.target import UnwritableError, make_folder
from register.terminal import held_back

GIVEN_BY: Mapping[str, str] = {
    "url": "--coordinator-url or $CI_SERVER_URL",
    "token": "--token, $CI_SERVER_TOKEN, --registration-token or $REGISTRATION_TOKEN",
    "executor": "--executor or $RUNNER_EXECUTOR",
}
"""What a script gives instead of an answer."""


@attrs.frozen(kw_only=True)
class AcceptedToken:
    """A token that the coordinator has accepted: of a runner created there, or one that makes a runner."""

    secret: Secret
    written: str = attrs.field(repr=False)
    """As it was given: itself, or the place where it is."""

    of_runner: bool
    runner_id: int | None = None


@attrs.frozen(kw_only=True)
class OwnQuestions:
    """Each method finds out one thing; all raise as `Interview.settle`."""

    options: Options
    interview: Interview
    base: Mapping[str, Any]
    """The section of the template, or nothing."""

    around: Surroundings
    connect: Connect
    tls: Tls
    taken: Collection[str]
    """Short tokens of the runners that the configuration has already."""

    def concurrent(self) -> int:
        """Jobs at once over all runners."""

        def accept(answer: str) -> int:
            if not answer.isdecimal() or int(answer) < 1:
                raise AnswerRefusedError("a whole number of at least 1 was expected")
            return int(answer)

        wanted = Wanted(
            prompt="Jobs at once over all runners of this file",
            source="--max-concurrency",
            given=self.options.concurrent,
            default="10",
            accept=accept,
        )
        return self.interview.settle(wanted)

    def state_file(self) -> str:
        """Where running jobs are remembered, as an absolute path."""

        def accept(answer: str) -> str:
            path = self.around.folder / answer
            if not answer or _is_folder(path):
                raise AnswerRefusedError("the path of a file was expected, which need not exist")
            if obstacle := _obstacle(path.parent):
                raise AnswerRefusedError(obstacle)
            return str(path)

        wanted = Wanted(
            prompt="File in which running jobs are remembered (its folder must be the service's own)",
            source="--state-file-path",
            given=self.options.state_file,
            default=str(_records_folder(self.options.config) / STATE_FILE),
            accept=accept,
        )
        return self.interview.settle(wanted)

    def url(self) -> str:
        """The coordinator's address, at which one answers."""

        def accept(answer: str) -> str:
            try:
                url = SCALARS[Url].read(answer, self.around)
            except UnfitError as error:
                expected = "an address such as https://gitlab.example.com was expected"
                raise AnswerRefusedError("; ".join(filter(None, (str(error), expected)))) from None
            self._ask_coordinator(lambda: asyncio.run(self._records(url).probe()))
            self.interview.show(f"✓ a coordinator answers at {url}")
            return str(url)

        wanted = Wanted(
            prompt="Base address of the GitLab or Heptapod instance",
            source=GIVEN_BY["url"],
            given=self.options.url or self.base.get("url"),
            accept=accept,
        )
        return self.interview.settle(wanted)

    def token(self, url: str) -> AcceptedToken:
        """A token that the coordinator at `url` accepts."""
        by_runner, by_registration = self.options.token, self.options.registration_token
        given = by_runner or by_registration
        source = "--token" if by_runner else "--registration-token"

        def accept(answer: str) -> AcceptedToken:
            of_runner = by_runner is not None and answer == by_runner.reveal()
            return self._accepted(url, answer, of_runner=of_runner)

        wanted = Wanted(
            prompt="Registration token, or authentication token of a runner created there (glrt-…)",
            source=source if given else GIVEN_BY["token"],
            given=given.reveal() if given else None,
            secret=True,
            accept=accept,
        )
        return self.interview.settle(wanted)

    def name(self) -> str:
        """The runner's name in the file."""
        return self.interview.settle(
            Wanted(
                prompt="Name of the runner",
                source="--name or $RUNNER_NAME",
                given=self.options.name or self.base.get("name"),
                default=socket.gethostname(),
                accept=_something,
            )
        )

    def tags(self) -> tuple[str, ...]:
        """Tags of a new runner."""
        if self.options.tags is not None:
            return self.options.tags
        prompt = "Tags, with commas between them (may be empty)"
        return self.interview.settle(Wanted(prompt=prompt, source="", default="", accept=tags_in))

    def run_untagged(self, tags: tuple[str, ...]) -> bool:
        """Whether a new runner takes jobs without tags; one without tags has no choice."""
        if self.options.run_untagged is not None or not tags:
            return self.options.run_untagged is not False

        def accept(answer: str) -> bool:
            found = yes_or_no(answer)
            if found is None:
                raise AnswerRefusedError("yes or no was expected")
            return found

        prompt = "Should it take jobs without tags, too?"
        return self.interview.settle(Wanted(prompt=prompt, source="", default="no", accept=accept))

    def executor(self, installed: Collection[str]) -> str:
        """Where the jobs run."""
        return self.interview.settle(
            Wanted(
                prompt="Executor",
                source=GIVEN_BY["executor"],
                given=self.options.executor or self.base.get("executor"),
                default=next(iter(installed)) if len(installed) == 1 else None,
                choices=lambda: [Choice(value=name) for name in sorted(installed)],
                accept=_something,
            )
        )

    def _accepted(self, url: str, answer: str, *, of_runner: bool) -> AcceptedToken:
        try:
            value = answer if is_literal(answer) else self.around.dereferenced(answer) or answer
        except UnavailableError as error:
            raise AnswerRefusedError(str(error)) from None
        if not value:
            raise AnswerRefusedError("a token was expected")
        secret = Secret(value)
        redactor.add([secret])
        if not (of_runner or created_there(value)):
            self._ask_coordinator(lambda: asyncio.run(self._records(url).try_registration_token(secret)))
            self.interview.show("✓ the coordinator accepts the registration token")
            return AcceptedToken(secret=secret, written=answer, of_runner=False)
        if short_token(value) in self.taken:
            raise AnswerRefusedError("the file has a section with this token already: create another runner")
        if given := self.options.set_at_coordinator:
            raise UsageError(
                f"{', '.join(given)}: a runner with an authentication token (glrt-…) keeps this at the "
                "coordinator; set it there, in the runner's settings, and leave it out here"
            )
        verified = self._ask_coordinator(lambda: asyncio.run(self._records(url).verify(secret)))
        number = verified.runner_id
        self.interview.show(f"✓ the coordinator knows the runner{'' if number is None else f' (#{number})'}")
        return AcceptedToken(secret=secret, written=answer, of_runner=True, runner_id=number)

    def _ask_coordinator(self, call: Callable[[], Any]) -> Any:
        """Its refusal, or its silence, in words for the person who gave the answer."""
        try:
            return call()
        except Rejected as error:
            text = f"the coordinator {error.text}: {error.advice}" if error.advice else str(error)
            raise AnswerRefusedError(text) from error
        except Transient as error:
            raise AnswerRefusedError(f"{error}: is the address right, and can it be reached?") from error
        except OSError as error:
            raise AnswerRefusedError(f"the certificates cannot be used: {error.strerror}") from error

    def _records(self, url: str) -> RunnerRecords:
        return RunnerRecords(url=url, connect=self.connect, tls=self.tls)


def _records_folder(config: Path) -> Path:
    """Where the unit that serves this configuration may write; else beside the configuration."""
    unit = unit_of(config)
    if unit and not _obstacle(unit.records):
        return unit.records
    return config.absolute().parent


def _obstacle(folder: Path) -> str:
    """Why no file can be made in the folder, which need not exist; it does not exist for this."""
    try:
        with held_back(), ExitStack() as undo:
            make_folder(folder, undo)
    except UnwritableError as error:
        return str(error)
    return ""


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # it lies where this user may not look
        return False


def _something(answer: str) -> str:
    if not answer:
        raise AnswerRefusedError("something must be answered")
    return answer
