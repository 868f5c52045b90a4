"""Who may do what: the decision against a slow model, written from the words of the spec alone (§9)."""

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paas_pipelines.access import resources
from paas_pipelines.access.identity import Identity, pipeline_identity
from paas_pipelines.access.policy import Access, ForbiddenError
from paas_pipelines.access.statements import METHODS, Effect, Statement, authorize

from tests.support.often import often

PEOPLE = (
    Identity("bob", domain="corp", kind="login", groups=("dev",)),
    Identity("bob"),
    Identity("corp/bob"),  # a token that would like to be him
    Identity("ann", domain="corp", kind="login", groups=("dev", "ops")),
    Identity("pipeline/deploy"),  # a token that would like to be a pipeline
    Identity(""),
)
ALL = (*PEOPLE, pipeline_identity("deploy"), pipeline_identity("deploy-eu"), pipeline_identity("build"))
RESOURCES = (
    resources.pipeline("deploy"),
    resources.pipeline("deploy/eu"),
    resources.task("deploy", "ok"),
    resources.task("deploy/eu", "ok"),
    resources.log("deploy", "ok"),
    resources.trigger("build", "nightly"),
    resources.executor("pod"),
    resources.credential("aws"),
    resources.SERVER,
)


# --- a slow model ------------------------------------------------------------------------------------------


def is_like(pattern, text):
    """By trying every way."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return is_like(pattern[1:], text) or (bool(text) and is_like(pattern, text[1:]))
    return bool(text) and pattern[0] in ("?", text[0]) and is_like(pattern[1:], text[1:])


def means_identity(pattern, identity, effect):
    if pattern.startswith("group:"):
        return any(is_like(pattern[6:], group) for group in identity.groups)
    if identity.kind == "pipeline":
        if pattern == "*":
            return effect == "Deny"
        return pattern.startswith("pipeline/") and is_like(pattern[9:], identity.name)
    if pattern.startswith("pipeline/"):
        return False
    if pattern == "*":
        return True
    if "/" in pattern:
        domain, name = pattern.split("/", 1)
        return identity.domain != "" and is_like(domain, identity.domain) and is_like(name, identity.name)
    return identity.domain == "" and is_like(pattern, identity.name)


ROLES = {
    "read": {"read"},
    "start": {"read", "start", "cancel", "rerun"},
    "approve": {"read", "approve"},
    "admin": set(METHODS) - {"use", "executorRun"},
}
CONTAINERS = {
    "task=deploy/ok": ["pipeline=deploy"],
    "task=deploy%2Feu/ok": ["pipeline=deploy%2Feu"],
    "log=deploy/ok": ["task=deploy/ok", "pipeline=deploy"],
    "trigger=build/nightly": ["pipeline=build"],
}


def model(statements, identity, method, resource):
    effects = set()
    for each in statements:
        if (
            any(means_identity(pattern, identity, each.effect) for pattern in each.identity)
            and (method in ROLES[each.role] if each.role else any(is_like(p, method) for p in each.method))
            and any(is_like(p, r) for p in each.resource for r in [resource, *CONTAINERS.get(resource, [])])
        ):
            effects.add(str(each.effect))
    if effects:
        return "Deny" not in effects
    if method == "executorRun":
        return True
    people = any(not p.startswith("pipeline/") for each in statements for p in each.identity)
    return not people and method in {"read", "start", "cancel", "rerun", "approve"}


def some(*values):
    return st.lists(st.sampled_from(values), min_size=1, max_size=2).map(tuple)


who = some(
    "*",
    "bob",
    "b?b",
    "corp/bob",
    "*/bob",
    "corp/*",
    "group:dev",
    "group:*",
    "pipeline/*",
    "pipeline/deploy-*",
)
what = some(
    *("*", "server", "pipeline=*", "pipeline=deploy", "pipeline=deploy%2Feu", "pipeline=d*", "task=deploy/*"),
    *("task=*", "log=deploy/o?", "trigger=*/nightly", "executor=pod", "credential=aws", "credential=*"),
)
effect = st.sampled_from(Effect)
statement = st.one_of(
    st.builds(Statement, identity=who, role=st.sampled_from(sorted(ROLES)), resource=what, effect=effect),
    st.builds(
        *(Statement,),
        identity=who,
        method=some("*", "read", "start", "re*", "approve", "use", "executorRun", "credential*"),
        resource=what,
        effect=effect,
    ),
)


@settings(max_examples=often(150), deadline=None)
@given(st.lists(statement, max_size=4), st.randoms())
def test_every_decision_is_that_of_the_model_in_any_order(statements, random):
    shuffled = random.sample(statements, len(statements))
    for identity in ALL:
        for method in METHODS:
            for resource in RESOURCES:
                verdict = authorize(statements, identity, method, [resource])
                asked = f"{identity} {method} {resource}"
                assert verdict.allowed is model(statements, identity, method, resource), asked
                assert authorize(shuffled, identity, method, [resource]).allowed is verdict.allowed, asked
                for each in verdict.deciding:
                    assert each.matches(identity, method, resource)


# --- what the spec says in examples ------------------------------------------------------------------------


def allow(identity, role, *where, **more):
    return Statement(identity=(identity,), role=role, resource=where, **more)


EXAMPLE = (
    allow("group:dev", "start", "pipeline=*"),
    Statement(
        identity=("group:dev",), method=("start",), resource=("pipeline=deploy-*",), effect=Effect.DENY
    ),
    Statement(identity=("pipeline/deploy-*",), method=("use",), resource=("credential=aws",)),
)
BOB = PEOPLE[0]


def test_a_deny_wins_and_nothing_else_is_lost():
    access = Access(EXAMPLE)
    assert access.may(BOB, "start", resources.pipeline("build")).allowed
    assert access.may(BOB, "read", resources.pipeline("deploy-eu")).allowed
    refused = access.may(BOB, "start", resources.pipeline("deploy-eu"))
    assert not refused.allowed
    assert refused.deciding == (EXAMPLE[1],)


def test_a_credential_is_used_by_the_pipelines_that_are_named_alone():
    access, aws = Access(EXAMPLE), resources.credential("aws")
    assert access.may(pipeline_identity("deploy-eu"), "use", aws).allowed
    assert not access.may(pipeline_identity("build"), "use", aws).allowed
    assert not access.may(Identity("pipeline/deploy-eu"), "use", aws).allowed


def test_nobody_gives_a_pipeline_a_credential_by_naming_everybody():
    access = Access((allow("*", "admin", "*"), Statement(identity=("*",), method=("*",), resource=("*",))))
    assert not access.may(pipeline_identity("build"), "use", resources.credential("aws")).allowed


def test_who_may_not_read_does_not_learn_that_it_is_there():
    with pytest.raises(ForbiddenError) as refused:
        Access(EXAMPLE).require(Identity("eve"), "start", resources.pipeline("build"))
    assert refused.value.hidden
    with pytest.raises(ForbiddenError, match=r"^corp/bob may not approve task=deploy/ok$") as refused:
        Access(EXAMPLE).require(BOB, "approve", resources.task("deploy", "ok"))
    assert not refused.value.hidden


def test_while_nobody_is_named_a_good_token_is_enough_for_what_prunner_has():
    access = Access(EXAMPLE[2:])
    for method in ("read", "start", "cancel", "rerun", "approve"):
        assert access.may(Identity("anybody"), method, resources.pipeline("build")).allowed
    for method in ("pause", "fire", "audit", "credentialRead", "credentialWrite"):
        assert not access.may(Identity("anybody"), method, resources.SERVER).allowed


def test_of_several_resources_all_have_to_be_permitted():
    both = resources.pipeline("build"), resources.pipeline("deploy-eu")
    assert not Access(EXAMPLE).may(BOB, "start", *both).allowed
    assert not Access(EXAMPLE).may(BOB, "start").allowed


def test_many_stars_take_no_time():
    pattern = attrs.evolve(EXAMPLE[0], identity=("*",), resource=("pipeline=" + "*a" * 200,))
    assert not authorize([pattern], BOB, "read", [resources.pipeline("a" * 5000 + "b")]).allowed


@pytest.mark.parametrize("name", ["deploy", "team/x", "a%b", "50%", "%2F", "a%25/b", "[x]"])
def test_a_statement_about_a_pipeline_of_any_name_is_about_that_one(name):
    written = name.replace("%", "%25") if name in ("%2F", "a%25/b") else name  # else they mean another
    deny = Statement(
        identity=("*",),
        method=("*",),
        resource=(resources.pattern_of(f"pipeline={written}"),),
        effect=Effect.DENY,
    )
    own = [resources.pipeline(name), resources.task(name, "t"), resources.log(name, "t")]
    for each in [*own, resources.trigger(name, "t")]:
        assert authorize((deny,), Identity("ann"), "read", [each]).deciding == (deny,), each
    assert resources.pattern_of("task=a%b/50%") == resources.task("a%b", "50%")
