"""The last step: the runner is registered and its section written, both or none.

Signals wait meanwhile. Whatever goes wrong after the coordinator has made the runner, it is removed again.
"""

import asyncio
from collections.abc import Callable

import attrs

from paas_runner.coordinator.runner_records import Attributes, Enrolled, Enrolment
from paas_runner.errors import RemoteError, RunnerError, Transient
from paas_runner.logs import redactor
from register.document import Draft
from register.own_questions import Admission
from register.target import Target
from register.terminal import held_back


class LeftOverError(RunnerError):
    """There is, or may be, a runner at the coordinator that no configuration has; what to do about it."""


@attrs.frozen(kw_only=True)
class Commitment:
    """What is known when everything is; `tell` gets what was done."""

    enrolment: Enrolment
    attributes: Attributes
    target: Target
    tell: Callable[[str], None]

    def fulfil(self, draft: Draft, admission: Admission) -> None:
        """Raises `RemoteError`, what `Target.write` raises, `InterruptedByUserError`, or `LeftOverError`."""
        with held_back() as give_way:
            if admission.of_runner:
                self._write(draft, admission.written, admission.runner_id)
                return
            enrolled = self._enrolled(admission)
            try:
                give_way()
                self._write(draft, enrolled.token.reveal(), enrolled.runner_id)
            except BaseException as error:
                self._undo(enrolled, error)
                raise

    def _enrolled(self, admission: Admission) -> Enrolled:
        try:
            enrolled = asyncio.run(self.enrolment.enrol(admission.secret, self.attributes))
        except Transient as error:
            raise LeftOverError(
                f"{error}: nobody knows whether it has made a runner. Look there for "
                f'"{self.attributes.description}", which was never contacted, and remove it'
            ) from error
        redactor.add([enrolled.token])
        return enrolled

    def _write(self, draft: Draft, token: str, runner_id: int | None) -> None:
        complete = draft.copy()
        complete.put("token", token)
        if runner_id is not None:
            complete.put("id", runner_id)
        self.target.write(complete)

    def _undo(self, enrolled: Enrolled, reason: BaseException) -> None:
        try:
            asyncio.run(self.enrolment.remove(enrolled.token))
        except RemoteError as error:
            raise LeftOverError(
                f"{reason!s}. The runner was registered and cannot be removed again "
                f'({error}): remove #{enrolled.runner_id}, "{self.attributes.description}", there'
            ) from reason
        self.tell("the runner was unregistered again")
