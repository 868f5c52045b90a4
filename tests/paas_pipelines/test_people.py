"""Persons are counted, not names: who has started, who decides, and what proves either (automation.md §6)."""

import base64
import hashlib
import hmac
import json

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paas_pipelines.access.actor import Way, actor_of, actor_of_trigger
from paas_pipelines.access.identity import Identity
from paas_pipelines.access.people import (
    People,
    mark_of_hearsay,
    mark_of_name,
    mark_of_sender,
    marks_of,
    person_in,
)
from paas_pipelines.access.policy import Access
from paas_pipelines.access.statements import Statement
from paas_pipelines.definitions.automation import Approval, TaskType
from paas_pipelines.definitions.definition import TaskDefinition
from paas_pipelines.runs.approving import DecisionRefusedError, starters
from paas_pipelines.runs.run import Origin, Run
from paas_pipelines.server import automation
from paas_pipelines.store.codec import records, to_text
from paas_pipelines.triggers.trust import sender_of

from paas_runner.config import ConfigError
from paas_runner.secret import Secret
from tests.paas_pipelines.test_triggers_hooks import handled, hooked
from tests.paas_pipelines.worlds.engine_by_hand import ByHand, defined
from tests.support.served_pipelines import authorization, definition, now, served, serving
from tests.support.triggered import KnownSecrets, after, hook, pipeline, signed

ADA, ADAS_TOKEN = Identity("ada", domain="corp", kind="login", subject="7"), Identity("ada")
BOB = Identity("bob", domain="corp", kind="login", subject="8")
RENAMED = attrs.evolve(ADA, name="ada2")
SENDER = mark_of_sender("hook", "Octo")
PEOPLE = People(
    {
        "identity:corp/ada": "ada",
        "identity:ada": "ada",
        SENDER: "ada",
        "identity:corp/bob": "bob",
    }
)


def asking(actor, user="", origin=Origin(), **keys):  # noqa: B008 - frozen
    """An approval of the run r1."""
    task = TaskDefinition(type=TaskType.APPROVAL, approval=Approval(**keys))
    by_hand = ByHand(defined(tasks={"ok": task}))
    by_hand.engine.schedule("p", variables={}, user=user, actor=actor, origin=origin)
    by_hand.engine.ask("r1", "ok", "?")
    return by_hand


def says(by_hand, who, people=PEOPLE):
    asked = by_hand.run("r1").task("ok").asked
    return by_hand.engine.decide(
        "r1", "ok", user=str(who), approved=True, digest=asked.digest, marks=marks_of(who), people=people
    )


def by_trigger(*causes):
    return actor_of_trigger("p/push", Way.TRIGGER, causes)


UNKNOWN = "four_eyes needs to know who starts it"
OWN = "has started it"


@pytest.mark.parametrize(
    ("actor", "user", "decider", "people", "refusal"),
    [
        (actor_of(ADA, Way.PAGE), "corp/ada", BOB, PEOPLE, ""),
        (actor_of(ADA, Way.PAGE), "corp/ada", ADA, People(), OWN),
        (actor_of(ADA, Way.PAGE), "corp/ada", ADAS_TOKEN, People(), ""),  # nobody says that they are one
        (actor_of(ADA, Way.PAGE), "corp/ada", ADAS_TOKEN, PEOPLE, OWN),
        (actor_of(ADAS_TOKEN, Way.API), "ada", ADA, PEOPLE, OWN),
        (actor_of(ADA, Way.PAGE), "corp/ada", RENAMED, People(), OWN),
        (by_trigger(), "trigger/p/push", BOB, PEOPLE, UNKNOWN),
        (by_trigger(SENDER), "octo", BOB, PEOPLE, ""),
        (by_trigger(SENDER), "octo", ADA, PEOPLE, OWN),
        (by_trigger(SENDER), "trigger/p/push", ADAS_TOKEN, PEOPLE, OWN),
        (by_trigger(SENDER), "octo", BOB, People(), f"{UNKNOWN}: hook:hook/octo is nobody"),
        (by_trigger(mark_of_sender("other", "octo")), "octo", BOB, PEOPLE, UNKNOWN),
        (by_trigger(), "corp/ada", BOB, PEOPLE, UNKNOWN),  # a name out of a payload proves nothing
        (by_trigger(), "corp/bob", BOB, PEOPLE, OWN),  # but it may keep somebody from deciding
        (by_trigger(SENDER), "corp/bob", BOB, PEOPLE, OWN),
        (by_trigger(*mark_of_name("corp/ada")), "corp/ada", BOB, PEOPLE, ""),  # the file itself names her
        (by_trigger(*mark_of_name("corp/ada")), "corp/ada", ADAS_TOKEN, PEOPLE, OWN),
        (actor_of(Identity(""), Way.API), "", BOB, PEOPLE, UNKNOWN),
        (actor_of(ADA, Way.PAGE), "corp/ada", Identity(""), PEOPLE, "four_eyes needs to know who decides"),
        (actor_of(Identity("hook:hook/octo"), Way.API), "hook:hook/octo", ADA, PEOPLE, ""),  # only so called
    ],
)
def test_four_eyes_are_those_of_two_persons_both_of_whom_are_known(actor, user, decider, people, refusal):
    by_hand = asking(actor, user, four_eyes=True)
    if refusal:
        with pytest.raises(DecisionRefusedError) as error:
            says(by_hand, decider, people)
        assert (error.value.status, refusal in str(error.value)) == (403, True), error.value
        assert not by_hand.run("r1").task("ok").asked.decisions
    else:
        assert says(by_hand, decider, people).completed


@pytest.mark.parametrize(
    ("root", "root_user", "refusal"),
    [
        (marks_of(ADA), "corp/ada", OWN),
        (marks_of(BOB), "corp/bob", ""),
        ((SENDER,), "octo", OWN),
        ((), "corp/bob", UNKNOWN),
        ((mark_of_hearsay("corp/bob"),), "corp/bob", UNKNOWN),
    ],
)
def test_whoever_started_what_led_to_a_run_is_no_second_person(root, root_user, refusal):
    origin = Origin(trigger="p/after", root=root, root_user=root_user)
    by_hand = asking(actor_of_trigger("p/after", Way.TRIGGER), "trigger/p/after", origin, four_eyes=True)
    assert set(root) <= set(starters(by_hand.run("r1")))
    if refusal:
        with pytest.raises(DecisionRefusedError, match=refusal):
            says(by_hand, ADA)
    else:
        says(by_hand, ADA)


def test_a_person_counts_once_whatever_it_is_called_also_after_a_restart_and_with_other_settings():
    by_hand = asking(actor_of(BOB, Way.PAGE), count=2)
    says(by_hand, ADA)
    for again in (ADA, ADAS_TOKEN, RENAMED):
        assert len(says(by_hand, again).task("ok").asked.decisions) == 1
    [stored] = records({"r1": to_text(by_hand.run("r1"))}, Run, "run")
    assert person_in(stored.task("ok").asked.decisions[0].marks) == "ada"
    read = ByHand(*by_hand.engine.definitions.values(), stored=[stored])
    assert len(says(read, ADAS_TOKEN).task("ok").asked.decisions) == 1
    now_hers = People({"identity:corp/eve": "ada"})  # who is named for her since
    assert len(says(read, Identity("eve", domain="corp"), now_hers).task("ok").asked.decisions) == 1
    assert says(read, BOB).completed


def test_decisions_of_older_versions_are_known_by_their_names():
    by_hand = asking(None, user="starter", count=2, four_eyes=True)
    by_hand.engine.decide(
        "r1", "ok", user="corp/ada", approved=True, digest=by_hand.run("r1").task("ok").asked.digest
    )
    text = json.loads(to_text(by_hand.run("r1")))
    [decision] = text["tasks"][0]["asked"]["decisions"]
    del decision["marks"]
    [old] = records({"r1": json.dumps(text)}, Run, "run")
    read = ByHand(*by_hand.engine.definitions.values(), stored=[old])
    assert len(says(read, ADAS_TOKEN).task("ok").asked.decisions) == 1
    assert says(read, BOB).completed


NAMES = ("a", "b", "x/a", "x/b")
VOUCHED = st.builds(
    lambda name, number: Identity(
        name.rpartition("/")[2], domain=name.rpartition("/")[0], subject=number if "/" in name else ""
    ),
    st.sampled_from(NAMES),
    st.sampled_from(["", "1", "2"]),
)
STARTS = st.one_of(
    st.builds(lambda who: (actor_of(who, Way.API), str(who)), VOUCHED),
    st.builds(
        lambda sender, user: (by_trigger(*([mark_of_sender("h", sender)] if sender else [])), user),
        st.sampled_from(["", "o", "O", "p"]),
        st.sampled_from(["", *NAMES]),
    ),
)


@given(
    start=STARTS,
    deciders=st.lists(VOUCHED, max_size=6),
    map_=st.dictionaries(st.sampled_from([*NAMES, "hook:h/o"]), st.sampled_from(["P", "Q"])),
    count=st.integers(1, 3),
)
def test_what_counts_is_as_a_slow_model_has_it(start, deciders, map_, count):
    """Of each two it is looked at whether they are one, by all that the settings and providers say."""
    actor, user = start
    people = People({each if each.startswith("hook:") else f"identity:{each}": map_[each] for each in map_})

    def facts(who):
        return {
            ("name", str(who)),
            ("number", who.domain, who.subject) if who.subject else ("name", str(who)),
        }

    def persons(found):
        return {
            ("person", map_[value]) for kind, value, *_ in found if kind in ("name", "hook") and value in map_
        }

    def one(left, right):
        return bool((left | persons(left)) & (right | persons(right)))

    by_a_trigger = actor.identity.kind == "trigger"
    senders = {("hook", each) for each in actor.causes}
    starter = senders | ({("name", user)} if user else set()) if by_a_trigger else facts(actor.identity)
    known = not by_a_trigger or any(value in map_ for _, value in senders)
    counted = []
    by_hand = asking(actor, user, four_eyes=True, count=count)
    for who in deciders:
        if len(counted) >= count:
            break
        counts = known and not one(starter, facts(who))
        try:
            says(by_hand, who, people)
        except DecisionRefusedError:
            assert not counts
        else:
            assert counts or any(one(facts(who), other) for other in counted)
            if counts and not any(one(facts(who), other) for other in counted):
                counted.append(facts(who))
        assert len(by_hand.run("r1").task("ok").asked.decisions) == len(counted)
    assert by_hand.run("r1").completed is (len(counted) >= count)


# --- who has caused a delivery -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "payload", "sender"),
    [
        ("github", {"sender": {"login": "octo"}, "pusher": {"name": "eve"}}, "octo"),
        ("github", {"head_commit": {"author": {"username": "ada"}}}, ""),
        ("github", {"sender": "ada"}, ""),
        ("github", {"sender": {"login": "a\nb"}}, ""),
        ("github", {"sender": {"login": "x" * 201}}, ""),
        ("github", {"sender": {"login": ""}}, ""),
        ("github", ["ada"], ""),
        ("gitlab", {"user_username": "octo", "user_name": "Ada"}, "octo"),
        ("gitlab", {"user": {"username": "octo", "name": "Ada"}}, "octo"),
        ("gitlab", {"commits": [{"author": {"name": "ada"}}]}, ""),
        ("token", {"sender": {"login": "octo"}}, ""),
        ("standard", {"user": {"username": "octo"}}, ""),
    ],
)
def test_the_sender_is_whom_the_provider_names_and_never_an_author(provider, payload, sender):
    assert sender_of(provider, payload) == sender


def proof(provider, secret, body):
    """The headers of a delivery that is genuine."""
    moment = str(int(now().timestamp()))
    mac = hmac.new(b"key of a hook", b".".join((b"1", moment.encode(), body)), hashlib.sha256).digest()
    return {
        **signed(body, secret=Secret(secret)),
        "X-Gitlab-Event": "Push Hook",
        "X-Gitlab-Token": secret,
        "Authorization": f"Bearer {secret}",
        "webhook-id": "1",
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
    }


@pytest.mark.parametrize(
    ("provider", "secret", "sender"),
    [
        ("github", "key of a hook", "hook:hook/octo"),
        ("gitlab", "whsec_a2V5IG9mIGEgaG9vaw==", "hook:hook/octo"),
        ("gitlab", "key of a hook", ""),
        ("token", "key of a hook", ""),
    ],
)
async def test_only_what_a_signature_covers_tells_who_has_caused_a_delivery(
    tmp_path, provider, secret, sender
):
    secrets = KnownSecrets(hook=[Secret(secret)])
    definitions = [
        pipeline("ci", hook(provider=provider, user="payload.said"), tasks={}),
        pipeline("second", after("ci"), tasks={}),
    ]
    async with hooked(tmp_path, *definitions, secrets=secrets) as (feed, client, engine):
        told = {"said": "corp/root", "sender": {"login": "Octo"}, "user_username": "Octo"}
        body = json.dumps({**told, "object_kind": "push"}).encode()
        headers = proof(provider, secret, body)
        assert (await client.post("/hooks/ci/push", content=body, headers=headers)).status_code == 202
        await handled(feed)
        runs = {run.pipeline: run for run in engine.book.runs()}
        causes = (sender,) if sender else ()
        assert (runs["ci"].actor.causes, runs["ci"].user) == (causes, "corp/root")
        assert starters(runs["ci"]) == (*causes, "said:corp/root")
        assert set(starters(runs["second"])) == {*causes, "said:corp/root"}, "also of what follows"
        assert not People().are_known(starters(runs["second"]))


# --- the settings ------------------------------------------------------------------------------------------

LOGIN = """
[pipelines.login]
type = "oidc"
domain = "corp"
issuer = "https://id.example.com"
client_id = "x"
client_secret = "a secret of the log-in"
"""


def load(folder, people):
    path = folder / "settings.toml"
    path.write_text(f"[pipelines.people]\n{people}\n{LOGIN}")
    path.chmod(0o600)
    return automation.load(path, {})


def test_the_settings_name_the_identities_of_a_person(tmp_path):
    found = load(tmp_path, 'ada = ["corp/ada", "ada", "hook:hook/Octo"]\n"Bob B." = ["corp/bob"]')
    assert found.people.persons == {**PEOPLE.persons, "identity:corp/bob": "Bob B."}
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("people", "told"),
    [
        ('ada = "corp/ada"', "people.ada"),
        ("ada = []", "people.ada"),
        ("ada = [7]", "people.ada"),
        ('ada = ["corp/*"]', "is a pattern: each identity is named by itself"),
        ('ada = ["group:dev"]', "is no person"),
        ('ada = ["pipeline/deploy"]', "is no person"),
        ('ada = ["trigger/p/t"]', "is no person"),
        ('ada = ["corp/"]', "is nobody"),
        ('ada = [""]', "is nobody"),
        ('ada = ["/ada"]', "is nobody"),
        ('ada = ["hook:octo"]', "names no sender"),
        ('ada = ["hook:/octo"]', "names no sender"),
        ('ada = ["corp/a\\u200bda"]', "has letters that nobody sees"),
        ('ada = ["corp/ada"]\nbob = ["corp/ada"]', "is there already, as pipelines.people.ada"),
        ('ada = ["hook:h/octo"]\nbob = ["hook:h/OCTO"]', "is there already, as pipelines.people.ada"),
    ],
)
def test_what_is_wrong_with_people_is_told_when_the_file_is_read(tmp_path, people, told):
    with pytest.raises(ConfigError) as error:
        load(tmp_path, people)
    assert told in str(error.value)
    assert "settings.toml:" in str(error.value)


def test_an_identity_that_nobody_can_have_is_told(tmp_path):
    [warning] = load(tmp_path, 'ada = ["crop/ada", "corp/ada", "ada"]').warnings
    assert 'nobody can be "crop/ada": there are names without a domain, corp/…' in warning


async def test_explain_tells_the_person(tmp_path):
    statements = (Statement(identity=("*",), role="admin", resource=("*",)),)
    parts = served(tmp_path, definition(), access=Access(statements, PEOPLE))
    asked = "/access/explain?method=read&resource=pipeline%3Dx"
    async with serving(parts) as world:
        for name, person in (("ada", "ada"), ("corp/bob", "bob"), ("eve", None)):
            answer = await world.client.get(
                f"{asked}&identity={name}", headers=authorization({"sub": "root"})
            )
            assert answer.json().get("person") == person
        mine = (await world.client.get(asked, headers=authorization({"sub": "ada"}))).json()
        assert mine["identities"] == ["corp/ada", "ada", "hook:hook/octo"]
