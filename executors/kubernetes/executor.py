"""`kubernetes`: each job in a pod of its own, which a Job of one namespace makes.

To provision is to create the Job, whose pod waits on its node for a Secret; to launch is to create that
Secret, for that pod alone (`manifest`). A host is found again by its name, and by labels that name runner and
installation; a Job without them is not ours. All that is made goes with the Job.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import attrs
import structlog

from executors.build_context import (
    AUTHORITY_FILE,
    CONFIGURATION_FOLDER,
    authority_of,
    inner_configuration,
    job_text,
)
from executors.host_log import clean_lines
from executors.kubernetes import manifest
from executors.kubernetes.account import Facts, ended, particulars
from executors.kubernetes.checks import examine
from executors.kubernetes.room import bounds, narrowest
from executors.kubernetes.settings import KubernetesSettings, PodFlavor, quantity
from executors.tag_tables import TagTables
from paas_runner.errors import Rejected, RemoteError, Transient
from paas_runner.executor.checks import CheckResult
from paas_runner.executor.contract import (
    Executor,
    HostRequest,
    JobRefusedError,
    ProvisionedHost,
    Removal,
    RunnerSection,
)
from paas_runner.job.failure import Failure, FailureReason
from paas_runner.job.limits import Flavors
from paas_runner.job.payload import Payload
from paas_runner.job.room import fits
from paas_runner.job.tracked import Host, HostName, SeenHost
from paas_runner.job.use import FlavorSize, Use, last_in
from paas_runner.kubernetes.answers import ExistsError, QuotaError
from paas_runner.kubernetes.api import Cluster, Kind, Object
from paas_runner.kubernetes.causes import condition, is_over, of_events, of_job, of_pod

log = structlog.stdlib.get_logger(__name__)

FLAVOR_VARIABLE = "PAAS_RUNNER_FLAVOR"
LONGEST_FLAVOR_NAME = 100
WAITS = timedelta(minutes=15)
"""For a node; in a queue a day, of which the time limit of the Job does not count."""

WAITS_IN_QUEUE = timedelta(days=1)
LOOK_AGAIN_SECONDS = 10.0
GOING_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Pauses between the looks that one call of `decommission` takes at the pod's end."""

MOST_LOG_LINES = 10
MOST_LOG_BYTES = 64 * 1024
SECRET, POD = "secret", "pod"
"""Notes of a host: the name of its Secret, the uid of the pod that is to have the job."""


class KubernetesExecutor:
    """Hosts in one namespace for one `[[runners]]` section."""

    ready_every = timedelta(seconds=1)

    def __init__(self, settings: KubernetesSettings, section: RunnerSection, *, cluster: Cluster) -> None:
        """Take over the cluster: `aclose` closes it."""
        self.ready_within = WAITS_IN_QUEUE if settings.queue_name else WAITS
        self.cluster = self._own = cluster
        self._settings = settings
        self._section = section
        self._tags = TagTables(section.name, settings.tags)

    # --- before a host is asked for -----------------------------------------------------------------------

    async def flavors(self) -> Flavors:
        """Those of the section; nothing that the namespace's quotas would never let in."""
        sizes = self._settings.sizes
        found = list(bounds(await self.cluster.list(Kind.QUOTA)))
        ever = [each.weight for each in sizes.values() if all(b.hosts(each, ever=True) >= 1 for b in found)]
        weights = {name: flavor.weight for name, flavor in sizes.items()}
        return Flavors(weights=weights, most_weight=max(ever, default=0.0))

    async def sizes(self) -> Sequence[FlavorSize]:
        """By the section's own tables."""
        return [_size(name, flavor) for name, flavor in self._settings.sizes.items()]

    def weigh(self, payload: Payload, *, most: float) -> float:
        """Raises `JobRefusedError` for a flavor that there is not, or that is too heavy."""
        return self._chosen(payload, most)[1].weight

    async def foresee(self, request: HostRequest) -> None:
        """Whether there is such a flavor, and room in the namespace's quotas; the job waits for that."""
        _, flavor = self._chosen(request.payload, request.most_weight)
        self._files(request)
        if self._settings.queue_name:
            return
        bound = narrowest(list(bounds(await self.cluster.list(Kind.QUOTA))), flavor)
        if bound and bound.hosts(flavor) < 1:
            raise self._waiting(
                f"the namespace {self.cluster.namespace} has no room: {bound}", "look for room"
            )

    def follow(self, successor: Executor) -> None:
        """Use the successor's credentials, at the same place."""
        if isinstance(successor, KubernetesExecutor) and successor.cluster.place == self.cluster.place:
            self.cluster = successor.cluster

    # --- the host -----------------------------------------------------------------------------------------

    async def provision(self, request: HostRequest) -> Host:
        """Create the Job; its pod waits."""
        name, flavor = self._chosen(request.payload, request.most_weight)
        self._files(request)
        wanted = manifest.job(
            request,
            self._section,
            self._settings,
            flavor=flavor,
            image=self._settings.image_for(self._tags.deciding(request.payload)),
            secret=f"{manifest.object_name(request.host_name)}-{secrets.token_hex(4)}",
            waits=WAITS,
        )
        try:
            return self._host(await self.cluster.create(Kind.JOB, wanted), name, flavor)
        except QuotaError as error:
            raise self._waiting(error.text, error.op) from error
        except ExistsError as error:
            host = await self.adopt(request)
            if host is None:
                text = f"a Job {wanted['metadata']['name']} exists that is not ours: remove it"
                raise Rejected(text, service=error.service, op=error.op, status=409) from error
            return host

    async def adopt(self, request: HostRequest) -> Host | None:
        """The Job of that name, if it has our labels; raises `Transient` while it still goes."""
        found = await self._found(request.host_name)
        if found is None or not self._is_ours(found, request.host_name):
            return None
        if found["metadata"].get("deletionTimestamp"):
            raise self._waiting("an earlier Job of that name has not gone yet", "look for the host")
        return self._host(found, *self._chosen(request.payload, request.most_weight))

    async def ready(self, provisioned: ProvisionedHost) -> Host | bool:
        """The host with its pod, once that has a node; raises with the cause where none comes."""
        try:
            return await self._ready(provisioned)
        except Transient:
            if self._settings.queue_name:  # what was waited for so long is not lost for that
                return False
            raise

    async def launch(self, request: HostRequest, host: Host) -> None:
        """Create the Secret; one that is there already means that this was done."""
        wanted = manifest.secret(
            host.details[SECRET],
            self._files(request),
            job_name=manifest.object_name(request.host_name),
            job_uid=host.ref,
            pod_uid=host.details[POD],
        )
        try:
            await self.cluster.create(Kind.SECRET, wanted)
        except ExistsError:
            log.info("launched_already", host=host.ref, state="launched")

    async def hosts(self, tenant: str) -> Sequence[SeenHost]:
        """The Jobs with our labels; no one pays for any."""
        return [] if tenant else [_seen(each) for each in await self._listed(manifest.labels(self._section))]

    async def hosts_of_others(self, tenant: str) -> Sequence[SeenHost]:
        """The same with this runner's label and another installation's."""
        runner = manifest.label_value(self._section.short_token)
        found = [] if tenant else await self._listed({manifest.RUNNER: runner})
        named = ((_seen(each), _noted(each, manifest.INSTALLATION)) for each in found)
        return [
            attrs.evolve(seen, installation=installation)
            for seen, installation in named
            if installation not in ("", self._section.installation)
        ]

    async def trouble(self, provisioned: ProvisionedHost) -> str | None:
        """Whether the Job or its pod has ended, is gone, or can never start."""
        facts = await self._facts(provisioned)
        return ended(facts) if facts.over else None

    async def silence(self, provisioned: ProvisionedHost) -> str | None:
        """How the pod stands, and the end of its log."""
        return particulars(await self._facts(provisioned))

    async def use(self, provisioned: ProvisionedHost) -> Use | None:
        """By the end of the pod's log."""
        pod = await self._pod(provisioned)
        return last_in(await self._log(pod) or ()) if pod else None

    async def decommission(self, removal: Removal) -> None:
        """Delete the Job, and with it its pod and its Secret; raises `Transient` until they are gone."""
        ref = removal.host.ref if removal.host else ""
        name = manifest.object_name(removal.name)
        for pause in (*GOING_SECONDS, None):
            found = await self._found(removal.name)
            uid = found["metadata"]["uid"] if found else ""
            if found is None or not (uid == ref or (removal.search and self._is_ours(found, removal.name))):
                return
            if not found["metadata"].get("deletionTimestamp"):
                await self.cluster.delete(Kind.JOB, name, uid=uid, propagation="Foreground")
            if pause is None:
                raise self._waiting("its pod has not ended yet", "remove the host")
            await asyncio.sleep(pause)

    # --- the rest -----------------------------------------------------------------------------------------

    async def examine(self) -> Sequence[CheckResult]:
        """The cluster, our rights there, and the namespace's quotas."""
        return await examine(self.cluster, self._settings)

    async def aclose(self) -> None:
        await self._own.aclose()

    def _chosen(self, payload: Payload, most: float) -> tuple[str, PodFlavor]:
        """The flavor that the job asks for, else its tag's, else the default or the largest that fits."""
        sizes = self._settings.sizes
        fitting = {name: flavor for name, flavor in sizes.items() if fits(flavor.weight, most)}
        wanted = payload.variable(FLAVOR_VARIABLE, most=LONGEST_FLAVOR_NAME)
        hosts = self._settings.tags.get(self._tags.deciding(payload))
        name = wanted or (hosts.flavor if hosts else None) or self._settings.default_flavor
        if name in fitting:
            return name, fitting[name]
        if name in sizes and fitting and not wanted:
            return list(fitting.items())[-1]
        why = "is more than this runner may use now" if name in sizes else "is not on offer"
        text = f'The flavor "{name}" ({FLAVOR_VARIABLE}) {why}. Choices: {", ".join(fitting) or "none"}.'
        raise JobRefusedError(Failure(reason=FailureReason.SCRIPT, text=text))

    def _files(self, request: HostRequest) -> Mapping[str, bytes]:
        """What the inner runner gets; raises `JobRefusedError` for a job that no Secret can hold."""
        authority = authority_of(self._section)
        configuration = inner_configuration(
            self._section,
            inner_executor="shell",
            authority_file=f"{CONFIGURATION_FOLDER}/{AUTHORITY_FILE}" if authority else "",
            trace=request.trace,
        )
        definition = job_text(request.payload).encode()
        files = {"runner.toml": configuration.encode(), "job.json": definition, **authority}
        if sum(map(len, files.values())) > manifest.MOST_SECRET_BYTES - 100:
            text = (
                f"This job has {len(definition) / 2**20:.2f} MiB of scripts and variables, and a Kubernetes "
                "Secret holds 1 MiB. Put what is large into the repository, or let the job fetch it."
            )
            raise JobRefusedError(Failure(reason=FailureReason.SCRIPT, text=text))
        return files

    async def _ready(self, provisioned: ProvisionedHost) -> Host | bool:
        op = "wait for the pod"
        host = provisioned.host
        found = await self._found(provisioned.name)
        if found is None or found["metadata"]["uid"] != host.ref:
            raise Rejected("the Job was removed by someone else", service=self.cluster.service, op=op)
        over = of_job(found)
        pod = await self._pod(provisioned)
        cause = of_pod(pod) if pod else of_events(await self.cluster.events_of(host.ref))
        if over or (cause and cause.final):
            text = " ".join(each.text for each in (cause, over) if each)
            raise Rejected(f"the pod cannot run: {text}", service=self.cluster.service, op=op)
        if pod and condition(pod, "PodScheduled"):
            return attrs.evolve(host, details={**host.details, POD: pod["metadata"]["uid"]})
        if cause:
            raise self._waiting(cause.text, op)
        return False

    async def _found(self, name: HostName) -> Object | None:
        return await self.cluster.found(Kind.JOB, manifest.object_name(name))

    def _is_ours(self, found: Object, name: HostName) -> bool:
        present = found["metadata"].get("labels") or {}
        return manifest.labels(self._section, name).items() <= present.items()

    async def _listed(self, labels: Mapping[str, str]) -> Sequence[Object]:
        return [
            each for each in await self.cluster.list(Kind.JOB, labels=labels) if _noted(each, manifest.JOB)
        ]

    async def _pod(self, provisioned: ProvisionedHost) -> Object | None:
        """The one that has the job, or is to have it; the last one where there were several."""
        found = [
            pod
            for pod in await self.cluster.list(
                Kind.POD, labels=manifest.labels(self._section, provisioned.name)
            )
            if any(o.get("uid") == provisioned.host.ref for o in pod["metadata"].get("ownerReferences") or ())
        ]
        chosen = provisioned.host.details.get(POD)
        present = [pod for pod in found if chosen in (None, pod["metadata"]["uid"])] or found
        return max(present, key=lambda pod: (not is_over(pod), _created(pod)), default=None)

    async def _facts(self, provisioned: ProvisionedHost) -> Facts:
        name, hidden, host = provisioned.name, provisioned.hidden, provisioned.host
        found = await self._found(name)
        if found is None or found["metadata"]["uid"] != host.ref:
            return Facts(name=name, job=None, hidden=hidden)
        pod = await self._pod(provisioned)
        facts = Facts(name=name, job=found, pod=pod, hidden=hidden)
        with contextlib.suppress(RemoteError):  # the other facts are reported anyway
            events = await self.cluster.events_of((pod or found)["metadata"]["uid"])
            facts = attrs.evolve(facts, events=events)
        return attrs.evolve(facts, lines=await self._log(pod) if pod else None)

    async def _log(self, pod: Object) -> Sequence[str] | None:
        """The last lines; None where there are none yet, or they may not be read."""
        try:
            found = await self.cluster.log(
                pod["metadata"]["name"],
                manifest.CONTAINER,
                last_lines=MOST_LOG_LINES,
                most_bytes=MOST_LOG_BYTES,
            )
        except RemoteError:
            return None
        return clean_lines(found.decode(errors="replace"))

    def _host(self, found: Object, name: str, flavor: PodFlavor) -> Host:
        size = _size(name, flavor)
        return Host(
            ref=found["metadata"]["uid"],
            flavor=name,
            weight=flavor.weight,
            memory_bytes=size.memory_bytes,
            cpus=size.cpus,
            details={SECRET: manifest.secret_of(found)},
        )

    def _waiting(self, text: str, op: str) -> Transient:
        return Transient(text, service=self.cluster.service, op=op, retry_after=LOOK_AGAIN_SECONDS)


def _size(name: str, flavor: PodFlavor) -> FlavorSize:
    return FlavorSize(name=name, memory_bytes=flavor.memory_bytes, cpus=quantity(flavor.cpu))


def _seen(found: Object) -> SeenHost:
    over = condition(found, "Failed") or condition(found, "Complete")
    return SeenHost(
        name=HostName(_noted(found, manifest.JOB)),
        ref=found["metadata"]["uid"],
        created_at=_created(found),
        busy=False if over else None,
    )


def _noted(found: Object, name: str) -> str:
    return str((found["metadata"].get("annotations") or {}).get(name, ""))


def _created(found: Object) -> datetime:
    return datetime.fromisoformat(found["metadata"]["creationTimestamp"])
