"""Places on a real engine and on the sandbox's cluster, with containers that do what a variable says."""

import contextlib
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import attrs
import pytest

from paas_runner.container import Line, Place, Wanted
from paas_runner.http import Http
from paas_runner.kubernetes.api import Cluster, Kind
from paas_runner.kubernetes.config import load
from paas_runner.kubernetes.place import KubernetesPlace
from paas_runner.sandbox.kubernetes import (
    ClusterOptions,
    Container,
    KubernetesServer,
    LocalRuntime,
    Rule,
    own_command,
)
from paas_runner.secret import Secret
from tests.docker.conftest import docker_world
from tests.docker.conftest import doing as docker_image  # noqa: F401 - a fixture

SECOND = timedelta(seconds=1)
RIGHTS = [
    Rule(verbs=("create", "get", "delete"), resources=("jobs",)),
    Rule(verbs=("create",), resources=("secrets",)),
    Rule(verbs=("get", "list", "delete"), resources=("pods",)),
    Rule(verbs=("get",), resources=("pods/log",)),
    Rule(verbs=("list",), resources=("events",)),
]
"""As docs/workflows.md has them."""


@attrs.define(kw_only=True)
class Where:
    """A place, and how it looks from outside."""

    name: str
    image: str
    another: Callable[[], Place]
    """As another process has it, which knows nothing."""

    left: Callable[[], object]
    """What there is of ours."""

    occupy: Callable[[str], Awaitable[None]]
    """Somebody else makes something of that name."""

    server: KubernetesServer | None = None
    place: Place = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """The process is another one."""
        self.place = self.another()

    def wanted(self, do: str = "true", *, env: dict[str, str] | None = None, **more) -> Wanted:
        environment = {"DO": Secret(do)} | {key: Secret(value) for key, value in (env or {}).items()}
        own = {"name": self.name, "image": self.image, "labels": {"paas-runner.owner": self.name}}
        return Wanted(**own | {"environment": environment} | more)

    async def started(self, do: str, **more) -> str:
        wanted = self.wanted(do, **more)
        await self.place.prepare(wanted)
        await self.place.create(wanted)
        await self.place.start(wanted.name)
        return wanted.name

    async def all_lines(self) -> list[bytes]:
        return [line.text async for line in self.place.lines(self.name)]

    async def first_line(self) -> Line:
        async with contextlib.aclosing(self.place.lines(self.name)) as lines:
            return await anext(lines)


async def _do(container: Container) -> int:
    command = ("sh", "-c", container.environment["DO"])
    return await own_command(attrs.evolve(container, command=command))


@contextlib.asynccontextmanager
async def cluster_world(folder, **options) -> AsyncIterator[Where]:
    options = ClusterOptions(**{"scheduling_delay": timedelta(milliseconds=150), **options})
    async with KubernetesServer(LocalRuntime({"doing": _do}), options) as server:
        token = Secret(uuid.uuid4().hex)
        server.cluster.accounts.add("who runs workflows", token, RIGHTS)
        server.write_kubeconfig(folder / "kubeconfig", token=token)
        configuration = load({}, kubeconfig=folder / "kubeconfig")
        cluster = Cluster(configuration, Http(rng=random.Random(1)))

        async def occupy(name):
            spec = {"restartPolicy": "Never", "containers": [{"name": "x", "image": "other"}]}
            job = {"metadata": {"name": name}, "spec": {"template": {"spec": spec}}}
            await cluster.create(Kind.JOB, {"apiVersion": "batch/v1", "kind": "Job", **job})

        yield Where(
            name=f"one-{uuid.uuid4().hex[:8]}",
            image="doing",
            another=lambda: KubernetesPlace(cluster, pause=0.05, start_within=3 * SECOND),
            left=lambda: server.cluster.left,
            occupy=occupy,
            server=server,
        )
        await cluster.aclose()


ON_AN_ENGINE = pytest.param("docker", marks=[pytest.mark.long, pytest.mark.timeout(600)])


@pytest.fixture(params=[ON_AN_ENGINE, "kubernetes"])
async def where(request: pytest.FixtureRequest, tmp_path) -> AsyncIterator[Where]:
    if request.param == "kubernetes":
        async with cluster_world(tmp_path) as found:
            yield found
        return
    engine, image = (request.getfixturevalue(name) for name in ("engine", "docker_image"))
    async with docker_world(engine, image) as world:

        async def occupy(name):
            world.occupy(name)

        yield Where(
            name=world.id,
            image=image,
            another=world.another,
            left=world.left,
            occupy=occupy,
        )
