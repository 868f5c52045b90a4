"""Clouds for tests: with programs that can be looked at, and applications ready to be pushed to."""

import asyncio
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import attrs

from paas_runner.sandbox.cloud import (
    RUNNER_VARIANT,
    Application,
    Cloud,
    CloudOptions,
    HostFiles,
    OAuthKeys,
    Organisation,
)
from paas_runner.sandbox.cloud.bodies import definition
from paas_runner.secret import Secret
from paas_runner.testing.virtual_time import virtual_now

FILES: Mapping[str, bytes] = {"Dockerfile": b"FROM x\n", "job.json": b"{}"}
TOKEN = Secret("canary-organisation-token")
OTHER_TOKEN = Secret("canary-other-token")
KEYS = OAuthKeys(
    consumer_key="consumer-key",
    consumer_secret=Secret("consumer-secret"),
    token=Secret("user-token"),
    token_secret=Secret("user-secret"),
)

CREATION: Mapping[str, Any] = {
    "name": "hpd-job-abc-1",
    "zone": "par",
    "deploy": "git",
    "instanceType": "docker",
    "instanceVersion": "20210421",
    "instanceVariant": RUNNER_VARIANT,
    "instanceLifetime": "TASK",
    "minInstances": 1,
    "maxInstances": 1,
    "minFlavor": "heptapod-runner-M",
    "maxFlavor": "heptapod-runner-M",
}


@attrs.define
class Program:
    """A host's program that runs for some seconds, or for ever, and remembers how it ended."""

    seconds: float | None = 10.0
    exit_code: int = 0
    cleanup_seconds: float = 0.0
    started: list[HostFiles] = attrs.field(factory=list)
    running: int = 0
    killed: int = 0

    async def __call__(self, files: HostFiles) -> int:
        self.started.append(files)
        self.running += 1
        try:
            await (asyncio.sleep(self.seconds) if self.seconds is not None else asyncio.Event().wait())
        except asyncio.CancelledError:
            await asyncio.sleep(self.cleanup_seconds)
            self.killed += 1
            raise
        finally:
            self.running -= 1
        return self.exit_code


def virtual_cloud(program: Program, **options: Any) -> tuple[Cloud, Organisation]:
    cloud = Cloud(clock=virtual_now, rng=random.Random(1), program=program, options=CloudOptions(**options))
    return cloud, cloud.add_organisation("Sandbox", TOKEN)


def real_cloud(program: Program, **options: Any) -> tuple[Cloud, Organisation]:
    cloud = Cloud(
        clock=lambda: datetime.now(UTC),
        rng=random.Random(1),
        program=program,
        options=CloudOptions(**options),
    )
    return cloud, cloud.add_organisation("Sandbox", TOKEN)


def new_application(cloud: Cloud, organisation: Organisation, **fields: Any) -> Application:
    env = fields.pop("env", {})
    wanted = definition({**CREATION, **fields}, cloud.catalogue)
    return cloud.create(organisation.id, wanted, env, by=TOKEN)
