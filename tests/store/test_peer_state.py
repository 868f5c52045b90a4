"""State files of heptapod-paas-runner 0.5.0 and 1.1.1 become records, and records such a file."""

import json
import math

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas_runner.job.decision import Act, Action, Policy, Settle, next_action
from paas_runner.job.events import Checked, Failed
from paas_runner.job.known_runner import peer_name, short_token
from paas_runner.job.lifecycle import apply
from paas_runner.job.tracked import Host, JobKey, Phase
from paas_runner.store.peer_state import at_home, exported, imported, set_aside
from paas_runner.store.records import from_record, to_record
from tests.support.records import FAILURE, HOST, NOW, job, job_in, payload

NAMES = {"abc123xyz": "abc123xy", "zyx321cba": "glrt-t1_"}
POLICY = Policy()


def handle(job_id, *, runner="abc123xy", resource=None, **more):
    found = {"runner_name": runner, "job_id": job_id, "token": f"job-token-{job_id}", **more}
    return found if resource is None else {**found, "paas_resource": resource}


def definition(job_id, **more):
    return {"id": job_id, "token": f"job-token-{job_id}", "variables": [], **more}


def app_050(number):
    url = f"https://push.example/app_{number}.git"
    return {"id": f"app_{number}", "gitlab_namespace": None, "deploy_url": url}


def app_111(number, **more):
    return {**app_050(number), "weight": 5.65, "launched": True, **more}


DOCUMENT_050 = {
    "launched": [handle(1, resource=app_050(1))],
    "to_decommission": [handle(2, resource=app_050(2))],
    "pending": [[handle(3), definition(3)], [handle(4, resource=app_050(4)), definition(4)]],
}


def newer(job_id, **more):
    return handle(job_id, **{"trace_offset": 0, "expected_weight": 5.65, **more})


DOCUMENT_111 = {
    "launched": [newer(1, resource=app_111(1, gitlab_namespace="group"))],
    "to_decommission": [newer(2, resource=app_111(2)), newer(7, resource=app_111(7))],
    "standby_resources": [newer(7, resource=app_111(7)), newer(8, resource=app_111(8))],
    "pending": [
        [newer(3), definition(3)],
        [newer(4, resource=app_111(4, launched=False)), definition(4)],
        [newer(5, resource=app_111(5)), definition(5, runner_info={"timeout": 600})],
    ],
}


def taken(document, names=NAMES):
    return {known.key.job_id: known for known in imported(document, names, NOW).jobs}


def first_action(known):
    decision = next_action(known, NOW + POLICY.status_every, POLICY)
    assert isinstance(decision, Act)
    return decision.action


def test_each_list_of_0_5_0_becomes_the_phase_that_it_means():
    known = taken(DOCUMENT_050)
    assert {number: record.phase for number, record in known.items()} == {
        1: Phase.RUNNING,
        2: Phase.DECOMMISSIONING,
        3: Phase.ACQUIRED,
        4: Phase.PROVISIONING,
    }
    assert {record.key.runner for record in known.values()} == {"abc123xyz"}
    assert known[1].host == Host(ref="app_1", details={"deploy_url": "https://push.example/app_1.git"})
    assert known[1].token.reveal() == "job-token-1"
    assert known[4].host_since == NOW


def test_each_list_of_1_1_1_becomes_the_phase_that_it_means():
    known = taken(DOCUMENT_111)
    assert {number: record.phase for number, record in known.items()} == {
        1: Phase.RUNNING,
        2: Phase.DECOMMISSIONING,
        3: Phase.ACQUIRED,
        4: Phase.PROVISIONING,
        5: Phase.LAUNCHED,
        7: Phase.DECOMMISSIONING,
        8: Phase.DECOMMISSIONING,
    }
    assert known[1].tenant == "group"
    assert known[5].payload is None
    assert known[5].timeout.total_seconds() == 600


def test_what_is_done_first_about_imported_jobs():
    known = taken(DOCUMENT_111)
    assert first_action(known[1]) is Action.CHECK_STATUS
    assert first_action(known[2]) is Action.DECOMMISSION
    for pending in (3, 4):  # the coordinator may have ended them meanwhile
        assert next_action(known[pending], NOW, POLICY) == Act(Action.TOUCH)
    assert first_action(known[5]) is Action.LOOK_FOR_LIFE


def test_the_host_that_may_exist_for_a_pending_job_without_one_is_named():
    assert imported(DOCUMENT_111, NAMES, NOW).possible_hosts == ["hpd-job-abc123xy-3"]


@pytest.mark.parametrize("raw", [None, "text", {"id": 6}, {"id": 9, "token": "t"}])
@pytest.mark.parametrize("resource", [None, app_111(6, launched=False)])
def test_a_pending_job_that_cannot_be_read_is_reported_and_its_host_removed(raw, resource):
    known = taken({"launched": [], "pending": [[handle(6, resource=resource), raw]]})[6]
    decision = next_action(apply(known, Checked(), NOW), NOW, POLICY)
    assert decision == Settle(Failed(failure=known.failure))
    assert "damaged" in known.failure.text
    assert apply(known, decision.event, NOW).host_intended is (resource is not None)


def test_a_failure_that_was_explained_but_not_reported_is_only_reported():
    pair = [newer(6, resource=app_111(6), trace_offset=80), definition(6)]
    known = taken({"launched": [], "pending": [pair]})[6]
    assert known.explained
    assert first_action(known) is Action.REPORT
    assert known.host.ref == "app_6"


def test_a_job_or_host_in_several_lists_is_what_the_first_says():
    document = {
        "launched": [newer(1, resource=app_111(1)), newer(9)],
        "pending": [[newer(1, resource=app_111(1)), definition(1)]],
        "to_decommission": [newer(2, resource=app_111(1)), newer(3)],
    }
    assert {number: known.phase for number, known in taken(document).items()} == {1: Phase.RUNNING}


def test_jobs_of_a_runner_that_the_configuration_lacks_are_kept_and_come_home_later():
    document = {"launched": [newer(1, runner="departed", resource=app_111(1))], "pending": []}
    known = taken(document)[1]
    assert known.key == JobKey("departed", 1)
    assert exported([known], NAMES)["launched"][0]["runner_name"] == "departed"
    assert at_home(known, NAMES) == known
    assert at_home(known, {**NAMES, "departed9": "departed"}).key == JobKey("departed9", 1)


def test_of_runners_that_share_their_name_over_there_the_last_has_the_jobs():
    tokens = ["glrt-t1_first1234", "glrt-t1_second1234"]
    names = {short_token(token): peer_name(token) for token in tokens}
    document = {"launched": [newer(1, runner="glrt-t1_", resource=app_111(1))], "pending": []}
    assert taken(document, names)[1].key.runner == short_token(tokens[1])


def test_a_host_of_a_kind_that_we_do_not_have_keeps_nothing_else_out():
    other = {"app_id": "app_other", "http_url": "https://x", "launched": True}
    document = {
        "launched": [newer(1, resource=other), newer(2, resource=app_111(2))],
        "pending": [[newer(3, resource={"app_id": "app_pending"}), definition(3)]],
        "to_decommission": [newer(4, resource={"name": "app_old"}), newer(5, resource=7)],
    }
    found = imported(document, NAMES, NOW)
    assert [(known.key.job_id, known.phase) for known in found.jobs] == [
        (2, Phase.RUNNING),
        (3, Phase.ACQUIRED),
    ]
    assert "made by another program" in found.jobs[1].failure.text
    assert found.jobs[1].host is None
    assert [each.about for each in found.aside] == [
        "launched[0] (job 1 of abc123xy): its host app_other is of a kind that is not known",
        "pending[0] (job 3 of abc123xy): its host app_pending is of a kind that is not known",
        "to_decommission[0] (job 4 of abc123xy): its host app_old is of a kind that is not known",
        "to_decommission[1] (job 5 of abc123xy): `paas_resource` is neither a text nor a table",
    ]
    assert not found.possible_hosts


BROKEN = [
    (7, "a job handle was expected"),
    ({"job_id": 1, "token": "secret-canary"}, "`runner_name` is missing"),
    ({**handle(1), "job_id": "1"}, "`job_id` is no positive number"),
    ({**handle(1), "token": ["secret-canary"]}, "`token` is missing"),
]


@pytest.mark.parametrize(("entry", "why"), BROKEN)
@pytest.mark.parametrize("name", ["launched", "pending", "to_decommission", "standby_resources"])
def test_a_handle_that_makes_no_sense_is_put_aside_as_it_is_and_the_others_are_taken_in(name, entry, why):
    """One foreign handle ends no start."""
    entry = [entry, definition(1)] if name == "pending" else entry
    document = {"launched": [newer(2, resource=app_111(2))], "pending": [], name: [entry]}
    document["launched"] += [newer(2, resource=app_111(2))]
    found = imported(document, NAMES, NOW)
    assert [known.key.job_id for known in found.jobs] == [2]
    [aside] = found.aside
    assert aside.about.endswith(why)
    assert "canary" not in repr(found)
    assert set_aside(found.aside) == {
        "launched": [],
        "pending": [],
        "to_decommission": [],
        "standby_resources": [],
    } | {name: [entry]}


# --- helper services: hosts of service-docker and clever-service-docker -----------------------------------


def fixed():
    """As `ServiceApplication` of 1.1.1 dumps itself: of all jobs of a runner the same."""
    return {"app_id": "hpd-job-abc123xy", "netloc": "helper:8000", "paas_token": "helper-canary"}


def helped(number, **more):
    place = f"app-{number}.cleverapps.io"
    return app_111(number, netloc=place, paas_token=f"helper-canary-{number}", **more)


DOCUMENT_HELPERS = {
    "launched": [newer(1, resource=helped(1)), newer(2, resource=fixed())],
    "pending": [
        [newer(3, resource=helped(3, launched=False)), definition(3)],
        [newer(4, resource=helped(4)), definition(4)],
        [newer(5, resource=fixed()), definition(5)],
    ],
    "to_decommission": [newer(6, resource=helped(6)), newer(7, resource=fixed())],
    "standby_resources": [newer(6, resource=helped(6)), newer(7, resource=fixed())],
}


def test_jobs_at_helper_services_become_the_phases_that_their_lists_mean():
    """H130, H131: a helper service that stays has one job after the other, and is no one job's host."""
    known = taken(DOCUMENT_HELPERS)
    assert {number: record.phase for number, record in known.items()} == {
        1: Phase.RUNNING,
        2: Phase.RUNNING,
        3: Phase.PROVISIONING,
        4: Phase.LAUNCHED,
        5: Phase.PROVISIONING,
        6: Phase.DECOMMISSIONING,
        7: Phase.DECOMMISSIONING,
    }
    assert known[1].host == Host(
        ref="app_1",
        weight=5.65,
        details={
            "deploy_url": "https://push.example/app_1.git",
            "netloc": "app-1.cleverapps.io",
            "paas_token": "helper-canary-1",
            "runner_name": "abc123xy",
        },
    )
    assert known[2].host == Host(
        ref="hpd-job-abc123xy",
        weight=1.0,
        details={"netloc": "helper:8000", "paas_token": "helper-canary", "runner_name": "abc123xy"},
    )
    assert not any(record.host.series for record in known.values())
    assert "canary" not in repr(known)


def test_jobs_at_helper_services_go_back_in_the_form_that_1_1_1_loads():
    lists = exported(list(taken(DOCUMENT_HELPERS).values()), NAMES)
    resources = [entry["paas_resource"] for entry in lists["launched"]]
    assert resources[0].items() >= helped(1).items()
    assert resources[1] == lists["pending"][1][0]["paas_resource"] == fixed()
    assert [entry["paas_resource"].keys() for entry in lists["to_decommission"]][1:] == [fixed().keys()]


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({}, "`launched` is no list"),
        ({"launched": []}, "`pending` is no list"),
        ({"launched": [], "pending": [], "to_decommission": None}, "`to_decommission` is no list"),
        ({"launched": [7], "pending": []}, r"launched\[0\]: a job handle was expected"),
        ({"launched": [], "pending": [[1]]}, r"pending\[0\]: a pair"),
        ({"launched": [{"job_id": 1, "token": "t"}], "pending": []}, "`runner_name` is missing"),
        ({"launched": [{**handle(1), "job_id": "1"}], "pending": []}, "`job_id` is no positive number"),
        ({"launched": [{**handle(1), "token": ""}], "pending": []}, "`token` is missing"),
    ],
)
def test_what_is_no_such_file_is_refused_in_words_and_without_values(document, why):
    with pytest.raises(ValueError, match=why) as caught:
        imported(document, NAMES, NOW)
    assert "job-token" not in str(caught.value)


def test_each_phase_is_exported_to_the_list_that_means_it():
    phases = [phase for phase in Phase if phase is not Phase.GONE]
    records = [
        attrs.evolve(job_in(phase), key=JobKey("abc123xyz", number)) for number, phase in enumerate(phases)
    ]
    lists = exported(records, NAMES)
    found = {
        phases[(entry[0] if name == "pending" else entry)["job_id"]]: name
        for name, entries in lists.items()
        for entry in entries
    }
    assert found == {
        Phase.ACQUIRED: "pending",
        Phase.PROVISIONING: "pending",
        Phase.PROVISIONED: "pending",
        Phase.LAUNCHING: "pending",
        Phase.LAUNCHED: "launched",
        Phase.RUNNING: "launched",
        Phase.FAILING: "to_decommission",
        Phase.DECOMMISSIONING: "to_decommission",
        Phase.STANDBY: "to_decommission",
    }
    assert lists["standby_resources"] == []


def test_a_host_on_standby_is_in_both_lists_in_which_1_1_1_has_it():
    """H142; of a host without a helper service it would not know the weight, or how to use it again."""
    details = {**HOST.details, "netloc": "app-1.cleverapps.io", "paas_token": "helper-canary"}
    host = attrs.evolve(HOST, weight=5.65, details=details)
    lists = exported([job_in(Phase.STANDBY, host=host)], NAMES)
    assert lists["launched"] == lists["pending"] == []
    [waiting] = lists["standby_resources"]
    assert lists["to_decommission"] == [waiting]
    assert waiting["paas_resource"].items() >= {**details, "id": "app_1", "weight": 5.65}.items()


def test_a_handle_has_what_both_versions_load_and_nothing_that_0_5_0_refuses():
    weighed = attrs.evolve(HOST, weight=5.5)
    [exported_handle] = exported([job_in(Phase.RUNNING, host=weighed)], NAMES)["launched"]
    assert exported_handle == {
        "runner_name": "abc123xy",
        "job_id": 1,
        "token": "job-token-1",
        "paas_resource": {
            "id": "app_1",
            "deploy_url": "https://push.example/app_1.git",
            "gitlab_namespace": None,
            "launched": True,
            "weight": 5.5,
        },
    }


@pytest.mark.parametrize("weight", ["", "heavy", True, None, math.nan, math.inf])
def test_a_weight_that_is_no_number_is_left_out_for_the_default_over_there(weight):
    document = {"launched": [handle(1, paas_resource=app_111(1, weight=weight))], "pending": []}
    [job] = taken(document).values()
    assert job.host.weight is None
    [exported_handle] = exported([job], NAMES)["launched"]
    assert "weight" not in exported_handle["paas_resource"]


def test_the_tenant_of_a_host_is_its_group_in_both_directions():
    document = {"launched": [handle(1, paas_resource=app_111(1, gitlab_namespace="acme"))], "pending": []}
    [job] = taken(document).values()
    assert job.tenant == "acme"
    [exported_handle] = exported([job], NAMES)["launched"]
    assert exported_handle["paas_resource"]["gitlab_namespace"] == "acme"


def test_what_1_1_1_wrote_it_gets_back_as_it_was():
    lists = exported(list(taken(DOCUMENT_111).values()), NAMES)
    resources = [entry["paas_resource"] for entry in lists["launched"]]
    assert resources == [app_111(1, gitlab_namespace="group"), app_111(5)]
    assert [pair[1] for pair in lists["pending"]] == [definition(3), definition(4)]
    assert lists["pending"][1][0]["paas_resource"] == app_111(4, launched=False)
    assert [entry["paas_resource"]["id"] for entry in lists["to_decommission"]] == ["app_2", "app_7", "app_8"]


def test_a_host_that_is_known_by_its_id_alone_is_given_back_so():
    document = {"launched": [handle(1, resource="hpd-job-abc123xy-1")], "pending": []}
    assert taken(document)[1].host == Host(ref="hpd-job-abc123xy-1")
    assert exported(list(taken(document).values()), NAMES)["launched"] == document["launched"]


phases = st.sampled_from([phase for phase in Phase if phase is not Phase.GONE])
runners = st.sampled_from([*NAMES, "departed", "oldname9x"])


@st.composite
def record_sets(draw):
    """Records of any phase, of known and unknown runners, each with a host of its own or with none."""
    keys = draw(st.lists(st.tuples(runners, st.integers(1, 30)), unique=True, max_size=12))
    return [_record(draw, JobKey(*key), number) for number, key in enumerate(keys)]


def _record(draw, key, number):
    host = attrs.evolve(HOST, ref=f"app_{number}", details=draw(st.sampled_from([HOST.details, {}])))
    record = job_in(draw(phases), key=key, trouble=draw(st.text(max_size=5)))
    record = attrs.evolve(record, host=host if record.host else None)
    if record.payload:
        record = attrs.evolve(record, payload=payload(key.job_id, job_info={"name": draw(st.text())}))
    if record.phase is Phase.FAILING:
        record = attrs.evolve(record, failure=FAILURE, host=draw(st.sampled_from([host, None])))
    return record


@given(record_sets())
def test_any_records_survive_and_the_lists_name_every_host_once(records):
    document = json.loads(
        json.dumps(exported(records, NAMES) | {"ours": [to_record(one) for one in records]})
    )
    assert [at_home(from_record(one), NAMES) for one in document["ours"]] == records
    named = []
    for name in ("launched", "pending", "to_decommission", "standby_resources"):
        for entry in document[name]:
            resource = (entry[0] if name == "pending" else entry).get("paas_resource")
            named += [resource["id"] if isinstance(resource, dict) else resource] if resource else []
    assert sorted(named) == sorted(one.host.ref for one in records if one.host)


@given(record_sets())
def test_what_we_export_we_also_import(records):
    found = imported(exported(records, NAMES), NAMES, NOW)
    with_host = {one.host.ref for one in records if one.host}
    assert {one.host.ref for one in found.jobs if one.host} == with_host
    assert {one.key for one in found.jobs} == {one.key for one in records if one.payload or one.host}


def test_a_job_of_ours_is_acquired_with_the_name_of_its_runner():
    assert exported([job(1)], NAMES)["pending"][0][0]["runner_name"] == "abc123xy"
