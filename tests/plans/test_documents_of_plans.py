"""A plan and what is stored or written of it: nothing is lost on the way, and what is damaged is told."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paas_plans.document import changes, document, from_json, plan_of, to_json
from paas_plans.errors import DocumentError
from paas_plans.ids import fresh_id
from paas_plans.machine import step
from paas_plans.machine.moves import Begun
from paas_plans.plan import Action, ActionError, Attempt, Block, Plan, Reason, Sequence, State, Status
from paas_plans.plugin import BasePlugin, Context
from paas_plans.registry import Registry
from paas_plans.secret import HIDDEN, secret
from paas_plans.stores.protocol import Document
from paas_plans.walk import at, items, replaced, walk

from tests.plans.generated_plans import plans, written_plans
from tests.plans.small_plans import block, checks, plan, sequence

NOW = datetime(2026, 7, 1, 8, 0, 0, 123456, UTC)
FIRST = ("blocks", 0, "sequences", 0, "actions", 0)


@attrs.frozen
class Json(BasePlugin):
    """Requests and responses of JSON's own types."""

    name: str
    request_type = Any
    response_type = Any

    def execute(self, request: Any, context: Context) -> Any:
        """Never called here."""


@attrs.frozen
class Login:
    """A request with a secret."""

    user: str
    password: str = secret()
    wait: timedelta = timedelta(0)


@attrs.frozen
class Session:
    """A response with one."""

    token: str = secret()


class LogsIn(BasePlugin):
    name = "logs in"
    request_type = Login
    response_type = Session

    def execute(self, request: Login, context: Context) -> Session:
        return Session(request.password)


class Rot:
    """A cipher that can be told from clear text."""

    def encrypt(self, data: bytes) -> bytes:
        return b"sealed:" + data[::-1]

    def decrypt(self, token: bytes) -> bytes:
        assert token.startswith(b"sealed:")
        return token.removeprefix(b"sealed:")[::-1]


ALL_JSON = Registry(*map(Json, ("tests.does", "tests.does_other", "tests.looks")))
LOGS_IN = Registry(LogsIn())
OTHERWISE = Registry(Json("logs in"))
CLEAR = "correct horse"


def submitted(fresh: Plan) -> Plan:
    for one in list(walk(fresh)):
        fresh = replaced(fresh, one.path, attrs.evolve(at(fresh, one.path), id=fresh_id()))
    return attrs.evolve(fresh, submitted=NOW)


def with_secrets() -> Plan:
    """Its first action has a secret in its request, and one in its response."""
    fresh = submitted(plan(block(sequence("logs in", "later")), bypass_checks=checks("looks")))
    attempt = Attempt(start=NOW, end=NOW, response=Session(CLEAR))
    request = Login("me", CLEAR, timedelta(microseconds=1))
    return evolved(fresh, request=request, attempts=(attempt,))


def evolved(whole: Plan, **fields: Any) -> Plan:
    return replaced(whole, FIRST, attrs.evolve(at(whole, FIRST), **fields))


def applied(before: Document, *more: Any) -> Document:
    """What a store has after these changes."""
    for one in more:
        before = attrs.evolve(before, summary=one.summary, states={**before.states, **one.states})
    return before


# --- stored -------------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(written_plans())
def test_any_plan_is_read_back_equal(whole: Plan):
    assert plan_of(document(whole, None), ALL_JSON, None) == whole


@settings(max_examples=20)
@given(plans(most=2))
def test_a_plan_that_has_not_begun_is_its_definition_alone(fresh: Plan):
    whole = submitted(fresh)
    stored = document(whole, None)
    assert set(stored.states) == {whole.id}
    assert plan_of(stored, ALL_JSON, None) == whole


@settings(max_examples=20)
@given(written_plans(), st.data())
def test_what_changed_brings_what_is_stored_up_to_date(whole: Plan, data: st.DataObject):
    other = data.draw(written_plans(st.just(whole)))
    other = attrs.evolve(other, submitted=whole.submitted)
    told = changes(whole, other, None, NOW)
    assert plan_of(applied(document(whole, None), told), ALL_JSON, None) == other


def test_only_what_changed_itself_is_written():
    before = submitted(plan(block(sequence("a", "b"), sequence("c")), block(sequence("d"))))
    after, _ = step(before, Begun(), NOW)
    told = changes(before, after, None, NOW)
    running = {one.item.id for one in walk(after) if one.item.state.status is Status.RUNNING}
    assert set(told.states) == running
    assert len(running) == 4  # plan, block, sequence, action
    later = evolved(after, attempts=(Attempt(start=NOW),))
    assert set(changes(after, later, None, NOW).states) == {at(after, FIRST).id}
    assert changes(later, later, None, NOW).states == {}


def test_the_summary_says_what_lists_show():
    ended = State(status=Status.FAILED, start=NOW, end=NOW + timedelta(hours=1))
    group, later = fresh_id(), NOW + timedelta(hours=2)
    whole = attrs.evolve(
        submitted(plan(block(sequence("a")), group_id=group)), state=ended, reason=Reason.BLOCK
    )
    summary = document(whole, None).summary
    assert (summary.id, summary.name, summary.group_id) == (whole.id, whole.name, group)
    assert (summary.status, summary.reason, summary.submitted) == (Status.FAILED, Reason.BLOCK, NOW)
    assert (summary.start, summary.end, summary.updated) == (ended.start, ended.end, NOW)
    assert changes(whole, whole, None, later).summary == attrs.evolve(summary, updated=later)


def test_times_of_other_zones_are_stored_as_utc():
    whole = attrs.evolve(with_secrets(), submitted=NOW.astimezone(timezone(timedelta(hours=2))))
    read = plan_of(document(whole, None), None, None)
    assert read.submitted == NOW
    assert read.submitted.tzinfo is UTC


def test_requests_and_responses_are_of_their_plugins_types():
    whole = with_secrets()
    assert plan_of(document(whole, None), LOGS_IN, None) == whole


def test_with_a_cipher_no_secret_is_stored_in_clear():
    whole = with_secrets()
    stored = document(whole, Rot())
    later = changes(evolved(whole, attempts=()), whole, Rot(), NOW)
    assert later.states
    for text in (stored.definition, *stored.states.values(), *later.states.values()):
        assert CLEAR not in text
    assert plan_of(stored, LOGS_IN, Rot()) == whole


@pytest.mark.parametrize("cipher", [None, Rot()])
@pytest.mark.parametrize("registry", [None, Registry()])
def test_without_the_plugin_all_is_shown_but_secrets(cipher: Rot | None, registry: Registry | None):
    shown = at(plan_of(document(with_secrets(), cipher), registry, None), FIRST)
    assert shown.request["user"] == "me"
    assert shown.request["password"] == HIDDEN
    assert shown.attempts[0].response["token"] == HIDDEN
    assert CLEAR not in repr(shown)


def test_what_has_ended_is_shown_although_its_plugin_has_other_types_by_now():
    whole = evolved(with_secrets(), state=State(status=Status.COMPLETED))
    read = at(plan_of(document(whole, None), OTHERWISE, None), FIRST)
    assert read.request["user"] == "me"
    assert read.attempts[0].response["token"] == HIDDEN


def test_what_has_not_ended_must_fit_its_plugins_types():
    stored = document(with_secrets(), None)
    with pytest.raises(
        DocumentError, match=r"the plan .*blocks\[0\]\.sequences\[0\]\.actions\[0\]\.request: "
    ):
        plan_of(stored, OTHERWISE, None)


def test_a_plan_sealed_with_another_key_is_told_as_such():
    stored = document(with_secrets(), Rot())
    with pytest.raises(DocumentError, match="is sealed: give the store the key"):
        plan_of(stored, LOGS_IN, None)


def test_a_damaged_state_is_told_with_its_place():
    whole = with_secrets()
    stored = document(whole, None)
    for text, wrong in (
        ("{", "the state of .*actions.0. is not JSON"),
        ("[]", "is not an object of JSON"),
        ('{"state": {"status": "dead"}}', r'actions\[0\]\.state\.status: "dead" is not a Status'),
        ('{"state": 1}', r"actions\[0\]\.state is not an object"),
        ('{"attempts": 1}', r"actions\[0\]\.attempts is not a list"),
        ('{"attempts": [{}]}', r"actions\[0\]\.attempts\[0\]\.start is missing"),
    ):
        damaged = attrs.evolve(stored, states={at(whole, FIRST).id: text})
        with pytest.raises(DocumentError, match=f"the plan {whole.id} .*{wrong}"):
            plan_of(damaged, None, None)


# --- in a file ----------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(written_plans())
def test_any_plan_is_read_back_from_a_file(whole: Plan):
    """Requests and responses as JSON, here all of JSON's own types."""
    assert from_json(to_json(whole)) == whole


def test_a_file_of_a_plan_has_no_secret():
    whole = with_secrets()
    text = to_json(whole)
    assert CLEAR not in text
    shown = at(from_json(text), FIRST)
    assert shown.request == {
        "$type": "Login",
        "user": "me",
        "password": HIDDEN,
        "wait": shown.request["wait"],
    }


def test_a_file_is_for_people():
    text = to_json(with_secrets())
    data = json.loads(text)
    assert text.endswith("}\n")
    assert data["format"] == "paas-plans 1"
    assert data["blocks"][0]["sequences"][0]["actions"][0]["timeout"] == 30
    assert data["state"]["status"] == "not_started"
    assert data["submitted"] == "2026-07-01T08:00:00.123456+00:00"


def test_a_file_of_one_that_has_not_been_submitted_is_a_plan_too():
    fresh = plan(block(sequence("a")))
    assert from_json(to_json(fresh)) == fresh


SMALL = Plan(
    name="p",
    description="d",
    blocks=(Block(name="b", description="d", sequences=(Sequence(name="s", description="d", actions=()),)),),
)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"name": 1}, "name: 1 is not a str"),
        ({"name": None}, "name: null is not a str"),
        ({"color": "red"}, "plan has an unknown field color"),
        ({"blocks": {}}, "blocks is not a list"),
        ({"blocks": [1]}, r"blocks\[0\] is not an object"),
        ({"blocks": [{"name": "b", "description": ""}]}, r"blocks\[0\]\.sequences is missing"),
        ({"id": "7"}, 'id: "7" is not a UUID'),
        ({"id": ["7"]}, r'id: \["7"\] is not a UUID'),
        ({"meta": "ä"}, "meta: .* is not a bytes"),
        ({"meta": "="}, "meta: .* is not a bytes"),
        ({"reason": "bad luck"}, "reason: .* is not a Reason"),
        ({"submitted": "yesterday"}, "submitted: .* is not a datetime"),
        ({"submitted": "0001-01-01T00:00:00+23:00"}, "submitted: .* is not a datetime"),
        ({"submitted": "2026-01-01T00:00:00"}, "submitted: .* is not a datetime"),
        ({"format": "paas-plans 2"}, 'its format is "paas-plans 2", not paas-plans 1'),
        ({"format": None}, "its format is null, not paas-plans 1"),
        ({"state": {"status": "running", "start": 3}}, r"state\.start: 3 is not a datetime"),
    ],
)
def test_a_damaged_file_is_told_with_the_place(change: dict[str, Any], wrong: str):
    data = {**json.loads(to_json(SMALL)), **change}
    with pytest.raises(DocumentError, match=f"the file is not a plan that this version can read: {wrong}"):
        from_json(json.dumps(data))


@pytest.mark.parametrize("value", [True, "1", 1.5, None, 10**400])
def test_numbers_are_whole_numbers(value: object):
    data = json.loads(to_json(SMALL))
    data["blocks"][0]["concurrency"] = value
    if value == 10**400:
        assert from_json(json.dumps(data)).blocks[0].concurrency == value
        return
    with pytest.raises(DocumentError, match=r"blocks\[0\]\.concurrency: .* is not a int"):
        from_json(json.dumps(data))


@pytest.mark.parametrize("value", [True, "30", 1e308, float("nan"), float("inf"), 10**30])
def test_delays_are_seconds(value: object):
    data = json.loads(to_json(SMALL))
    data["blocks"][0]["exit_delay"] = value
    with pytest.raises(DocumentError, match=r"blocks\[0\]\.exit_delay: .* is not a timedelta"):
        from_json(json.dumps(data))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", "<html>", "\x00", "[" * 100_000, '{"a": 1}'])
def test_a_foreign_file_is_no_plan(text: str):
    with pytest.raises(DocumentError, match="the file is not a plan that this version can read"):
        from_json(text)


def test_an_error_with_all_that_it_may_have_is_kept():
    error = ActionError(message="m\x00\ud800", code=-(2**70), permanent=True, cause="because")
    whole = evolved(with_secrets(), attempts=(Attempt(start=NOW, error=error),))
    assert at(plan_of(document(whole, None), None, None), FIRST).attempts[0].error == error
    assert at(from_json(to_json(whole)), FIRST).attempts[0].error == error


def test_objects_have_the_fields_of_this_version_of_the_format():
    """Another field is another format: its name changes, and this one is still read."""
    fields = {
        kind.__name__: {field.name for field in attrs.fields(kind)} for kind in (Plan, Action, Attempt, State)
    }
    assert fields == {
        "Plan": {
            *("name", "description", "blocks", "group_id", "meta", "bypass_checks", "pre_checks"),
            *("continuous_checks", "post_checks", "deferred_checks", "deferred_actions", "id", "state"),
            *("reason", "submitted", "heartbeat", "stop_requested"),
        },
        "Action": {
            *("name", "description", "plugin", "request", "timeout", "retries", "key", "id", "attempts"),
            "state",
        },
        "Attempt": {"start", "end", "response", "error"},
        "State": {"status", "start", "end", "until"},
    }


def test_all_actions_are_found_in_what_was_read():
    whole = with_secrets()
    assert [one.name for one in items(plan_of(document(whole, None), None, None), Action)] == [
        one.name for one in items(whole, Action)
    ]
