"""clever-service-docker, a simulated Clever Cloud and helpers of both kinds: H065, H131, H140, H141."""

import asyncio
import json
import random
import tomllib
from datetime import timedelta

import attrs
import pytest

from executors.clever_service import CleverService
from executors.clever_service import executor as module
from executors.clever_service.settings import REFERENCE_IMAGE, CleverServiceSettings
from executors.tag_tables import TagHosts
from paas_runner.errors import Rejected, Transient
from paas_runner.executor.checks import Grade
from paas_runner.executor.contract import JobRefusedError, ProvisionedHost, Removal
from paas_runner.executor.optional import Staying
from paas_runner.http import HELPER_OF_A_HOST, Http, ServiceKind, Tls, kind_of
from paas_runner.logs import redactor
from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.faults import Answer, DropAfter, DropBefore
from paas_runner.secret import Secret
from paas_runner.store.peer_hosts import exported_host, imported_host
from tests.executors.conftest import simulated_cloud
from tests.executors.test_clever import SECTION, requested
from tests.support.helper_hosts import HelperHosts

VARIABLE = "HEPTAPOD_PAAS_RUNNER_TOKEN"


@pytest.fixture
async def hosts():
    async with HelperHosts().listening() as hosts:
        yield hosts


@pytest.fixture
def cloud_options():
    return {}


@pytest.fixture
async def cloud(tmp_path, hosts, cloud_options):
    delays = dict.fromkeys(("boot_delay", "build_delay"), timedelta(milliseconds=10))
    options = CloudOptions(**delays, **cloud_options)
    async with simulated_cloud(tmp_path, options, hosts.program) as cloud:
        yield cloud


@pytest.fixture
async def make(cloud, hosts):
    made = []

    def build(section=SECTION, **settings):
        keys = {
            "cc_api_url": cloud.url,
            "cc_orga_id": cloud.organisation,
            "cc_token": cloud.token,
            "cc_extra_env": {"CC_ENABLE_HEPTAPOD_RUNNER": "true"},
            "cc_helper_url": hosts.url,
        }
        kind = CleverService(second_look_after=timedelta(seconds=0.01))
        made.append(
            kind.build(CleverServiceSettings(**(keys | settings)), section, Http(rng=random.Random(1)))
        )
        return made[-1]

    yield build
    for executor in made:
        await executor.aclose()


def provisioned(request, host):
    return ProvisionedHost(name=request.host_name, job_id=request.payload.job_id, host=host)


async def ready(executor, request, host):
    async with asyncio.timeout(60):
        while not (found := await executor.ready(provisioned(request, host))):
            await asyncio.sleep(0.02)
    return found


async def started(executor, request):
    host = await ready(executor, request, await executor.provision(request))
    await executor.launch(request, host)
    return host


def application(cloud):
    [found] = cloud.cloud.applications(cloud.organisation)
    return found


def helper_of(hosts, host):
    return hosts.running[host.ref]


# --- the application ------------------------------------------------------------------------------------


async def test_a_host_is_an_application_without_a_lifetime_and_with_a_token_of_our_making(cloud, make):
    """H131, H140: the token is in the request that creates it, and noted as in the state file of 1.1.1."""
    host = await make().provision(requested(42))
    found = application(cloud)
    assert found.definition.lifetime == "REGULAR"
    token = found.env[VARIABLE]
    assert (len(token), token.isalnum(), token.isascii()) == (40, True, True)
    assert host.details["paas_token"] == token
    assert found.env["CC_ENABLE_HEPTAPOD_RUNNER"] == "true"
    assert int(found.env["PAAS_RUNNER_LEASE_SECONDS"]) == 600


async def test_no_platform_starts_a_helper_again_that_we_have_lost_sight_of(cloud, make):
    executor = make()
    before = executor._watch.clock().timestamp()
    await executor.provision(requested(42))
    start_until = int(application(cloud).env["PAAS_RUNNER_START_UNTIL"])
    assert before + 600 < start_until <= before + 600 + 310


async def test_two_hosts_have_two_tokens(make):
    executor = make()
    tokens = {(await executor.provision(requested(job_id))).details["paas_token"] for job_id in (1, 2)}
    assert len(tokens) == 2


async def test_the_address_follows_from_the_applications_id(make):
    """H131."""
    host = await make(cc_helper_url="https://{application}.cleverapps.io").provision(requested(42))
    assert host.details["netloc"] == f"{host.ref.replace('_', '-')}.cleverapps.io"
    assert "helper_url" not in host.details
    executor = make()
    assert str(executor._place(host).address) == f"https://{host.ref.replace('_', '-')}.cleverapps.io"


async def test_what_is_pushed_is_the_helper_and_nothing_of_a_job(cloud, hosts, make):
    """H065."""
    executor, request = make(), requested(42)
    await started(executor, request)
    [machine] = hosts.started
    assert machine.files == {
        "Dockerfile": f"FROM {REFERENCE_IMAGE}\n".encode()
        + b'CMD ["--http1", "--listen-address", "0.0.0.0:8080"]\n'
    }
    commits = {application(cloud).last_push.commit}
    await started(executor, requested(43))
    commits |= {each.last_push.commit for each in cloud.cloud.applications(cloud.organisation)}
    assert len(commits) == 1


async def test_a_private_authority_is_in_the_host_and_named_to_the_inner_runner(hosts, make, tmp_path):
    authority = tmp_path / "ca.crt"
    authority.write_text("-----BEGIN CERTIFICATE-----\n")
    section = attrs.evolve(SECTION, tls=Tls(ca_file=authority))
    host = await started(make(section), requested(42))
    assert hosts.started[0].files["coordinator-ca.crt"] == authority.read_bytes()
    assert b"COPY coordinator-ca.crt /etc/heptapod-runner/\n" in hosts.started[0].files["Dockerfile"]
    [inner] = tomllib.loads(helper_of(hosts, host).launched[0].config)["runners"]
    assert inner["tls-ca-file"] == "/etc/heptapod-runner/coordinator-ca.crt"


async def test_hosts_of_a_tag_are_made_of_its_image(make):
    image = "registry.example/gpu-helper:1"
    executor = make(tags={"gpu": TagHosts(image=image)})
    tagged = requested(42, CI_JOB_TAGS='["gpu"]')
    assert (await executor.provision(tagged)).details["image"] == image
    assert (await executor.provision(requested(43, CI_JOB_TAGS="[]"))).details["image"] == REFERENCE_IMAGE
    assert await executor.series(tagged) != await executor.series(requested(43, CI_JOB_TAGS="[]"))


# --- lost answers ---------------------------------------------------------------------------------------


async def test_a_creation_whose_answer_was_lost_is_found_with_its_token(cloud, make):
    request = requested(42)
    cloud.faults.add(DropAfter(), method="POST", path="/v2/**/applications", times=1)
    with pytest.raises(Transient):
        await make().provision(request)
    host = await make().adopt(request)
    assert host.details["paas_token"] == application(cloud).env[VARIABLE]
    assert host.details["image"] == REFERENCE_IMAGE
    again = await make().adopt(request)
    assert (again.ref, again.details) == (host.ref, host.details)


async def test_an_application_without_a_token_was_never_pushed_to_and_gets_one(cloud, make):
    request = requested(42)
    await make().provision(request)
    env = dict(application(cloud).env)
    application(cloud).env = {name: value for name, value in env.items() if name != VARIABLE}
    host = await make().adopt(request)
    token = application(cloud).env[VARIABLE]
    assert token == host.details["paas_token"] != env[VARIABLE]
    assert application(cloud).env["PAAS_RUNNER_START_UNTIL"] == env["PAAS_RUNNER_START_UNTIL"]


async def test_a_push_whose_answer_was_lost_is_repeated_and_makes_one_machine(cloud, hosts, make):
    request = requested(42)
    host = await make().provision(request)
    cloud.faults.add(DropAfter(), method="POST", path="/**/git-receive-pack", times=1)
    for executor in (make(), make()):
        await ready(executor, request, host)
    assert len(hosts.started) == 1


async def test_a_launch_twice_begins_the_job_once(hosts, make):
    request = requested(42)
    host = await started(make(), request)
    await make().launch(request, host)
    [launched] = helper_of(hosts, host).launched
    assert (launched.job.runner_name, launched.job.job_id) == ("abc123xyz", 42)
    assert json.loads(launched.specification) == request.payload.raw


async def test_a_host_from_a_state_file_of_1_1_1_goes_on_with_the_job_that_it_has(cloud, hosts, make):
    """H131: 1.1.1 pushes another tree, and after a restart of its own it does not know who was launched."""
    request = requested(42)
    host = await started(make(), request)
    resource = exported_host(host, "", launched=False)
    taken = imported_host(resource, "abc123xyz").host
    successor = make(heptapod_paas_runner_helper_image="that-of-1.1.1")
    assert await ready(successor, request, taken) is True
    await successor.launch(request, taken)
    assert len(helper_of(hosts, host).launched) == len(hosts.started) == 1
    assert await successor.trouble(provisioned(request, taken)) is None
    await successor.decommission(Removal(name=request.host_name, host=taken, search=False))
    assert not cloud.cloud.applications(cloud.organisation)


async def test_a_machine_that_was_replaced_does_not_get_the_job_again(hosts, make):
    executor, request = make(), requested(42)
    host = await started(executor, request)
    helper_of(hosts, host).replace("another")
    with pytest.raises(Rejected, match="started anew") as caught:
        await executor.launch(request, host)
    assert caught.value.status == 409
    assert "started anew" in await executor.trouble(provisioned(request, host))


# --- getting ready --------------------------------------------------------------------------------------


async def test_nothing_of_the_cloud_is_asked_while_only_the_helper_is_waited_for(cloud, hosts, make):
    """H141: it may be asked every 20 s then; ours does it at its own pace."""
    hosts.faults.add(Answer(503), times=5)
    executor, request = make(), requested(42)
    host = await executor.provision(request)
    async with asyncio.timeout(60):
        while not hosts.asked and not hosts.faults._rules[0].applied:
            await executor.ready(provisioned(request, host))
            await asyncio.sleep(0.01)
    before = len(cloud.requests)
    await ready(executor, request, host)
    assert len(cloud.requests) == before
    assert (executor.ready_within, executor.ready_every) == (timedelta(minutes=10), timedelta(seconds=2))


@pytest.mark.parametrize("fault", [Answer(404), Answer(401), Answer(200, body=b"<html>"), DropBefore()])
async def test_what_the_proxy_says_before_the_helper_is_there_is_no_verdict(hosts, make, fault):
    executor, request = make(), requested(42)
    host = await executor.provision(request)
    hosts.faults.add(fault, times=3)
    assert await ready(executor, request, host)


@pytest.mark.parametrize("cloud_options", [{"build_fails": True}])
async def test_a_deployment_that_failed_ends_the_wait_with_an_account(hosts, make, monkeypatch):
    monkeypatch.setattr(module, "LOOK_AGAIN_SECONDS", 0.05)
    executor, request = make(), requested(42)
    host = await executor.provision(request)
    with pytest.raises(JobRefusedError) as caught:
        await ready(executor, request, host)
    text = caught.value.failure.text
    assert "heptapod_paas_runner_helper_image" in text
    assert "heptapod_runner_main_image" not in text
    assert host.details["paas_token"] not in text


async def test_a_token_that_is_refused_says_nothing_of_the_account_at_the_cloud(hosts, make):
    executor, request = make(), requested(42)
    host = await ready(executor, request, await executor.provision(request))
    helper_of(hosts, host).token = Secret("another-token")
    with pytest.raises(Rejected) as caught:
        await executor.launch(request, host)
    assert caught.value.status is None
    assert host.details["paas_token"] not in f"{caught.value!r}{caught.value.__cause__!r}"


# --- a host that stays ----------------------------------------------------------------------------------


async def test_a_host_whose_job_has_succeeded_is_released_clean_and_takes_another(cloud, hosts, make):
    """H142."""
    executor, first, second = make(), requested(1), requested(2)
    assert isinstance(executor, Staying)
    host = await started(executor, first)
    assert host.series == await executor.series(second) != ""
    helper_of(hosts, host).end(0)
    assert await executor.release(provisioned(first, host)) == timedelta(minutes=10)
    of_second = attrs.evolve(provisioned(second, host), name=first.host_name)
    assert await executor.renew(of_second) == timedelta(minutes=10)
    await executor.launch(second, host)
    assert [each.job.job_id for each in helper_of(hosts, host).launched] == [1, 2]
    assert await executor.trouble(of_second) is None
    assert await executor.use(of_second) is None
    await executor.decommission(Removal(name=first.host_name, host=host, search=False))
    assert cloud.cloud.applications(cloud.organisation) == []


async def test_a_job_that_still_runs_is_asked_about_again(make):
    executor, request = make(), requested(1)
    host = await started(executor, request)
    with pytest.raises(Transient, match="still runs"):
        await executor.release(provisioned(request, host))


@pytest.mark.parametrize("spoiled", ["failed", "unknown", "replaced", "unclean", "reference", "lost"])
async def test_a_host_of_which_it_is_not_sure_that_it_is_clean_is_not_used_again(hosts, make, spoiled):
    executor, request = make(), requested(1)
    hosts.extended = spoiled != "reference"
    host = await started(executor, request)
    helper = helper_of(hosts, host)
    helper.end(1 if spoiled == "failed" else 0)
    match spoiled:
        case "unknown":
            helper.jobs.clear()
        case "replaced":
            helper.instance = "another"
        case "unclean":
            helper.clean = False
        case "lost":
            hosts.faults.add(DropAfter(), method="DELETE", times=1)
            with pytest.raises(Transient):
                await executor.release(provisioned(request, host))
    assert await executor.release(provisioned(request, host)) is None


async def test_a_host_that_is_not_clean_in_time_is_not_used_again(hosts, make, monkeypatch):
    monkeypatch.setattr(module, "CLEAN_SECONDS", 0.2)
    monkeypatch.setattr(module, "CLEAN_STEP_SECONDS", 0.05)
    executor, request = make(), requested(1)
    host = await started(executor, request)
    helper_of(hosts, host).end(0)
    helper_of(hosts, host).ready = False
    assert await executor.release(provisioned(request, host)) is None


async def test_a_standby_host_that_takes_no_job_or_is_another_is_not_renewed(hosts, make):
    executor, request = make(), requested(1)
    host = await ready(executor, request, await executor.provision(request))
    seen, helper = provisioned(request, host), helper_of(hosts, host)
    assert await executor.renew(seen) == timedelta(minutes=10)
    helper.ready = False
    assert await executor.renew(seen) is None
    helper.ready, helper.token = True, Secret("another-token")
    assert await executor.renew(seen) is None
    helper.token, helper.instance = Secret(host.details["paas_token"]), "another"
    assert await executor.renew(seen) is None
    del hosts.running[host.ref]
    with pytest.raises(Transient):
        await executor.renew(seen)
    hosts.running[host.ref] = helper


async def test_a_series_is_of_one_payer_and_of_hosts_made_alike(cloud, make):
    other = cloud.cloud.add_organisation("Another", Secret("another-cloud-token")).id
    request = requested(1, CI_CLEVER_CLOUD_FLAVOR="L")
    series = [
        await make().series(requested(2)),
        await make(cc_orga_id=other, cc_token=Secret("another-cloud-token")).series(request),
        await make(cc_zone="rbx").series(request),
        await make(heptapod_paas_runner_helper_image="registry.example/helper:2").series(request),
        await make(cc_instance_variant_uuid="11111111-1111-1111-1111-111111111111").series(request),
        await make(cc_extra_env={"A": "canary-of-extra-env"}).series(request),
    ]
    assert len(set(series)) == len(series)
    assert await make().series(request) == series[0]
    assert await make(attrs.evolve(SECTION, short_token="other1234", name="x")).series(request) == series[0]
    assert "canary" not in str(series)


# --- the rest -------------------------------------------------------------------------------------------


async def test_no_token_of_a_host_is_shown_anywhere(cloud, hosts, make, caplog):
    caplog.set_level(0)
    executor, request = make(), requested(42)
    host = await started(executor, request)
    token = host.details["paas_token"]
    hosts.faults.add(Answer(400, body=f'{{"message": "{token}"}}'.encode()), method="GET")
    for verb in (executor.trouble, executor.silence):
        try:
            shown = await verb(provisioned(request, host))
        except Rejected as error:
            shown = f"{error!r}{error}"
        assert token not in str(shown)
    assert token not in f"{host!r}{caplog.text}"
    assert token not in redactor.text(f"a line with {token} in it")
    await executor.decommission(Removal(name=request.host_name, host=host, search=False))


async def test_an_application_that_is_up_need_not_have_a_job(make):
    executor, request = make(), requested(42)
    await ready(executor, request, await executor.provision(request))
    [seen] = await executor.hosts("")
    assert (seen.name, seen.busy) == (request.host_name, None)


async def test_an_examination_tells_what_hosts_are_made_of(make):
    [*_, told] = await make().examine()
    assert (told.grade, REFERENCE_IMAGE in told.text) == (Grade.WARNING, True)
    [*_, told] = await make(heptapod_paas_runner_helper_image="registry.example/helper:1").examine()
    assert (told.grade, told.text) == (Grade.FINE, "registry.example/helper:1")


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"cc_helper_url": "https://helper.example"}, "cc_helper_url"),
        ({"cc_helper_url": "http://{application}.example"}, "cc_helper_url"),
        ({"cc_helper_url": "ftp://{application}.example"}, "cc_helper_url"),
        ({"heptapod_paas_runner_helper_image": "He lper"}, "heptapod_paas_runner_helper_image"),
        ({"cc_extra_env": {VARIABLE: "x"}}, "cc_extra_env"),
        ({"cc_extra_env": {"PAAS_RUNNER_START_UNTIL": "1"}}, "cc_extra_env"),
        ({"cc_zones": ["rbx"], "cc_zone": "mtl"}, "cc_zones"),
    ],
)
def test_contradictions_are_told_by_their_key(settings, key):
    found = CleverServiceSettings(cc_orga_id="orga_1", cc_token=Secret("token"), **settings).problems()
    assert [place for place, _ in found] == [key]


def test_helpers_of_hosts_are_no_cloud_that_could_be_out_of_reach():
    assert kind_of(HELPER_OF_A_HOST) is ServiceKind.HOST
