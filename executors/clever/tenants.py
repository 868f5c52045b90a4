"""Whose organisation pays for a job in multi-tenant mode: custom attributes of the project's top-level group.

They are read once for a few minutes, however many jobs of a group wait for them. A group that is known by its
path alone is looked up afresh for each new host: the path may have become another group's. What is missing is
described without values.
"""

import asyncio
import re
from collections.abc import Sequence

import attrs
import structlog

from executors.clever.groups import FoundGroup, Group, GroupsApi
from executors.clever.settings import CleverSettings
from paas_runner.errors import Rejected, RunnerError
from paas_runner.executor.contract import JobRefusedError
from paas_runner.job.failure import Failure, FailureReason
from paas_runner.job.payload import Payload
from paas_runner.logs import redactor
from paas_runner.secret import Secret

log = structlog.stdlib.get_logger(__name__)

GROUP_VARIABLE = "CI_PROJECT_ROOT_NAMESPACE"
FRESH_SECONDS = 300.0
LONGEST_PATH = 255
"""Characters of a group's path: GitLab's own bound."""

_ORGANISATION = re.compile(r"[A-Za-z0-9_-]{1,200}")
_TOKEN = re.compile(r"[\x21-\x7e]{1,4096}")  # it travels in headers


class TenantError(RunnerError):
    """No account is found that pays for this tenant's hosts; the text is for the job's author."""


@attrs.frozen(kw_only=True)
class TenantCredentials:
    """What opens one organisation, API and push alike, and the id of the group that has it."""

    organisation: str
    token: Secret
    group: int


def group_of(payload: Payload) -> str:
    """The project's top-level group; raises `JobRefusedError`.

    By what the coordinator itself says of the job, else by its variable. Of several entries of that the first
    counts: the coordinator's own come first in a payload, and an author's, which take precedence in the job,
    must not make another group pay.
    """
    root, slash, _ = payload.project_path.partition("/")
    found = root if slash else _by_variable(payload)
    if "/" in found or not found.strip(".") or not found.isprintable() or len(found) > LONGEST_PATH:
        text = (
            f"This runner needs to know the top-level group of the project ({GROUP_VARIABLE}), and the job "
            "does not have it. The operators of this runner can help."
        )
        raise JobRefusedError(Failure(reason=FailureReason.SYSTEM, text=text))
    return found


def _by_variable(payload: Payload) -> str:
    return next((entry.value for entry in payload.variables if entry.key == GROUP_VARIABLE), "")


@attrs.frozen
class _Reading:
    begun: float
    credentials: TenantCredentials

    @property
    def until(self) -> float:
        return self.begun + FRESH_SECONDS


class Tenants:
    """The groups' attributes, as the coordinator has them."""

    def __init__(self, settings: CleverSettings, groups: GroupsApi) -> None:
        self._names = (settings.cc_orga_id_attribute, settings.cc_orga_token_attribute)
        self.groups_api = groups
        self._readings: dict[int | str, _Reading] = {}
        self._locks: dict[int | str, asyncio.Lock] = {}
        self._unknown: set[int | str] = set()

    async def credentials(self, group: Group, *, afresh: bool = False) -> TenantCredentials:
        """The group's attributes as they are, or were up to five minutes ago.

        With `afresh` the coordinator is asked after the call has begun. Raises `TenantError` when the
        attributes do not say it, `Transient` when the coordinator does not answer.
        """
        begun = _now()
        async with self._locks.setdefault(_key(group), asyncio.Lock()):
            reading = self._readings.get(_key(group))
            if reading is None or _now() >= reading.until or (afresh and reading.begun < begun):
                reading = await self._look_up(group)
            return reading.credentials

    def forget(self, group: Group, refused: TenantCredentials) -> None:
        """The cloud refused these credentials: read them anew, unless that has been done."""
        reading = self._readings.get(_key(group))
        if reading and reading.credentials == refused:
            del self._readings[_key(group)]

    def follow(self, other: "Tenants") -> None:
        """Read the attributes as `other` does, which is of the same section after a reload."""
        self.groups_api.follow(other.groups_api)

    async def groups(self, *, complete: bool = False) -> Sequence[Group]:
        """The top-level groups with one of the two attributes, or both; raises `Transient` or `Rejected`."""
        enough = len(self._names) if complete else 1
        return [
            Group(each.path, each.ref)
            for each in await self.groups_api.all()
            if sum(name in each.attributes for name in self._names) >= enough
        ]

    async def aclose(self) -> None:
        await self.groups_api.aclose()

    async def _look_up(self, group: Group) -> _Reading:
        self._readings.pop(_key(group), None)
        begun = _now()
        try:
            found = self._read(await self._found(group))
        except TenantError as error:
            if _key(group) not in self._unknown:
                log.error("tenant_without_credentials", tenant=group.path, reason=str(error))
            self._unknown.add(_key(group))
            raise
        self._unknown.discard(_key(group))
        redactor.add([found.token])
        self._readings[_key(group)] = reading = _Reading(begun, found)
        return reading

    async def _found(self, group: Group) -> FoundGroup:
        try:
            found = await self.groups_api.find(group)
        except Rejected as error:
            raise TenantError(
                f"This runner may not read the attributes of groups (status {error.status}), so it cannot "
                f'find out who pays for the jobs of "{group.path}". The operators of this runner can help: '
                "`cc_gitlab_namespace_attributes_token` must be an administrator's."
            ) from error
        if found is None:
            raise TenantError(
                f'The coordinator knows no group "{group.path}" with attributes for this runner: projects in '
                "a user's own namespace cannot use it. The operators of this runner can help."
            )
        return found

    def _read(self, group: FoundGroup) -> TenantCredentials:
        values = [group.attributes.get(name) for name in self._names]
        for name, value in zip(self._names, values, strict=True):
            if not isinstance(value, str) or not value.strip():
                raise TenantError(
                    f'The group "{group.path}" has no attribute `{name}`, so no one can be found to pay for '
                    "its jobs. The owners of the group should ask the operators of this runner."
                )
        organisation, token = (str(value).strip() for value in values)
        checks = zip(
            self._names,
            (_ORGANISATION.fullmatch(organisation), _TOKEN.fullmatch(token)),
            ("no id of an organisation", "no token"),
            strict=True,
        )
        for name, found, what in checks:
            if not found:
                raise TenantError(
                    f'The attribute `{name}` of the group "{group.path}" is {what}. '
                    "The owners of the group should ask the operators of this runner."
                )
        return TenantCredentials(organisation=organisation, token=Secret(token), group=group.ref)


def _key(group: Group) -> int | str:
    """A group that was renamed keeps its readings, one that took over a free path has its own."""
    return group.path if group.ref is None else group.ref


def _now() -> float:
    return asyncio.get_running_loop().time()
