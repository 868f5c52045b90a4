"""The last step: the runner is registered and its section written, both or none.

Everything that may fail is rehearsed before the coordinator is asked. Signals wait where stopping would leave
something half done. Whatever goes wrong after the coordinator has made the runner, it is unregistered again.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import attrs

from paas_runner.coordinator.runner_records import Attributes, Registered, RunnerRecords
from paas_runner.errors import RemoteError, RunnerError, Transient
from paas_runner.logs import redactor
from register.document import Draft
from register.own_questions import AcceptedToken
from register.target import PLACEHOLDER, Target, make_folder
from register.terminal import held_back


class LeftOverError(RunnerError):
    """There is, or may be, a runner at the coordinator that no configuration has; what to do about it."""


@attrs.frozen(kw_only=True)
class Transaction:
    """What is known when everything is; `show` gets what was done."""

    records: RunnerRecords
    attributes: Attributes
    target: Target
    folders: Sequence[Path]
    """Those that are made unless they are there; they go again unless all of it succeeds."""

    show: Callable[[str], None]

    def commit(self, draft: Draft, token: AcceptedToken) -> None:
        """Raises `RemoteError`, what `Target.write` raises, `InterruptedByUserError`, or `LeftOverError`."""
        rehearsed = draft.copy()
        rehearsed.put("token", token.written if token.of_runner else PLACEHOLDER)
        with ExitStack() as undo:
            with held_back():
                for folder in self.folders:
                    make_folder(folder, undo)
                self.target.rehearse(rehearsed)
            self._carry_out(draft, token)
            undo.pop_all()

    def _carry_out(self, draft: Draft, token: AcceptedToken) -> None:
        with held_back() as give_way:
            if token.of_runner:
                self._write(draft, token.written, token.runner_id)
                return
            registered = self._registered(token)
            try:
                give_way()
                self._write(draft, registered.token.reveal(), registered.runner_id)
            except BaseException as error:
                self._undo(registered, error)
                raise

    def _registered(self, token: AcceptedToken) -> Registered:
        try:
            registered = asyncio.run(self.records.register(token.secret, self.attributes))
        except Transient as error:
            raise LeftOverError(
                f"{error}: it is not known whether it has made a runner. Look there for "
                f'"{self.attributes.description}", which was never contacted, and remove it'
            ) from error
        redactor.add([registered.token])
        return registered

    def _write(self, draft: Draft, token: str, runner_id: int | None) -> None:
        complete = draft.copy()
        complete.put("token", token)
        if runner_id is not None:
            complete.put("id", runner_id)
        self.target.write(complete)

    def _undo(self, registered: Registered, reason: BaseException) -> None:
        try:
            asyncio.run(self.records.unregister(registered.token))
        except RemoteError as error:
            raise LeftOverError(
                f"{reason!s}. The runner was registered and cannot be removed again "
                f'({error}): remove #{registered.runner_id}, "{self.attributes.description}", there'
            ) from reason
        self.show("the runner was unregistered again")
