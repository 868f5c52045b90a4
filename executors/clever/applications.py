"""A host as an application: what it is created from, and how it is distinguished from those of others.

The application is a task, unless it is to stay: its machine starts with the push and stops when the job has
ended. It is ours by its name and by the label of this installation, in its description or its environment:
never by a name alone.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import attrs

from executors.clever.accounts import Account
from executors.clever.api import Application, CleverApi
from executors.clever.offer import Flavor
from executors.clever.refusals import NoSuchApplicationError
from executors.clever.settings import CleverSettings
from paas_runner.errors import Rejected, Transient
from paas_runner.executor.contract import HostRequest, RunnerSection
from paas_runner.job.tracked import Host, HostName, SeenHost, host_name_prefix

OWNER_VARIABLE = "PAAS_RUNNER_INSTALLATION"
_DESCRIBED = re.compile(r"installation ([0-9A-Za-z_-]{1,64})$")


@attrs.frozen
class Placement:
    """Where a host may be created."""

    flavor: Flavor
    zone: str


def placements(flavors: Sequence[Flavor], zones: Sequence[str], attempt: int) -> Sequence[Placement]:
    """Every flavor in every zone; each further attempt begins with another zone."""
    first = attempt % len(zones)
    return [Placement(flavor, zone) for flavor in flavors for zone in (*zones[first:], *zones[:first])]


@attrs.frozen
class Applications:
    """The hosts of one `[[runners]]` section; `api` says in whose organisation."""

    settings: CleverSettings
    section: RunnerSection
    lifetime: str | None = "TASK"
    """None for what stays up; `TASK` ends with its program."""

    async def create(
        self,
        account: Account,
        request: HostRequest,
        placement: Placement,
        version: str,
        told: Mapping[str, str],
    ) -> Host:
        """A new host; never repeated here, names are not unique. A refusal leaves none behind.

        `told` is what its environment says beside what is in the settings.
        """
        application = await account.api.create(self._definition(request, placement, version, told))
        try:
            return await self.configure(account, application, placement, told)
        except Rejected as error:
            try:
                await account.api.delete(application.ref)
            except Rejected as kept:
                raise Transient(kept.text, service=kept.service, op=kept.op, status=kept.status) from error
            raise

    async def configure(
        self, account: Account, application: Application, placement: Placement, told: Mapping[str, str]
    ) -> Host:
        """With its whole environment; a cloud that ignores `env` at creation gets it in a second request."""
        env, flavor = self._env(told), placement.flavor
        if not env.items() <= (application.env or {}).items():
            try:
                await account.api.set_env(application.ref, env)
            except NoSuchApplicationError as error:  # a list, or the creation, is ahead of other answers
                raise Transient(error.text, service=error.service, op=error.op, status=404) from error
        notes = {
            "deploy_url": application.push_url,
            "organisation": account.api.organisation,
            "zone": application.zone or placement.zone,
        }
        if account.group is not None:
            notes["group"] = str(account.group)
        return Host(
            ref=application.ref,
            flavor=flavor.name,
            weight=flavor.weight,
            price=flavor.price,
            memory_bytes=flavor.size.memory_bytes,
            cpus=flavor.cpus,
            details=notes,
        )

    async def named(self, api: CleverApi, name: HostName) -> Sequence[Application]:
        """Ours of that name, oldest first: a lost answer may have left more than one."""
        found = [application for application in await api.applications() if application.name == name]
        ours = [application for application in found if await self._is_ours(api, application)]
        return sorted(ours, key=lambda application: (application.created_at, application.ref))

    async def hosts(self, api: CleverApi) -> Sequence[SeenHost]:
        """All of ours: one request, usually."""
        return [_seen(each) for each in await self._named_like_ours(api) if await self._is_ours(api, each)]

    async def hosts_of_others(self, api: CleverApi) -> Sequence[SeenHost]:
        """Those with this runner's prefix and another installation's label."""
        labels = [(each, await self._labels(api, each)) for each in await self._named_like_ours(api)]
        return [
            attrs.evolve(_seen(application), installation=found[0])
            for application, found in labels
            if found and self.section.installation not in found
        ]

    async def _named_like_ours(self, api: CleverApi) -> Sequence[Application]:
        prefix = host_name_prefix(self.section.short_token)
        return [each for each in await api.applications() if each.name.startswith(prefix)]

    def _definition(
        self, request: HostRequest, placement: Placement, version: str, told: Mapping[str, str]
    ) -> Mapping[str, Any]:
        """The creation request (spec `clever-cloud-api.md` §2.4)."""
        return {
            "name": request.host_name,
            "description": f"CI job {request.payload.job_id} of runner {self.section.name}, {self._label}",
            "zone": placement.zone,
            "deploy": "git",
            "instanceType": "docker",
            "instanceVersion": version,
            "instanceVariant": self.settings.cc_instance_variant_uuid,
            **({"instanceLifetime": self.lifetime} if self.lifetime else {}),
            "minInstances": 1,
            "maxInstances": 1,
            "minFlavor": placement.flavor.cloud_name,
            "maxFlavor": placement.flavor.cloud_name,
            "env": dict(self._env(told)),
        }

    def _env(self, told: Mapping[str, str]) -> Mapping[str, str]:
        return {
            "CC_MOUNT_DOCKER_SOCKET": "true",
            **told,
            **self.settings.cc_extra_env,
            OWNER_VARIABLE: self.section.installation,
        }

    @property
    def _label(self) -> str:
        """Part of the description, too: it is there from the first moment, whatever becomes of the answer."""
        return f"installation {self.section.installation}"

    async def _is_ours(self, api: CleverApi, application: Application) -> bool:
        return self.section.installation in await self._labels(api, application)

    async def _labels(self, api: CleverApi, application: Application) -> Sequence[str]:
        """Whose it is by its description and by its environment, which is only asked for in doubt."""
        found = _DESCRIBED.search(application.description)
        described = [found[1]] if found else []
        if self.section.installation in described:
            return described
        env = application.env
        if env is None or OWNER_VARIABLE not in env:
            try:
                env = await api.env(application.ref)
            except NoSuchApplicationError:
                return []
        return [*described, *([env[OWNER_VARIABLE]] if OWNER_VARIABLE in env else [])]


def _seen(application: Application) -> SeenHost:
    """What a list shows of a host; between a push and the end of a task the state is no proof (§2.6)."""
    created = application.created_at
    busy = None
    if application.state == "SHOULD_BE_UP":
        busy = True
    elif application.state == "SHOULD_BE_DOWN" and application.deployed is False:
        busy = False
    return SeenHost(
        name=HostName(application.name),
        ref=application.ref,
        created_at=datetime.fromtimestamp(created / 1000, UTC) if created else None,
        busy=busy,
    )
