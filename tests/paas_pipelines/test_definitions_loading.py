"""Files become definitions, with prunner's words for what is wrong (P008–P050 as far as files go)."""

from datetime import timedelta

import pytest
from paas_pipelines.definitions.definition import (
    Definition,
    OnError,
    QueueStrategy,
    Restart,
    TaskDefinition,
)
from paas_pipelines.definitions.loading import examine, load
from paas_pipelines.definitions.parameter import Parameter, ParameterKind
from paas_pipelines.definitions.reading import DefinitionsError
from paas_pipelines.server.settings import DEFAULT_PATTERN

FULL = """
pipelines:
  do_something:
    concurrency: 2
    queue_limit: 3
    queue_strategy: replace
    start_delay: 10s
    continue_running_tasks_after_failure: true
    retention_period: 48h
    retention_count: 10
    env: {A: "1", B: yes, C: 010, D: ~, E: 2001-01-01, F: 1.10}
    tasks:
      do_foo:
        script: [pwd, 5, true, ~]
      do_bar:
        script:
          - ls
        depends_on: [do_foo]
        allow_failure: yes
        env: {A: other}
    on_error:
      script:
        - echo {{.failedTaskName}}
      env: {X: y}
"""
OURS = """
pipelines:
  p:
    tasks:
      a: {script: [x], runner: big, timeout: 1h30m, restart: retry}
      b: {image: "debian:12"}
    params:
      name: {description: Whom to greet, required: true}
      count: {type: number, default: 2, choices: [1, 2, 2.5]}
      loud: {type: boolean, default: no}
      version: {default: 1.10}
      plain:
"""
PARTITIONED = "{queue_strategy: partitioned_replace, queue_partition_limit: 2}"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def loaded(folder):
    """What one file with this text is."""

    def loaded(text):
        (folder / "pipelines.yml").write_text(text)
        return load(".", DEFAULT_PATTERN)

    return loaded


@pytest.fixture
def refusal(loaded):
    """The lines of the error that this text makes."""

    def refusal(text):
        with pytest.raises(DefinitionsError) as raised:
            loaded(text)
        return str(raised.value).splitlines()

    return refusal


def test_every_key_of_prunner_is_read(loaded):
    assert loaded(FULL) == {
        "do_something": Definition(
            name="do_something",
            source="pipelines.yml",
            concurrency=2,
            queue_limit=3,
            queue_strategy=QueueStrategy.REPLACE,
            start_delay=timedelta(seconds=10),
            continue_running_tasks_after_failure=True,
            retention_period=timedelta(hours=48),
            retention_count=10,
            env={"A": "1", "B": "yes", "C": "010", "D": "", "E": "2001-01-01", "F": "1.10"},
            tasks={
                "do_foo": TaskDefinition(script=("pwd", "5", "true", "")),
                "do_bar": TaskDefinition(
                    script=("ls",), depends_on=("do_foo",), allow_failure=True, env={"A": "other"}
                ),
            },
            on_error=OnError(script=("echo {{.failedTaskName}}",), env={"X": "y"}),
        )
    }


def test_every_key_of_ours_is_read(loaded):
    definition = loaded(OURS)["p"]
    assert definition.tasks == {
        "a": TaskDefinition(
            script=("x",), runner="big", timeout=timedelta(minutes=90), restart=Restart.RETRY
        ),
        "b": TaskDefinition(image="debian:12"),
    }
    assert definition.params == (
        Parameter(name="name", description="Whom to greet", required=True),
        Parameter(name="count", kind=ParameterKind.NUMBER, default=2, choices=(1, 2, 2.5)),
        Parameter(name="loud", kind=ParameterKind.BOOLEAN, default=False),
        Parameter(name="version", default="1.10"),
        Parameter(name="plain"),
    )


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "{concurrency: 0, queue_limit: ~, start_delay: 0, env: , tasks: , on_error: ~}",
        "",
        "{unknown: 1, tasks: {}, x: !special [*a]}",
    ],
)
def test_what_is_absent_null_or_nothing_has_its_default(loaded, text):
    assert loaded(f"a: &a 1\npipelines:\n  p: {text}\n") == {
        "p": Definition(name="p", source="pipelines.yml")
    }


def test_partitions(loaded):
    definition = loaded(f"pipelines: {{p: {PARTITIONED}}}")["p"]
    assert definition.queue_strategy is QueueStrategy.PARTITIONED_REPLACE
    assert definition.queue_partition_limit == 2


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "---\n...\n", "pipelines:\n", "pipelines: {}\n", "~", "other: 1"]
)
def test_a_file_without_pipelines_is_empty(loaded, text):
    """P013, by our decision."""
    assert loaded(text) == {}


def test_no_file_is_no_pipeline(folder):
    assert load(".", DEFAULT_PATTERN) == {}


def test_all_files_are_one_namespace(folder):
    (folder / "a").mkdir()
    (folder / "a/pipelines.yaml").write_text("pipelines: {one: }")
    (folder / "pipelines.yml").write_text("pipelines: {two: }")
    assert {name: each.source for name, each in load(".", DEFAULT_PATTERN).items()} == {
        "one": "a/pipelines.yaml",
        "two": "pipelines.yml",
    }


def test_a_name_may_be_declared_in_one_file_only(folder):
    """P010, with prunner's own files."""
    (folder / "dup.yml").write_text("pipelines:\n  test_it: {tasks: {test: {script: [echo]}}}\n")
    (folder / "pipelines.yml").write_text("pipelines:\n  other:\n  test_it:\n")
    with pytest.raises(DefinitionsError) as raised:
        load(".", "**/{pipelines,dup}.{yml,yaml}")
    assert str(raised.value) == (
        'loading pipelines.yml: pipeline "test_it" was already declared in dup.yml\npipelines.yml:3'
    )


INVALID = {
    "{concurrency: -1}": "concurrency must be greater than 0",
    "{queue_limit: -1}": "queue_limit must not be negative",
    "{start_delay: -1s}": "start_delay must not be negative",
    "{start_delay: 1s, queue_limit: 0}": "start_delay needs queue_limit > 0",
    "{queue_strategy: partitioned_replace, queue_limit: 2}": (
        "queue_limit is not allowed if queue_strategy=partitioned_replace, use queue_partition_limit instead"
    ),
    "{queue_strategy: partitioned_replace, queue_partition_limit: 0}": (
        "queue_partition_limit must be defined and >=1 if queue_strategy=partitioned_replace"
    ),
    "{queue_strategy: partitioned_replace}": (
        "queue_partition_limit must be defined and >=1 if queue_strategy=partitioned_replace"
    ),
    "{queue_strategy: replace, queue_partition_limit: 2}": (
        "queue_partition_limit is not allowed if queue_strategy=append|replace, use queue_limit instead"
    ),
    "{queue_partition_limit: 0}": (
        "queue_partition_limit is not allowed if queue_strategy=append|replace, use queue_limit instead"
    ),
    "{tasks: {test: {depends_on: [not_existing]}}}": (
        'missing task "not_existing" referenced in depends_on of task "test"'
    ),
    "{tasks: {a: {depends_on: [b]}, b: {depends_on: [a]}}}": "dependency cycle in tasks: a -> b -> a",
    "{tasks: {a: {depends_on: [a]}}}": "dependency cycle in tasks: a -> a",
    "{tasks: {a: {depends_on: [c]}, c: {depends_on: [d]}, d: {depends_on: [b]}, b: {depends_on: [c]}}}": (
        "dependency cycle in tasks: b -> c -> d -> b"
    ),
    "{tasks: {on_error: {}}, on_error: {}}": 'task "on_error" has the name of what runs by the key on_error',
    "{tasks: {a/b: }}": (
        'task "a/b" cannot have this name: its logs are files named so, of at most 244 bytes and without /'
    ),
}
"""P019, P020, P025, P028, P034, P038."""


@pytest.mark.parametrize("definition", INVALID)
def test_an_invalid_definition_is_told_in_the_words_of_prunner(refusal, definition):
    lines = refusal(f"pipelines:\n  fine:\n  p: {definition}\n")
    assert lines == [
        f'loading pipelines.yml: invalid pipeline definition "p": {INVALID[definition]}',
        "pipelines.yml:3",
    ]


@pytest.mark.parametrize("name", ['""', "..", ".", '"a\\0b"', "/etc/passwd", "ä" * 123, "a" * 245])
def test_a_task_is_not_named_as_no_file_can_be(refusal, name):
    assert "cannot have this name" in refusal(f"pipelines: {{p: {{tasks: {{? {name} : }}}}}}")[0]


@pytest.mark.parametrize("name", ["ä" * 122, "a" * 244, "a b", "...", "-rf", "%s", "on_error"])
def test_a_task_may_be_named_as_a_file_can_be(loaded, name):
    assert list(loaded(f"pipelines: {{p: {{tasks: {{'{name}': }}}}}}")["p"].tasks) == [name]


WRONG_TYPES = {
    "queue_strategy: foo": 'unknown queue strategy: "foo"',
    "queue_strategy: Append": 'unknown queue strategy: "Append"',
    "queue_strategy: [a]": "a text was expected, not a list (p.queue_strategy)",
    "concurrency: abc": 'a whole number was expected, not "abc" (p.concurrency)',
    'concurrency: "2"': 'a whole number was expected, not "2" (p.concurrency)',
    "concurrency: 1.5": 'a whole number was expected, not "1.5" (p.concurrency)',
    "queue_limit: 9223372036854775808": (
        'a whole number was expected, not "9223372036854775808" (p.queue_limit)'
    ),
    "concurrency: 1:30": 'a whole number was expected, not "1:30" (p.concurrency)',
    "queue_limit: {}": "a whole number was expected, not a mapping (p.queue_limit)",
    "start_delay: 10": '"10" has no unit; units are ns, us, ms, s, m and h (p.start_delay)',
    "start_delay: 1d": (
        '"1d" is not a duration like 1h30m, 1.5s or 250ms; units are ns, us, ms, s, m and h (p.start_delay)'
    ),
    'continue_running_tasks_after_failure: "true"': (
        'true or false was expected, not "true" (p.continue_running_tasks_after_failure)'
    ),
    "env: [A=1]": "a mapping was expected, not a list (p.env)",
    "env: A=secret": "a mapping was expected, not a text (p.env)",
    "env: {A: [1]}": "a text was expected, not a list (p.env.A)",
    "env: {A=B: 1}": '"A=B" cannot be the name of a variable (p.env)',
    'env: {A: "a\\0b"}': (
        "a text must not have characters with the code 0 or halves of characters (p.env.A)"
    ),
    "tasks: [a]": "a mapping was expected, not a list (p.tasks)",
    "tasks: {a: {script: curl secret}}": "a list was expected, not a text (p.tasks.a.script)",
    "tasks: {a: {script: [[b]]}}": "a text was expected, not a list (p.tasks.a.script)",
    "tasks: {a: {restart: always}}": 'unknown restart: "always"',
    "tasks: {a: {timeout: 0}}": "it must be more than nothing (p.tasks.a.timeout)",
    'tasks: {a: {image: ""}}': "it must not be empty (p.tasks.a.image)",
    "tasks: {a: {runner: {}}}": "a text was expected, not a mapping (p.tasks.a.runner)",
    "on_error: []": "a mapping was expected, not a list (p.on_error)",
    "params: {a: {type: date}}": 'unknown type: "date"',
    "params: {a: {type: number, default: x}}": 'a number was expected, not "x" (p.params.a)',
    "params: {a: {default: x, choices: [y]}}": "the default is none of the choices (p.params.a)",
    "? [a]\n    : b": "a key must be a simple text (p)",
    "<<: 1": "a mapping was expected, not a text (p)",
}


@pytest.mark.parametrize("key", WRONG_TYPES)
def test_a_wrong_type_is_an_error_of_decoding(refusal, key):
    lines = refusal(f"pipelines:\n  p:\n    {key}\n")
    assert lines[0] == f"loading pipelines.yml: decoding YAML: {WRONG_TYPES[key]}"
    assert lines[1].partition(": ")[0] == "pipelines.yml:3"


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("7", 7),
        ("+7", 7),
        ("0x1F", 31),
        ("017", 15),
        ("0o17", 15),
        ("0b11", 3),
        ("1_000", 1000),
        ("2.0", 2),
        ("1e2", 100),
    ],
)
def test_whole_numbers_are_read_as_yaml_v2_does(loaded, written, number):
    assert loaded(f"pipelines: {{p: {{concurrency: {written}}}}}")["p"].concurrency == number


def test_what_prunner_keeps_of_a_mapping_that_comes_twice_is_kept(loaded):
    """yaml.v2 decodes both into one map, and what comes later counts."""
    text = """
    base: &base
        queue_limit: 1
        env: {A: 1, B: 1}
        tasks: {x: {script: [x]}, y: }
        on_error: {script: [e], env: {E: 1}}
    pipelines:
      p:
        <<: *base
        queue_limit: ~
        env: {B: 2}
        tasks: {x: {env: {X: 1}}}
        on_error: {env: {F: 1}}
      q:
        <<: [{queue_limit: 2}, *base]
    pipelines: {r: }
    """
    found = loaded(text)
    assert list(found) == ["p", "q", "r"]
    assert found["p"].queue_limit is None
    assert found["p"].env == {"A": "1", "B": "2"}
    assert found["p"].tasks == {"x": TaskDefinition(env={"X": "1"}), "y": TaskDefinition()}
    assert found["p"].on_error == OnError(script=("e",), env={"E": "1", "F": "1"})
    assert found["q"].queue_limit == 2


def test_a_change_of_any_key_or_of_the_file_makes_another_definition(loaded):
    """§1.4: prunner forgets two keys when it compares."""
    before = loaded(FULL)
    assert loaded(f"# the same\n{FULL}") == before
    for old, new in [
        ("concurrency: 2", "concurrency: 3"),
        ("queue_limit: 3", "queue_limit: ~"),
        ("replace", "append"),
        ("10s", "10ms"),
        ("failure: true", "failure: false"),
        ("48h", "48m"),
        ("count: 10", "count: 11"),
        ('"1"', '"2"'),
        ("pwd", "ls"),
        ("[do_foo]", "[]"),
        ("allow_failure: yes", "allow_failure: no"),
        ("A: other", "A: another"),
        ("echo", "printf"),
        ("X: y", "X: z"),
        ("do_bar", "do_baz"),
        ("do_something", "do_other"),
    ]:
        assert old in FULL
        assert loaded(FULL.replace(old, new)) != before
    partitioned = loaded(f"pipelines: {{p: {PARTITIONED}}}")
    assert loaded(f"pipelines: {{p: {PARTITIONED.replace('2', '3')}}}") != partitioned


def test_the_same_in_another_file_is_another_definition(folder):
    (folder / "pipelines.yml").write_text(FULL)
    before = load(".", DEFAULT_PATTERN)
    (folder / "pipelines.yml").rename(folder / "pipelines.yaml")
    assert load(".", DEFAULT_PATTERN) != before


def test_everything_wrong_is_told_at_once_and_the_server_stops_at_the_first(folder):
    """File and line stand beside prunner's words."""
    (folder / "a.yml").write_text(
        "pipelines:\n  p:\n    queue_limit: -1\n    concurrency: -1\n  q: {tasks: 1}\n"
    )
    (folder / "b.yml").write_text("pipelines: {\n")
    (folder / "c.yml").write_text(
        "pipelines:\n  p:\n  r:\n    start_delay: 5\n"
        "    tasks:\n      a:\n        depends_on:\n          - b\n          - c\n"
    )
    examined = examine(".", "*.yml")
    assert [str(complaint) for complaint in examined.complaints] == [
        "a.yml:5: decoding YAML: a mapping was expected, not a text (q.tasks)",
        'a.yml:4: invalid pipeline definition "p": concurrency must be greater than 0',
        'a.yml:3: invalid pipeline definition "p": queue_limit must not be negative',
        "b.yml:2: decoding YAML: not YAML: did not find expected node content",
        'c.yml:4: decoding YAML: "5" has no unit; units are ns, us, ms, s, m and h (r.start_delay)',
        'c.yml:2: pipeline "p" was already declared in a.yml',
        'c.yml:8: invalid pipeline definition "r": missing task "b" referenced in depends_on of task "a"',
        'c.yml:9: invalid pipeline definition "r": missing task "c" referenced in depends_on of task "a"',
    ]
    with pytest.raises(DefinitionsError) as raised:
        load(".", "*.yml")
    assert raised.value.text == f"loading a.yml: {examined.complaints[0].text}"
    assert raised.value.complaint == examined.complaints[0]


STARVES = "with a single place in the wait list"


@pytest.mark.parametrize(
    ("definition", "warnings"),
    [
        (
            "{retentoin_count: 3}",
            ["p.retentoin_count is not known and ignored; did you mean `retention_count`?"],
        ),
        (
            "{tasks: {a: {scripts: []}}}",
            ["p.tasks.a.scripts is not known and ignored; did you mean `script`?"],
        ),
        ("{zzz: 3}", ["p.zzz is not known and ignored"]),
        ("{concurrency: 3, concurrency: 4}", ["p.concurrency is written twice"]),
        ("{start_delay: 1s, queue_strategy: replace}", [STARVES]),
        ("{start_delay: 1s, queue_strategy: replace, queue_limit: 1}", [STARVES]),
        ("{start_delay: 1s, queue_strategy: partitioned_replace, queue_partition_limit: 1}", [STARVES]),
        ("{start_delay: 1s, queue_strategy: replace, queue_limit: 2}", []),
        ("{start_delay: 1s, queue_limit: 1}", []),
        ("{queue_strategy: replace, queue_limit: 1}", []),
    ],
)
def test_what_is_right_but_strange_is_a_warning(folder, definition, warnings):
    """P012, P040."""
    (folder / "pipelines.yml").write_text(f"pipelines:\n  p:\n    {definition}\n")
    examined = examine(".", DEFAULT_PATTERN)
    assert not examined.complaints
    assert [each.line for each in examined.warnings] == [3] * len(warnings)
    assert all(expected in each.text for each, expected in zip(examined.warnings, warnings, strict=True))


def test_keys_beside_pipelines_are_warned_of_only_where_they_seem_misspelled(folder):
    (folder / "pipelines.yml").write_text("x-templates: {}\npipeline: {}\n")
    warnings = [str(warning) for warning in examine(".", DEFAULT_PATTERN).warnings]
    assert warnings == ["pipelines.yml:2: pipeline is not known and ignored; did you mean `pipelines`?"]


def test_of_several_documents_the_first_counts(folder):
    (folder / "pipelines.yml").write_text("pipelines: {p: }\n---\npipelines: {q: }\n")
    examined = examine(".", DEFAULT_PATTERN)
    assert list(examined.definitions) == ["p"]
    assert [each.text for each in examined.warnings] == ["only the first document of the file counts"]
