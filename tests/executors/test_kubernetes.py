"""Hosts that are pods, on the sandbox's cluster: what becomes of a job whatever becomes of its pod."""

import asyncio
import contextlib
from datetime import timedelta

import attrs
import pytest
import yaml

from executors.kubernetes import manifest
from executors.kubernetes.account import Facts
from executors.kubernetes.checks import NEEDED
from executors.kubernetes.settings import PodFlavor, TagPods
from paas_runner.conformance.steps import decommissioned, launched, provisioned, ready, removal
from paas_runner.errors import Rejected, Transient
from paas_runner.executor.checks import Grade
from paas_runner.executor.contract import JobRefusedError
from paas_runner.sandbox.faults import FaultPlan, Hang
from paas_runner.sandbox.kubernetes import JOBS, QUOTAS, SECRETS, ClusterOptions, Rule
from paas_runner.sandbox.kubernetes.deletion import delete
from paas_runner.secret import Secret
from tests.support.kubernetes_hosts import IMAGE, Hosts, cluster_with_hosts
from tests.support.site_program import ROOT

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
async def hosts(tmp_path):
    async with cluster_with_hosts(tmp_path) as found:
        yield found


@pytest.fixture
async def executor(hosts):
    async with contextlib.aclosing(hosts.executor()) as found:
        yield found


async def begun(hosts: Hosts, job_id: int = 1) -> None:
    async with asyncio.timeout(60):
        while job_id not in hosts.begun():
            await asyncio.sleep(0.01)


async def running(hosts, executor, request):
    """A host whose job has begun."""
    host = await launched(executor, request, await executor.provision(request))
    await begun(hosts, request.payload.job_id)
    return provisioned(request, host)


async def told(executor, found) -> str:
    """The account of a host that is lost."""
    async with asyncio.timeout(60):
        while (account := await executor.trouble(found)) is None:
            await asyncio.sleep(0.02)
    return " ".join(account.split())


def change(hosts, resource, **values):
    """Of the only object of a kind, by somebody else."""
    [found] = hosts.cluster.objects(resource)
    return hosts.cluster.storage.change(found, lambda each: each.update(values))


# --- a job's life ------------------------------------------------------------------------------------------


async def test_a_job_is_begun_by_its_launch_and_nothing_is_left_after_its_removal(hosts, executor):
    request = hosts.request(1)
    host = await ready(executor, request, await executor.provision(request))
    await asyncio.sleep(0.1)
    assert hosts.begun() == []
    await executor.launch(request, host)
    await begun(hosts)
    await decommissioned(executor, request, host, search=False)
    await asyncio.sleep(0.05)
    assert (hosts.begun(), hosts.cluster.left, hosts.cluster.ledger.running) == ([1], [], [])


async def test_a_pod_gets_a_bound_a_size_and_no_credentials(hosts):
    async with contextlib.aclosing(
        hosts.executor(
            node_selector={"ci": "yes"},
            tolerations=["ci=yes:NoSchedule", "spot"],
            priority_class="low",
            service_account="jobs",
            image_pull_secrets=["registry"],
            flavors={"L": PodFlavor(cpu="2", memory="4Gi")},
            default_flavor="L",
        )
    ) as executor:
        await executor.provision(hosts.request(1))
    [job] = hosts.jobs()
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    assert (spec["backoffLimit"], spec["podReplacementPolicy"]) == (0, "Failed")
    assert spec["activeDeadlineSeconds"] == 7200 + 600 + 900
    assert spec["ttlSecondsAfterFinished"] == 3600
    assert (pod["restartPolicy"], pod["automountServiceAccountToken"]) == ("Never", False)
    assert pod["nodeSelector"] == {"ci": "yes"}
    assert pod["tolerations"] == [
        {"key": "ci", "operator": "Equal", "value": "yes", "effect": "NoSchedule"},
        {"key": "spot", "operator": "Exists"},
    ]
    assert (pod["priorityClassName"], pod["serviceAccountName"]) == ("low", "jobs")
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    size = {"cpu": "2", "memory": "4Gi"}
    assert pod["containers"][0]["resources"] == {"requests": size, "limits": size}
    assert "token-of-job-1" not in str(job)


async def test_the_jobs_token_is_in_the_secret_alone_which_goes_with_its_job(hosts, executor):
    await running(hosts, executor, hosts.request(1))
    [secret], [job] = hosts.cluster.objects(SECRETS), hosts.jobs()
    assert secret["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]
    assert secret["immutable"] is True
    assert "token-of-job-1" not in str([*hosts.jobs(), *hosts.pods()])


async def test_a_token_with_capitals_has_names_and_labels_that_clusters_take(hosts):
    async with contextlib.aclosing(hosts.executor(short_token="_aB-c_9xY-")) as executor:
        request = attrs.evolve(hosts.request(1), host_name="hpd-job-_aB-c_9xY--1")
        host = await executor.provision(request)
        assert [seen.name for seen in await executor.hosts("")] == ["hpd-job-_aB-c_9xY--1"]
        found = await executor.adopt(request)
        assert found
        assert found.ref == host.ref
        await decommissioned(executor, request, None, search=True)
    assert hosts.jobs() == []


def test_names_of_hosts_that_look_alike_are_different():
    names = {manifest.object_name(name) for name in ("hpd-job-Ab-1", "hpd-job-aB-1", "hpd-job-ab-1")}
    assert len(names) == 3
    assert all(len(name) <= 63 for name in map(manifest.object_name, ("x" * 200, "-", "hpd-job-a-1")))


# --- killed at each step ---------------------------------------------------------------------------------


class Killing(FaultPlan):
    """At one request, before or after it is served, whoever sent it is gone."""

    def __init__(self, at: int, *, served: bool) -> None:
        super().__init__()
        self._at, self._served = at, served
        self.victim: asyncio.Task | None = None

    def next_fault(self, method, path):
        self._at -= 1
        if self._at or self.victim is None:
            return None
        victim = self.victim
        asyncio.get_running_loop().call_later(0.03 if self._served else 0, victim.cancel)
        return None if self._served else Hang()


async def life(hosts, record):
    """What the service does, as its records say how far it was; `record` outlives it."""
    request = hosts.request(1)
    async with contextlib.aclosing(hosts.executor()) as executor:
        if "host" not in record:
            record["host"] = await executor.adopt(request) or await executor.provision(request)
        if "ready" not in record:
            record["host"] = await ready(executor, request, record["host"])
            record["ready"] = True
        if "launched" not in record:
            await executor.launch(request, record["host"])
            record["launched"] = True
        await begun(hosts)
        while True:
            try:
                return await executor.decommission(removal(request, record["host"], search=True))
            except Transient:
                await asyncio.sleep(0.1)


@pytest.mark.long
@pytest.mark.parametrize("served", [False, True])
@pytest.mark.parametrize("step", range(1, 10))
async def test_a_job_runs_once_and_leaves_nothing_wherever_its_service_is_killed(hosts, step, served):
    plan, record = Killing(step, served=served), {}
    hosts.server.faults.next_fault = plan.next_fault
    plan.victim = asyncio.ensure_future(life(hosts, record))
    await asyncio.wait([plan.victim])
    if plan.victim.cancelled():
        await life(hosts, record)
    assert hosts.begun() == [1]
    await asyncio.sleep(0.05)
    assert hosts.cluster.left == []


# --- a program that the cluster starts twice ----------------------------------------------------------------


async def test_a_pod_that_replaces_another_does_not_begin_the_job_again(hosts, executor):
    found = await running(hosts, executor, hosts.request(1))
    for suspended in (True, False):
        change(hosts, JOBS, spec={**hosts.jobs()[0]["spec"], "suspend": suspended})
        async with asyncio.timeout(60):
            while suspended and hosts.pods():
                await asyncio.sleep(0.05)
    account = await told(executor, found)
    assert "the cluster replaced its pod, in which a job is not begun again" in account
    assert "this job was given to another pod" in account
    assert hosts.begun() == [1]


async def test_a_job_whose_queue_takes_its_room_back_is_told_at_once(hosts, executor):
    found = await running(hosts, executor, hosts.request(1))
    change(hosts, JOBS, spec={**hosts.jobs()[0]["spec"], "suspend": True})
    assert "its queue took its room back" in await told(executor, found)


async def test_a_container_that_a_node_starts_again_does_not_begin_the_job_again(tmp_path):
    """The pod's own command, twice in the same folders."""
    volumes = {manifest.CONFIGURATION_FOLDER: tmp_path / "job", manifest._BEGUN: tmp_path / "begun"}
    program = manifest._PROGRAM.replace("/usr/bin/gitlab-runner", "echo ran")
    for inside, outside in volumes.items():
        outside.mkdir()
        program = program.replace(inside, str(outside))
    (tmp_path / "job" / "pod").write_text("u-1")

    async def run() -> tuple[int | None, str]:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            program,
            env={"POD_UID": "u-1", "PATH": "/usr/bin:/bin"},
            stdout=pipe,
            stderr=pipe,
        )
        out, _ = await process.communicate()
        return process.returncode, out.decode()

    assert (await run())[1].startswith("ran exec-fetched-job")
    assert await run() == (manifest.NOT_ITS_POD, "")


# --- lost hosts --------------------------------------------------------------------------------------------


async def test_a_job_that_ended_badly_is_told_with_its_last_lines_and_no_secret(hosts, executor):
    request = hosts.request(1, CODE="69", SAYS="my password is s3cr3t-canary")
    host = await launched(executor, request, await executor.provision(request))
    found = attrs.evolve(provisioned(request, host), hidden=["s3cr3t-canary"])
    account = await told(executor, found)
    assert "ended with exit code 69" in account
    assert "could not reach the coordinator" in account
    assert "my password is" in account
    assert "s3cr3t-canary" not in account


async def test_an_evicted_pod_is_told(hosts, executor):
    found = await running(hosts, executor, hosts.request(1))
    hosts.cluster.kubelet.evict(hosts.pods()[0])
    assert "evicted it: The node was low on resource: memory" in await told(executor, found)


async def test_a_pod_whose_node_is_gone_is_told(hosts, executor):
    hosts.cluster.options = ClusterOptions(node_patience=timedelta())
    found = await running(hosts, executor, hosts.request(1))
    hosts.cluster.kubelet.lose_node()
    assert "its pod failed, or was removed" in await told(executor, found)
    assert hosts.begun() == [1]


async def test_a_job_that_ended_beside_a_container_of_somebody_elses_is_told(hosts, executor):
    """A webhook has put it into the pod, which goes on for as long as that does."""
    found = await running(hosts, executor, hosts.request(1))
    [pod] = hosts.pods()
    own = {"name": manifest.CONTAINER, "state": {"terminated": {"exitCode": 69}}}
    beside = {"name": "mesh", "state": {"running": {}}}
    status = {"phase": "Running", "containerStatuses": [beside, own]}
    facts = Facts(name=found.name, job=hosts.jobs()[0], pod={**pod, "status": status})
    assert facts.over
    assert "could not reach the coordinator" in facts.cause.text


def test_the_secret_of_a_host_is_that_of_its_own_volume():
    """A webhook may have put others before it."""
    volumes = [
        {"name": "mesh-token", "secret": {"secretName": "of-the-mesh"}},
        {"name": "job", "secret": {"secretName": "ours"}},
    ]
    assert manifest.secret_of({"spec": {"template": {"spec": {"volumes": volumes}}}}) == "ours"


async def test_a_job_that_a_person_removed_is_told(hosts, executor):
    found = await running(hosts, executor, hosts.request(1))
    delete(hosts.cluster.storage, hosts.jobs()[0])
    assert "was removed by someone else" in await told(executor, found)


async def test_an_image_that_cannot_be_fetched_is_told_when_the_job_stays_silent(hosts):
    async with contextlib.aclosing(hosts.executor(tags={})) as executor:
        executor._settings = attrs.evolve(executor._settings, heptapod_runner_main_image="absent:1")
        request = hosts.request(1)
        host = await launched(executor, request, await executor.provision(request))
        found = provisioned(request, host)
        async with asyncio.timeout(60):
            while "its image cannot be fetched" not in (account := await executor.silence(found)):
                await asyncio.sleep(0.05)
        assert await executor.trouble(found) is None
    assert "absent:1" in account
    assert "ask for another flavor or image" in account


# --- room --------------------------------------------------------------------------------------------------

FLAVORS = {"S": PodFlavor(cpu="500m", memory="1Gi"), "L": PodFlavor(cpu="4", memory="8Gi")}
SIZES = {"flavors": FLAVORS, "default_flavor": "S"}


def quota(hosts, **hard):
    named = {
        "metadata": {"name": "q"},
        "spec": {"hard": {key.replace("_", "."): value for key, value in hard.items()}},
    }
    hosts.cluster.create(QUOTAS, "default", {"apiVersion": "v1", "kind": "ResourceQuota", **named})


async def test_a_flavor_that_the_namespace_would_never_let_in_is_not_granted(hosts):
    quota(hosts, requests_memory="4Gi")
    async with contextlib.aclosing(hosts.executor(**SIZES)) as executor:
        flavors = await executor.flavors()
        assert flavors.weights == {"S": 1.0, "L": 8.0}
        assert list(flavors.granted) == ["S"]


async def test_a_job_waits_for_room_in_the_namespace_before_anything_is_made(hosts):
    quota(hosts, requests_memory="1Gi", requests_cpu="10", limits_memory="10Gi", limits_cpu="10")
    async with contextlib.aclosing(hosts.executor(**SIZES)) as executor:
        await executor.foresee(hosts.request(1))
        request = hosts.request(1)
        host = await ready(executor, request, await executor.provision(request))
        with pytest.raises(Transient, match=r"quota q: 1Gi of 1Gi requests.memory are used"):
            await executor.foresee(hosts.request(2))
        second = await executor.provision(hosts.request(2))
        with pytest.raises(Transient, match="quota has no room for it"):
            await ready(executor, hosts.request(2), second)
        await decommissioned(executor, request, host, search=False)
        await executor.foresee(hosts.request(3))


async def test_a_pod_for_which_no_node_has_room_is_told_while_it_waits(hosts, executor):
    hosts.cluster.options = ClusterOptions(unschedulable=True)
    request = hosts.request(1)
    host = await executor.provision(request)
    with pytest.raises(Transient, match="no node has room for it") as caught:
        await ready(executor, request, host)
    assert caught.value.retry_after


async def test_a_job_in_a_queue_is_waited_for_and_no_failure(hosts):
    async with contextlib.aclosing(hosts.executor(queue_name="ci")) as executor:
        request = hosts.request(1)
        host = await executor.provision(request)
        assert executor.ready_within.days == 1
        await asyncio.sleep(0.1)
        assert await executor.ready(provisioned(request, host)) is False
        assert hosts.jobs()[0]["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "ci"
        assert hosts.pods() == []
        change(hosts, JOBS, spec={**hosts.jobs()[0]["spec"], "suspend": False})
        await launched(executor, request, host)
        await begun(hosts)


async def test_a_job_says_its_flavor_and_its_tag_does(hosts):
    tags = {"big": TagPods(flavor="L", image="other:1")}
    async with contextlib.aclosing(hosts.executor(**SIZES, tags=tags)) as executor:
        by_tag = await executor.provision(hosts.request(1, CI_JOB_TAGS='["big"]'))
        by_job = await executor.provision(hosts.request(2, PAAS_RUNNER_FLAVOR="L"))
        by_default = await executor.provision(hosts.request(3))
        with pytest.raises(JobRefusedError, match=r'"XL".*is not on offer. Choices: S, L'):
            await executor.provision(hosts.request(4, PAAS_RUNNER_FLAVOR="XL"))
        with pytest.raises(JobRefusedError, match="is more than this runner may use now"):
            executor.weigh(hosts.request(4, PAAS_RUNNER_FLAVOR="L").payload, most=2.0)
        assert executor.weigh(hosts.request(4, CI_JOB_TAGS='["big"]').payload, most=2.0) == 1.0
    assert [host.flavor for host in (by_tag, by_job, by_default)] == ["L", "L", "S"]
    assert (by_tag.weight, by_tag.cpus, by_tag.memory_bytes) == (8.0, 4.0, 8 * 2**30)
    images = [job["spec"]["template"]["spec"]["containers"][0]["image"] for job in hosts.jobs()]
    assert images == ["other:1", IMAGE, IMAGE]


async def test_a_job_that_no_secret_can_hold_is_refused_before_anything_is_made(hosts, executor):
    with pytest.raises(JobRefusedError, match=r"1\.05 MiB of scripts and variables"):
        await executor.foresee(hosts.request(1, LARGE="x" * 1_100_000))
    assert hosts.jobs() == []


# --- rights ------------------------------------------------------------------------------------------------

RBAC = ROOT / "packaging" / "kubernetes" / "rbac.yaml"


def granted():
    [role] = [each for each in yaml.safe_load_all(RBAC.read_text()) if each["kind"] == "Role"]
    return {
        (verb, resource, group)
        for rule in role["rules"]
        for verb in rule["verbs"]
        for resource in rule["resources"]
        for group in rule["apiGroups"]
    }


def test_check_asks_for_the_rights_that_the_file_grants():
    asked = {
        (each.verb, "/".join(filter(None, (each.kind.plural, each.part))), each.kind.group) for each in NEEDED
    }
    assert asked == granted()


async def test_each_right_of_the_file_is_used_and_no_other(hosts):
    token = Secret("token-of-rbac")
    rules = [
        Rule(verbs=(verb,), resources=(resource,), groups=(group,), namespace="default")
        for verb, resource, group in granted()
    ]
    hosts.cluster.accounts.add("paas-runner", token, rules)
    hosts.server.write_kubeconfig(hosts.folder / "kubeconfig", token=token)
    hosts.cluster.options = ClusterOptions(scheduling_delay=timedelta(minutes=5))
    async with contextlib.aclosing(hosts.executor()) as executor:
        await executor.flavors()
        first = await executor.provision(hosts.request(2))
        assert await executor.ready(provisioned(hosts.request(2), first)) is False
        await decommissioned(executor, hosts.request(2), first, search=True)
        hosts.cluster.options = ClusterOptions()
        request = hosts.request(1, CODE="1")
        host = await launched(executor, request, await executor.provision(request))
        await told(executor, provisioned(request, host))
        await executor.use(provisioned(request, host))
        await executor.hosts("")
        await executor.hosts_of_others("")
        assert {each.grade for each in await executor.examine()} == {Grade.FINE}
        await decommissioned(executor, request, host, search=True)
    used = {each for each in hosts.cluster.ledger.requests if "selfsubject" not in each}
    assert used == {f"{verb} {resource}" for verb, resource, _ in granted()}


async def test_check_names_the_rights_that_are_missing_and_the_room_that_there_is(hosts):
    quota(hosts, pods="2")
    token = Secret("token-of-little")
    hosts.cluster.accounts.add("little", token, [Rule(verbs=("create", "list", "get"))])
    (few := hosts.folder / "few").mkdir()
    hosts.server.write_kubeconfig(few / "kubeconfig", token=token)
    async with contextlib.aclosing(Hosts(hosts.server, few).executor()) as executor:
        texts = [each.text for each in await executor.examine()]
    assert texts[1] == "missing in namespace default: delete jobs"
    async with contextlib.aclosing(hosts.executor()) as executor:
        version, rights, room = await executor.examine()
    assert "v1.34.1" in version.text
    assert rights.grade is Grade.FINE
    assert room.text.startswith("room for 2 more hosts of flavor M")


async def test_check_says_that_the_namespace_is_not_there_and_makes_no_job(hosts):
    async with contextlib.aclosing(hosts.executor()) as executor:
        await executor.examine()
    assert not hosts.cluster.left
    async with contextlib.aclosing(hosts.executor(namespace="absent")) as executor:
        *_, refused = await executor.examine()
    assert (refused.grade, 'namespaces "absent" not found' in refused.text) == (Grade.FAULT, True)


async def test_check_of_a_cluster_that_does_not_answer_says_what_to_do(hosts):
    executor = hosts.executor()
    await hosts.server._listener.stop()
    [result] = await executor.examine()
    await executor.aclose()
    assert (result.grade, "kubectl" in result.advice) == (Grade.FAULT, True)
    await hosts.server._listener.start()


async def test_a_job_whose_pod_can_never_be_made_fails_before_its_launch(hosts, executor):
    request = hosts.request(1)
    host = await executor.provision(request)
    [pod] = hosts.pods()
    hosts.cluster.kubelet.evict(pod)
    await asyncio.sleep(0.1)
    with pytest.raises(Rejected, match="the pod cannot run: its node ran short"):
        await executor.ready(provisioned(request, host))
