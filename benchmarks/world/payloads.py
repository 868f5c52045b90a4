"""The bodies that cost something to make, made once: those of the sandbox, with marks where jobs differ."""

import json
import random
from datetime import UTC, datetime
from typing import Any

import attrs

from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.pipelines.options import CoordinatorOptions
from paas_runner.pipelines.payload import job_payload
from paas_runner.pipelines.spec import JobSpec
from paas_runner.sandbox.cloud import Application, Cloud, CloudOptions, HostFiles, render
from paas_runner.sandbox.cloud.bodies import definition
from paas_runner.secret import Secret
from paas_runner.server.job_api import job_json

_ID, _TOKEN, _URL = "987654321", "TOKEN-OF-THE-JOB", "http://url-of-the-coordinator"


def _now() -> datetime:
    return datetime.now(UTC)


class JobPayloads:
    """The payload of a 201, and a job seen through its own token."""

    def __init__(self) -> None:
        secret = Secret("unused")
        options = CoordinatorOptions(registration_token=secret, admin_token=secret)
        coordinator = Coordinator(clock=_now, options=options, rng=random.Random())
        runner = coordinator.runners.add(description="benchmark")
        coordinator.submit_job(JobSpec(name="job", script=("true",)))
        job = coordinator.acquire(runner.runner_id)
        if job is None:
            raise RuntimeError("a job that is not handed out")
        job = attrs.evolve(job, job_id=int(_ID), token=Secret(_TOKEN))
        self._payload = json.dumps(job_payload(job, url=_URL, options=options, root_namespace_id=1))
        self._seen = json.dumps(job_json(job, _URL, {}))

    def of(self, job_id: int, token: str, url: str) -> bytes:
        return self._filled(self._payload, job_id, url).replace(_TOKEN, token).encode()

    def seen(self, job_id: int, url: str) -> bytes:
        return self._filled(self._seen, job_id, url).encode()

    @staticmethod
    def _filled(text: str, job_id: int, url: str) -> str:
        return text.replace(_ID, str(job_id)).replace(_URL, url)


class CloudPayloads:
    """What is on offer, and applications of the flavors on offer."""

    def __init__(self) -> None:
        async def nothing(_: HostFiles) -> int:
            return 0

        self._cloud = Cloud(clock=_now, rng=random.Random(), program=nothing, options=CloudOptions())
        catalogue = self._cloud.catalogue
        self.instances = _encoded([render.instance_type(each) for each in catalogue.instance_types])
        self.zones = _encoded([render.zone_name(each) for each in catalogue.zones])
        self._templates: dict[tuple[str, ...], bytes] = {}

    def flavors(self, context: str | None) -> bytes:
        return _encoded([render.flavor(each) for each in self._cloud.catalogue.flavors(context)])

    def application(self, wanted: dict[str, Any], own: dict[str, Any]) -> bytes:
        """One that was asked for so, with what it alone has; raises what the sandbox's cloud refuses with."""
        kind = tuple(
            str(wanted.get(name)) for name in ("maxFlavor", "instanceVersion", "instanceVariant", "zone")
        )
        if kind not in self._templates:
            self._templates[kind] = self._template(wanted)
        owned = _encoded(own)
        return owned[:-1] + b", " + self._templates[kind][1:]

    def _template(self, wanted: dict[str, Any]) -> bytes:
        asked = definition(wanted, self._cloud.catalogue)
        app: Application = self._cloud.create("orga", asked, {})
        whole = render.application(app, _now(), "")
        return _encoded({name: value for name, value in whole.items() if name not in OWN})


OWN = frozenset(
    {"id", "name", "description", "creationDate", "state", "last_deploy", "commitId", "vhosts", "env"}
    | {"deployment", "deployUrl"}
)


def _encoded(content: object) -> bytes:
    return json.dumps(content).encode()
