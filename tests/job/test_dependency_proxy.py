"""What a host gets instead of the names of images, and which names end a job at once."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas_runner.job.dependency_proxy import PREFIX_VARIABLE, ImageRefusedError, through_dependency_proxy
from paas_runner.job.failure import FailureReason
from tests.support.bounded import cheap
from tests.support.records import payload

PREFIX = "gitlab.example:443/group/dependency_proxy/containers"
DIGEST = "sha256:" + "0123456789abcdef" * 4
VARIABLES = [
    {"key": PREFIX_VARIABLE, "value": PREFIX},
    {"key": "VERSION", "value": "13"},
    {"key": "DATABASE", "value": "postgres:$VERSION"},
    {"key": "EMPTY", "value": ""},
    {"key": "RAW", "value": "$VERSION", "raw": True},
    {"key": "NESTED", "value": "postgres:$ELSEWHERE"},
    {"key": "FILE", "value": "postgres", "file": True},
    {"key": "VAULT", "value": "postgres"},
    {"key": "SPACED", "value": "post gres"},
]


def job(variables=VARIABLES, **more):
    return payload(variables=variables, secrets={"VAULT": {"vault": {}}}, **more)


def image_of(name, variables=VARIABLES):
    return through_dependency_proxy(job(variables, image={"name": name, "entrypoint": ["sh"]}))["image"]


def service_of(name, alias=None, variables=VARIABLES):
    service = {"name": name, "alias": alias, "command": ["-c"]}
    [found] = through_dependency_proxy(job(variables, services=[service]))["services"]
    return found


@pytest.mark.parametrize(
    ("written", "pulled"),
    [
        ("postgres", "library/postgres"),
        ("postgres:13", "library/postgres:13"),
        ("postgres:$VERSION", "library/postgres:13"),
        ("${DATABASE}", "library/postgres:13"),
        ("tutum/wordpress", "tutum/wordpress"),
        ("docker.io/postgres:13", "library/postgres:13"),
        ("index.docker.io/tutum/wordpress:1", "tutum/wordpress:1"),
        (f"postgres@{DIGEST}", f"library/postgres@{DIGEST}"),
        (f"postgres:13@{DIGEST}", f"library/postgres:13@{DIGEST}"),
    ],
)
def test_what_comes_from_docker_hub_comes_through_the_proxy(written, pulled):
    assert image_of(written) == {"name": f"{PREFIX}/{pulled}", "entrypoint": ["sh"]}
    assert service_of(written)["name"] == f"{PREFIX}/{pulled}"


UNTOUCHED = [
    "registry.example:5000/group/name:tag",
    "registry.example/name",
    "localhost/name",
    "Upper/name",
    "docker.io:443/library/postgres",
    f"{PREFIX}/postgres:13",
    f"${{{PREFIX_VARIABLE}}}/postgres:$VERSION",
    "registry.example/name:$VERSION",
    "$EMPTY",
    "",
    None,
    "0" * 64,
    DIGEST,
]
UNDECIDED = [
    "$UNDEFINED",
    "postgres:$UNDEFINED",
    "post gres$UNDEFINED",
    "$NESTED",
    "$FILE",
    "$VAULT",
    "$RAW",
    "$$HOME",
    "${{ job.inputs.image }}",
]


@pytest.mark.parametrize("written", UNTOUCHED + UNDECIDED)
def test_every_other_name_stays_as_it_was_written(written):
    definition = job(
        image={"name": written}, services=[{"name": written, "alias": "other"}, {"name": written}]
    )
    assert json.dumps(through_dependency_proxy(definition)) == json.dumps(definition.raw)


@pytest.mark.parametrize(
    "prefix",
    [
        [],
        [{"key": PREFIX_VARIABLE, "value": ""}],
        [{"key": PREFIX_VARIABLE, "value": PREFIX}, {"key": PREFIX_VARIABLE, "value": ""}],
        [{"key": PREFIX_VARIABLE, "value": " / "}],
        [{"key": PREFIX_VARIABLE, "value": "$UNDEFINED/containers"}],
        [{"key": PREFIX_VARIABLE, "value": PREFIX, "file": True}],
        [{"key": PREFIX_VARIABLE, "value": "no prefix"}],
        [{"key": PREFIX_VARIABLE, "value": "r.example/" + "long/" * 60}],
    ],
)
def test_without_a_usable_prefix_nothing_changes(prefix):
    assert image_of("postgres:13", prefix)["name"] == "postgres:13"
    assert service_of("postgres:13", None, prefix) == {
        "name": "postgres:13",
        "alias": None,
        "command": ["-c"],
    }


def test_a_slash_at_the_end_of_the_prefix_is_not_doubled():
    assert image_of("a/b", [{"key": PREFIX_VARIABLE, "value": f"{PREFIX}/"}])["name"] == f"{PREFIX}/a/b"


@pytest.mark.parametrize(
    ("name", "alias", "aliases"),
    [
        ("postgres:13", None, "postgres"),
        ("$DATABASE", None, "postgres"),
        ("tutum/wordpress", None, "tutum__wordpress tutum-wordpress"),
        (f"tutum/wordpress:4@{DIGEST}", "", "tutum__wordpress tutum-wordpress"),
        ("tutum/wordpress", " , ", "tutum__wordpress tutum-wordpress"),
        ("tutum/wordpress", "$EMPTY", "tutum__wordpress tutum-wordpress"),
        ("docker.io/a/b", None, "docker.io__a__b docker.io-a-b"),
        ("tutum/wordpress", "blog", "blog"),
        ("tutum/wordpress", "blog,www", "blog,www"),
        ("tutum/wordpress", "$UNDEFINED", "$UNDEFINED"),
    ],
)
def test_a_renamed_service_is_reached_as_before(name, alias, aliases):
    found = service_of(name, alias)
    assert found["name"].startswith(f"{PREFIX}/")
    assert found["alias"] == aliases
    assert found["command"] == ["-c"]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("post gres", "'post gres', is no image name: it contains a space"),
        ("Postgres:13", "'Postgres:13', is no image name: its path must be in lower case"),
        ("$SPACED:$VERSION", "'post gres:13' (written '$SPACED:$VERSION'), is no image name"),
        ("post\n\x1b[31mgres", r"'post\n\x1b[31mgres', is no image name: it contains '\n'"),
        (f"${{{PREFIX_VARIABLE}}}/Postgres", "is no image name: its path must be in lower case"),
        ("a:" + "b" * 5000, f"'a:{'b' * 118}…', is no image name"),
    ],
)
@pytest.mark.parametrize("variables", [VARIABLES, [*VARIABLES[1:], {"key": PREFIX_VARIABLE, "value": "p"}]])
def test_a_name_that_cannot_exist_is_told_to_the_author(written, words, variables):
    with pytest.raises(ImageRefusedError) as caught:
        image_of(written, variables)
    failure = caught.value.failure
    assert failure.reason is FailureReason.SCRIPT
    assert failure.text.startswith("The job's image, '")
    assert words in failure.text
    assert failure.text.endswith("Correct `image` in the job's definition, or the variables in it.")
    assert failure.text.isprintable()
    assert len(failure.text) < 500


def test_without_a_proxy_names_are_judged_all_the_same():
    with pytest.raises(ImageRefusedError, match="a space"):
        image_of("post gres", [])


def test_a_service_is_named_by_its_place():
    services = [{"name": "redis"}, {"name": "post gres", "alias": "db"}]
    with pytest.raises(
        ImageRefusedError, match=r"^The image of the job's service 2, 'post gres'.*`services`"
    ):
        through_dependency_proxy(job(services=services))


@pytest.mark.parametrize("alias", [None, "", "$EMPTY", "$UNDEFINED"])
def test_a_service_that_gitlab_runner_would_leave_out_ends_no_job(alias):
    """Without an alias it starts nothing for a name that it cannot read, and says nothing."""
    assert service_of("post gres", alias) == {"name": "post gres", "alias": alias, "command": ["-c"]}


@pytest.mark.parametrize(
    "variables",
    [
        [{"key": "S", "value": "hidden secret" * 20, "masked": True}],
        [
            {"key": "PART", "value": "hidden "},
            {"key": "S", "value": "${PART}secret" * 20, "masked": True},
        ],
        [{"key": "S", "value": "hidden\nsecret", "masked": True, "raw": True}],
    ],
)
def test_a_masked_value_is_not_told_not_even_in_part(variables):
    with pytest.raises(ImageRefusedError) as caught:
        image_of("registry.example/$S", variables)
    assert "[MASKED]" in str(caught.value)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "strange",
    [
        {"image": "postgres"},
        {"image": ["postgres"]},
        {"image": {}},
        {"image": {"name": 3}},
        {"services": "postgres"},
        {"services": ["post gres", None, {}, {"name": None}]},
        {"services": [{"name": "Postgres", "alias": ["db"]}]},
        {"secrets": ["VAULT"]},
    ],
)
def test_what_is_not_understood_is_passed_on(strange):
    definition = payload(variables=VARIABLES, **strange)
    assert through_dependency_proxy(definition) == definition.raw


PIECES = st.sampled_from(
    [
        "postgres",
        "a/b",
        "docker.io/",
        "r.example:5/",
        ":13",
        "@" + DIGEST,
        "$",
        "${A}",
        "$B",
        " ",
        "A",
        "é",
        "/",
    ]
)
NAMES = st.lists(PIECES, max_size=5).map("".join) | st.text(max_size=20) | st.none() | st.integers()
VALUES = st.fixed_dictionaries(
    {
        "key": st.sampled_from([PREFIX_VARIABLE, "A", "B"]),
        "value": st.sampled_from([PREFIX, "mirror", "docker.io", "", "$B", "a/b", "x y"]),
    },
    optional={"file": st.booleans(), "raw": st.booleans(), "masked": st.booleans()},
)
IMAGES = st.fixed_dictionaries({"name": NAMES}, optional={"alias": NAMES, "entrypoint": st.just(["sh"])})
DEFINITIONS = st.fixed_dictionaries(
    {"variables": st.lists(VALUES, max_size=4)},
    optional={
        "image": IMAGES | st.none(),
        "services": st.lists(IMAGES, max_size=3) | st.none(),
        "steps": st.just([{"script": ["postgres"]}]),
    },
)


def without_names(definition):
    bare = copy.deepcopy(dict(definition))
    for image in [bare.get("image"), *(bare.get("services") or [])]:
        if image:
            image.pop("name")
            image.pop("alias", None)
    return bare


@given(DEFINITIONS)
def test_nothing_but_names_and_aliases_changes_and_only_once(definition):
    before = payload(**copy.deepcopy(definition))
    try:
        once = through_dependency_proxy(before)
    except ImageRefusedError:
        return
    assert before.raw == payload(**definition).raw
    assert without_names(once) == without_names(before.raw)
    assert list(once) == list(before.raw)
    twice = through_dependency_proxy(payload(**{k: v for k, v in once.items() if k not in {"id", "token"}}))
    assert json.dumps(twice) == json.dumps(once)
    for old, new in zip(before.raw.get("services") or [], once.get("services") or [], strict=True):
        assert new.get("alias") == old.get("alias") or new["name"] != old["name"]


@pytest.mark.parametrize(
    "changed",
    [
        {"image": {"name": "$A" * 5000}},
        {"image": {"name": "$X" * 2000}},
        {"image": {"name": "x" * 10_000_000}},
        {"services": [{"name": "$X:$X"}] * 100},
        {"services": [{"name": "postgres", "alias": "$X " * 1000}]},
        {"services": [{"name": "postgres:13"}] * 100_000},
    ],
)
def test_names_that_are_too_long_end_the_job_in_words_for_its_author(changed):
    hostile = [
        {"key": PREFIX_VARIABLE, "value": PREFIX},
        {"key": "A", "value": "x" * 10_000},
        {"key": "X", "value": "$y" * 5_000},
        {"key": "y", "value": ""},
    ]
    definition = job(hostile, **changed)
    with cheap(), pytest.raises(ImageRefusedError, match="more than 32768 characters in all") as caught:
        through_dependency_proxy(definition)
    assert caught.value.failure.reason is FailureReason.SCRIPT


def test_a_refused_name_is_not_quoted_where_too_much_could_be_secret():
    secrets = [{"key": f"S{number}", "value": "$A", "masked": True} for number in range(10)]
    definition = job([*secrets, {"key": "A", "value": "x" * 10_000}], image={"name": "post gres"})
    with cheap(), pytest.raises(ImageRefusedError) as caught:
        through_dependency_proxy(definition)
    assert caught.value.failure.text.startswith("The job's image, …, is no image name: it contains a space.")
