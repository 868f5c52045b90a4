"""Whatever a file is, it gives definitions or a complaint, and soon."""

import contextlib
import os
import tempfile
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from paas_pipelines.definitions import pipeline_keys, task_keys
from paas_pipelines.definitions.loading import examine, load
from paas_pipelines.definitions.reading import MOST_BYTES, DefinitionsError

from tests.support.often import often

KEYS = st.sampled_from(
    [
        *(
            "pipelines",
            "concurrency",
            "queue_limit",
            "queue_strategy",
            "queue_partition_limit",
            "start_delay",
        ),
        *("continue_running_tasks_after_failure", "retention_period", "retention_count", "env", "tasks"),
        *("on_error", "script", "depends_on", "allow_failure", "restart", "runner", "image", "timeout"),
        *("params", "type", "default", "choices", "required", "a", "b", "", "/", "<<"),
    ]
)
AUTOMATION = st.sampled_from(
    [
        *sorted({*pipeline_keys.KEYS, *task_keys.KEYS}),
        *("name", "options", "pattern", "min", "max", "to", "at", "from_credential", "field", "as", "url"),
        *("provider", "secret", "path", "events", "dedupe", "if", "cron", "every", "timezone", "pipeline"),
        *(
            "ref",
            "ref_from",
            "depth",
            "volumes",
            "login",
            "tags",
            "setup",
            "teardown",
            "scope",
            "a",
            "b",
            "p",
        ),
    ]
)
WORDS = st.sampled_from(
    [
        *("a", "b", "p", "run", "approval", "call", "sequence", "docker", "shell", "runner", "github"),
        *("true", "params.a", "outputs.a.b == 1", "stdout.a", "payload.x", "{{ .a }}", "[a-z]+", "("),
        *("1m", "@daily", "* * * * *", "L", "number", "list", "success", "0", "-1", "failed", "all"),
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["a", "b", "1s", "-1s", "append", "partitioned_replace", "retry", "number"]),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(KEYS, values, max_size=4),
    max_leaves=20,
)
FILES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | WORDS,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(AUTOMATION, values, max_size=5),
    max_leaves=40,
)
SIGNS = st.text(alphabet="pipelines: tasks a\n-{}[]&*<!|>'\"\\#%@`~?,\t\0\x85\ud800é", max_size=60)


@pytest.fixture
def said(tmp_path):
    """What is said of a file with these bytes, which are text if they can be."""

    def said(data):
        (tmp_path / "pipelines.yml").write_bytes(data if isinstance(data, bytes) else data.encode())
        return [complaint.text for complaint in examine(tmp_path, "pipelines.yml").complaints]

    return said


def read(data):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pipelines.yml"
        file.write_bytes(data)
        examined = examine(folder, file.name)
        if not examined.complaints:
            assert load(folder, file.name) == examined.definitions
            return
        with pytest.raises(DefinitionsError, match=r"^loading .*: (decoding|invalid)"):
            load(folder, file.name)


@given(st.binary() | SIGNS.map(lambda text: text.encode(errors="surrogatepass")))
def test_any_bytes_are_definitions_or_refused(data):
    read(data)


@given(SIGNS, st.sampled_from(["pipelines: {p: {tasks: {a: {script: [%s]}}}}", "pipelines:\n  p:\n    %s"]))
def test_any_text_within_a_definition_is_one_or_refused(text, around):
    read((around % text).encode(errors="surrogatepass"))


@given(st.dictionaries(st.just("p"), st.dictionaries(KEYS, VALUES)))
def test_any_values_of_any_keys_are_definitions_or_refused(pipelines):
    read(yaml.safe_dump({"pipelines": pipelines}, allow_unicode=True).encode(errors="surrogatepass"))


@settings(max_examples=often(20))
@given(
    st.fixed_dictionaries(
        {"pipelines": st.dictionaries(WORDS, st.dictionaries(AUTOMATION, FILES, min_size=1), min_size=1)},
        optional={"actions": FILES, "executors": FILES},
    )
)
def test_any_values_of_any_keys_of_automation_are_definitions_or_refused(file):
    read(yaml.safe_dump(file, allow_unicode=True).encode())


@settings(max_examples=often(10))
@given(st.dictionaries(WORDS, st.dictionaries(AUTOMATION, FILES, min_size=1), min_size=1), AUTOMATION)
def test_any_values_of_a_task_or_trigger_are_definitions_or_refused(named, key):
    for place in ("tasks", "triggers", "actions", "executors"):
        inner = {"pipelines": {"p": {place: named}}} if place in ("tasks", "triggers") else {place: named}
        read(yaml.safe_dump(inner, allow_unicode=True).encode())
    read(yaml.safe_dump({"pipelines": {"p": {key: list(named.values())}}}).encode())


def test_as_many_expressions_as_a_file_can_have_take_a_bounded_time(said):
    """Aliases make few bytes many; what they stand for is bounded as a whole."""
    before = time.process_time()
    tasks = many(400, 'tN: {script: [x], when: \'run.user == "a" || run.id == "b"\'}')
    said(f"t: &t {tasks}\npipelines: {many(100, 'pN: {order: sequence, tasks: *t}')}")
    assert time.process_time() - before < 30


def many(count, text):
    """A mapping of so many keys."""
    return "{" + ", ".join(text.replace("N", str(number)) for number in range(count)) + "}"


BOMB = "\n".join(
    [
        "a0: &a0 {k: v}",
        *(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 9)),
        "pipelines: {p: {env: *a8}}",
    ]
)
WIDE = "\n".join(
    [
        f"e: &e {many(1000, 'kN: v')}",
        f"t: &t {many(1000, 'tN: {env: *e}')}",
        f"pipelines: {many(1000, 'pN: {tasks: *t}')}",
    ]
)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (BOMB, "decoding YAML: document contains excessive aliasing"),
        (WIDE, "decoding YAML: document contains excessive aliasing"),
        ("[" * 100_000, "decoding YAML: nested too deeply"),
        ("pipelines: " + "{a: " * 5000, "decoding YAML: nested too deeply"),
        ("a" * (MOST_BYTES + 1), f"decoding YAML: more than {MOST_BYTES} bytes"),
        (b"pipelines:\n  p: \xff\n", "decoding YAML: not UTF-8"),
        ("pipelines: *a", "decoding YAML: not YAML: found undefined alias"),
        (
            "pipelines: {p: &p {<<: *p}}",
            "decoding YAML: << leads in a circle, or through too many mappings (p)",
        ),
        ("- a", "decoding YAML: a mapping was expected, not a list"),
        ("text", "decoding YAML: a mapping was expected, not a text"),
        ("pipelines: [p]", "decoding YAML: a mapping was expected, not a list (pipelines)"),
        ("pipelines: {p: 1}", "decoding YAML: a mapping was expected, not a text (p)"),
    ],
)
def test_a_file_that_is_too_much_or_no_mapping_is_refused(said, data, text):
    assert said(data) == [text]


def test_a_control_character_is_refused(said):
    assert said("pipelines: \x01")[0].startswith("decoding YAML: not YAML: unacceptable character #x0001")


def test_an_anchor_that_contains_itself_is_only_as_deep_as_definitions_are(said):
    assert said("pipelines: &a {p: {tasks: *a, env: {}}}") == []
    assert said("pipelines: {p: &p {tasks: {t: *p}}}") == []


def test_lists_in_lists_are_refused_without_a_look_into_them(said):
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    texts = said(f"a0: &a0 [x]\n{levels}pipelines: {{p: {{tasks: {{t: {{depends_on: *a11}}}}}}}}")
    assert texts == ["decoding YAML: a text was expected, not a list (p.tasks.t.depends_on)"]


def test_a_long_chain_of_merges_ends(said):
    chain = "".join(f"a{number}: &a{number} {{<<: *a{number - 1}}}\n" for number in range(1, 5000))
    texts = said(f"a0: &a0 {{}}\n{chain}pipelines: {{p: {{<<: *a4999}}}}")
    assert texts == ["decoding YAML: << leads in a circle, or through too many mappings (p)"]


def test_as_large_a_file_as_is_allowed_is_read(said):
    pipelines = "".join(f"  p{number}: {{tasks: {{a: {{script: [echo]}}}}}}\n" for number in range(8_000))
    assert said(f"pipelines:\n{pipelines}") == []


def test_a_byte_order_mark_and_line_ends_of_windows_are_no_trouble(said):
    assert said("\ufeffpipelines:\r\n  p:\r\n    queue_limit: 1\r\n") == []


def test_no_object_is_made_by_a_tag(tmp_path, said):
    made = tmp_path / "made"
    assert said(f"pipelines: {{p: {{env: !!python/object/apply:os.mkdir [{made}]}}}}") != []
    assert not made.exists()


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "missing"])
def test_what_is_no_file_is_told_at_once_instead_of_waited_for(tmp_path, kind):
    file = tmp_path / "pipelines.yml"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        file.symlink_to("/dev/zero" if kind == "device" else "missing")
    pattern = "pipelines.y*" if kind == "missing" else "pipelines.yml"
    with pytest.raises(DefinitionsError) as raised:
        load(tmp_path, pattern)
    reason = "no such file or directory" if kind == "missing" else "not a regular file"
    assert str(raised.value) == f"loading {file}: opening file: open {file}: {reason}\n{file}"


def test_a_file_that_changes_while_it_is_read_is_one_of_both(tmp_path):
    """Nothing is held open, and a reader of half a file gets a complaint at worst."""
    file = tmp_path / "pipelines.yml"
    text = "pipelines: {p: {tasks: {a: {script: [echo]}}}}\n"
    for length in range(len(text)):
        file.write_text(text[:length])
        with contextlib.suppress(DefinitionsError):
            load(tmp_path, file.name)


@pytest.mark.parametrize(
    "text",
    [
        f"t: &t {many(100, 'tN: {script: [x], when: statu.tN}')}\npipelines: {many(100, 'pN: {tasks: *t}')}",
        f"t: &t {many(100, 'tN: {scrpt: [x], whn: a}')}\npipelines: {many(100, 'pN: {tasks: *t}')}",
        f"pipelines: {{p: {{tasks: {{t: {many(20_000, 'scrptN: a')}}}}}}}",
        f"pipelines: {{p: {{triggers: {{t: {many(20_000, 'crnN: a')}}}}}}}",
    ],
    ids=range(4),
)
def test_what_was_meant_by_very_many_mistakes_is_not_looked_for(said, text):
    before = time.process_time()
    said(text)
    assert time.process_time() - before < 20
