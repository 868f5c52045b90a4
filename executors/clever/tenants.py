"""Whose organisation pays for a job in multi-tenant mode: custom attributes of the project's top-level group.

Spec `gitlab-runner-api.md` §7.2; only an administrator's token may read them. They are read once for a
few minutes, however many jobs of a group wait for them. What is missing is described without values.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import attrs
import structlog

from executors.clever.settings import CleverSettings
from paas_runner.errors import Rejected, RunnerError, Transient
from paas_runner.executor.contract import JobRefusedError, RunnerSection
from paas_runner.http import QUICK_TRIES, Connect, HttpClient, Response
from paas_runner.job.failure import Failure, FailureReason
from paas_runner.job.payload import Payload
from paas_runner.logs import redactor
from paas_runner.secret import Secret

log = structlog.stdlib.get_logger(__name__)

GROUP_VARIABLE = "CI_PROJECT_ROOT_NAMESPACE"
FRESH_SECONDS = 300.0
_LIST = "list the groups"


class TenantError(RunnerError):
    """No account is found that pays for this tenant's hosts; the text is for the job's author."""


@attrs.frozen(kw_only=True)
class TenantCredentials:
    """What opens one organisation, API and push alike."""

    organisation: str
    token: Secret


def group_of(payload: Payload) -> str:
    """The project's top-level group; raises `JobRefusedError`.

    The first entry counts. The coordinator's own variables come first in a payload, and an author's, which
    take precedence in the job, must not make another group pay.
    """
    found = next((entry.value for entry in payload.variables if entry.key == GROUP_VARIABLE), "")
    if not found or "/" in found:
        text = (
            f"This runner needs to know the top-level group of the project ({GROUP_VARIABLE}), and the job "
            "does not have it. The operators of this runner can help."
        )
        raise JobRefusedError(Failure(reason=FailureReason.SYSTEM, text=text))
    return found


@attrs.frozen
class _Reading:
    until: float
    credentials: TenantCredentials


class Tenants:
    """The groups' attributes, as the coordinator has them."""

    def __init__(self, settings: CleverSettings, section: RunnerSection, connect: Connect) -> None:
        self._names = (settings.cc_orga_id_attribute, settings.cc_orga_token_attribute)
        headers = {"PRIVATE-TOKEN": settings.cc_gitlab_namespace_attributes_token or Secret("")}
        self._api: HttpClient = connect(
            f"{section.url}/api/v4", service=f"coordinator {section.url}", headers=headers, tls=section.tls
        )
        self._readings: dict[str, _Reading] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._unknown: set[str] = set()

    async def credentials(self, group: str) -> TenantCredentials:
        """The group's attributes as they are, or were up to five minutes ago.

        Raises `TenantError` when they do not say it, `Transient` when the coordinator does not answer.
        """
        async with self._locks.setdefault(group, asyncio.Lock()):
            reading = self._readings.get(group)
            if reading is None or asyncio.get_running_loop().time() >= reading.until:
                await self._look_up(group)
            return self._readings[group].credentials

    def forget(self, group: str, refused: TenantCredentials) -> None:
        """The cloud refused these credentials: read them anew, unless that has been done."""
        reading = self._readings.get(group)
        if reading and reading.credentials == refused:
            del self._readings[group]

    async def groups(self) -> Sequence[str]:
        """The top-level groups that have one of the two attributes; raises `Transient` or `Rejected`.

        Attributes are shown to administrators alone; for any other token they are left out without a word.
        """
        found: list[str] = []
        page = "1"
        while page:
            answer = await self._page(page)
            found += self._with_attributes(answer)
            page = answer.headers.get("x-next-page", "")
        return found

    async def aclose(self) -> None:
        await self._api.aclose()

    async def _page(self, page: str) -> Response:
        params = {"top_level_only": "true", "with_custom_attributes": "true", "per_page": "100", "page": page}
        answer = await self._api.call("GET", "/groups", op=_LIST, params=params, attempts=QUICK_TRIES)
        if answer.status != 200:
            raise self._refused(answer.summary, answer.status)
        return answer

    def _with_attributes(self, answer: Response) -> Sequence[str]:
        try:
            groups = answer.json()
            if any("custom_attributes" not in group for group in groups):
                raise self._refused("the attributes of groups are not shown", answer.status)
            return [
                str(group["full_path"])
                for group in groups
                if any(entry["key"] in self._names for entry in group["custom_attributes"])
            ]
        except (ValueError, KeyError, TypeError):
            raise Transient("the answer is no list of groups", service=self._api.service, op=_LIST) from None

    def _refused(self, text: str, status: int) -> Rejected:
        return Rejected(text, service=self._api.service, op=_LIST, status=status)

    async def _look_up(self, group: str) -> None:
        self._readings.pop(group, None)
        try:
            found = self._read(group, await self._attributes(group))
        except TenantError as error:
            if group not in self._unknown:
                log.error("tenant_without_credentials", tenant=group, reason=str(error))
            self._unknown.add(group)
            raise
        self._unknown.discard(group)
        redactor.add([found.token])
        until = asyncio.get_running_loop().time() + FRESH_SECONDS
        self._readings[group] = _Reading(until, found)

    async def _attributes(self, group: str) -> Mapping[str, Any]:
        op = "read the group's attributes"
        path = f"/groups/{quote(group, safe='')}/custom_attributes"
        answer = await self._api.call("GET", path, op=op, attempts=QUICK_TRIES)
        if answer.status == 404:
            raise TenantError(
                f'The coordinator knows no group "{group}" with attributes for this runner: projects in a '
                "user's own namespace cannot use it. The operators of this runner can help."
            )
        if answer.status != 200:
            raise TenantError(
                f"This runner may not read the attributes of groups (status {answer.status}), so it cannot "
                f'find out who pays for the jobs of "{group}". The operators of this runner can help: '
                "`cc_gitlab_namespace_attributes_token` must be an administrator's."
            )
        try:
            return {str(entry["key"]): entry["value"] for entry in answer.json()}
        except (ValueError, KeyError, TypeError):
            raise Transient("the answer is no list of attributes", service=self._api.service, op=op) from None

    def _read(self, group: str, attributes: Mapping[str, Any]) -> TenantCredentials:
        values = [attributes.get(name) for name in self._names]
        for name, value in zip(self._names, values, strict=True):
            if not isinstance(value, str) or not value.strip():
                raise TenantError(
                    f'The group "{group}" has no attribute `{name}`, so no one can be found to pay for '
                    "its jobs. The owners of the group should ask the operators of this runner."
                )
        organisation, token = (str(value).strip() for value in values)
        if not organisation.isascii() or "/" in organisation:
            raise TenantError(
                f'The attribute `{self._names[0]}` of the group "{group}" is no id of an organisation. '
                "The owners of the group should ask the operators of this runner."
            )
        return TenantCredentials(organisation=organisation, token=Secret(token))
