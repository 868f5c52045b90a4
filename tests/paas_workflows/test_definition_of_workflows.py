"""Workflow files: every complaint at once, each with its line; what is strange is told and runs."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from paas_workflows.definition.checking import examined
from paas_workflows.definition.decoding import WorkflowFileError
from paas_workflows.definition.document import DocumentError, object_in
from paas_workflows.definition.workflow_file import ExitMode

from paas_runner.errors import UsageError
from tests.support.site_program import ROOT

HINT = "did you mean `auto-success`?"
NOBODY = "which no earlier step's output nor the context provides"
EXAMPLE = ROOT / "workflows" / "examples" / "abort.yaml"


def look(text, name="file.yaml"):
    return examined(name, text.encode())


def said(remarks):
    return [str(each) for each in remarks]


def test_the_example_of_kog_is_read_whole():
    """K011, K019, K020, K021, K022, K023, K024, K025, K026, K027, K029.

    K031, K032, K033, K034, K035, K036, K037.
    """
    file = examined("abort.yaml", EXAMPLE.read_bytes()).usable
    assert (file.name, file.current_workflow, file.current_step) == (
        "abort test due to env missing",
        "run",
        "start",
    )
    assert set(file.workflows) == {"run", "remediate"}
    step = file.steps["start"]
    assert step.action == "auto-success"
    assert step.targets == {
        ExitMode.SUCCESS: "step2",
        **dict.fromkeys((ExitMode.FAILURE, ExitMode.ABORT, ExitMode.TIMEOUT), "notify"),
    }
    assert step.duration == timedelta(minutes=30)
    action = file.actions["auto-abort"]
    assert action.reference == "quay.io/f5-pwe/auto-result:1.0.1"
    assert action.env == {"RESULT": "abort", "RESULT_CODE": "15", "MESSAGE": "you broke it"}
    assert action.required_env == ("TEST",)
    assert action.required_paths == ("build.product.version",)
    assert action.output == {"step_name": "nil"}
    assert file.context == {"build": {"product": {"name": "Testing"}}}


def test_the_same_file_in_json_is_the_same():
    """K019."""
    text = """{"name": "n", "context": {"a": 1e3, "b": "\\ud83d\\ude00\\/"},
\t"workflows":{"run":{"start":{"action":"a", "duration":"1h30m"}}},
\t"actions":{"a":{"image":"i","version":1.10,"env":{"N":1,"ON":true,"E":"\\ud83d\\ude00"}}}}"""
    file = look(text, "file").usable
    assert file.context == {"a": 1000.0, "b": "😀/"}
    assert file.actions["a"].reference == "i:1.10"
    assert file.actions["a"].env == {"N": "1", "ON": "true", "E": "😀"}


def test_a_digest_is_no_tag():
    text = "name: n\nworkflows: {run: {start: {action: a}}}\nactions: {a: {image: i, version: 'sha256:ab'}}\n"
    assert look(text).usable.actions["a"].reference == "i@sha256:ab"


WRONG = """\
name: ''
curent_step: x
workflows:
  run:
    start:
      action: a
      sucess: start
      duration: 30
    other: {success: start}
actions:
  a:
    version: 1
    requirements: {env: TEST}
"""


def test_all_complaints_are_told_at_once_with_their_lines():
    found = look(WRONG)
    assert said(found.complaints) == [
        "file.yaml:1: name: it must not be empty",
        'file.yaml:8: workflows.run.start.duration: "30" is no duration like 90s, 30m or 1h30m',
        "file.yaml:9: workflows.run.other.action is missing",
        "file.yaml:13: actions.a.requirements.env: a list was expected, not a text",
        "file.yaml:12: actions.a.image is missing",
    ]
    assert said(found.warnings) == [
        "file.yaml:2: curent_step is not known and ignored; did you mean `current_step`?",
        "file.yaml:7: workflows.run.start.sucess is not known and ignored; did you mean `success`?",
    ]
    with pytest.raises(WorkflowFileError, match=r"name: it must not be empty\nfile.yaml:8"):
        _ = found.usable


def test_a_start_and_targets_that_do_not_exist_are_complaints():
    """K080."""
    text = """\
name: n
current_step: begin
workflows:
  run:
    beginn: {action: a, success: nd, failure: beginn}
    end: {action: a}
actions: {a: {image: i}}
"""
    assert said(look(text).complaints) == [
        "file.yaml:2: the workflow `run` has no step `begin`, with which it begins; did you mean `beginn`?",
        "file.yaml:5: workflows.run.beginn.success: no step `nd` is in this workflow; did you mean `end`?",
    ]


def test_an_undefined_action_is_a_warning_alone():
    """K080: the example of kog has one."""
    found = examined(str(EXAMPLE.name), EXAMPLE.read_bytes())
    assert found.complaints == ()
    assert said(found.warnings) == [
        f"abort.yaml:56: `run.step2` requires `build.product.version`, {NOBODY}",
        f"abort.yaml:32: no action `auto-remediatesuccess`, so `run.finalize` aborts; {HINT}",
    ]


def test_what_an_earlier_step_puts_into_the_context_is_there_for_a_later_one_only():
    """K036."""
    text = """\
name: n
workflows:
  run:
    start: {action: makes, success: uses}
    uses: {action: uses}
    never: {action: makes}
actions:
  makes: {image: i, output: {context: {made: {it: null}}}}
  uses:
    image: i
    requirements:
      context_paths: [made.it, made.else, given, run_id]
context: {given: null}
"""
    assert said(look(text).warnings) == [
        f"file.yaml:12: `run.uses` requires `made.else`, {NOBODY}",
        "file.yaml:6: the step `run.never` is never reached from `start`",
    ]


def test_what_is_no_name_of_an_image_is_told_before_an_engine_says_so():
    text = "name: n\nworkflows: {run: {start: {action: a}}}\nactions:\n  a:\n    image: An Image\n"
    [warning] = said(look(text).warnings)
    assert warning.startswith("file.yaml:5: actions.a: 'An Image:latest' is no image name: ")
    assert not look(text.replace("An Image", "registry.example.com:5000/an/image")).warnings


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.json", '{"a":\n1,}', "x.json:2: not JSON"),
        ("x", " {", "x:1: not JSON"),
        ("x.yaml", "a: [1\nb", "x.yaml:3: not YAML"),
        ("x.yaml", "a: \xff".encode("latin-1"), "x.yaml:1: not UTF-8"),
        ("x.yaml", "a: &a {<<: *a}", "x.yaml:1: .*aliases stand for more"),
        ("x.yaml", "? [a]\n: 1", "x.yaml:1: .*a key must be a simple text"),
    ],
)
def test_what_is_neither_json_nor_yaml_is_refused_with_its_line(name, text, message):
    with pytest.raises(DocumentError, match=message):
        examined(name, text if isinstance(text, bytes) else text.encode())


def test_aliases_that_stand_for_millions_are_refused_at_once():
    lines = ["a0: &a0 {k0: 1}"]
    lines += [
        f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}], k{n}: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 60)
    ]
    with pytest.raises(DocumentError, match="aliases"):
        look("\n".join(lines))


def test_anchors_and_merged_mappings_mean_what_they_stand_for():
    text = """\
name: n
to_notify: &ends {failure: notify, abort: notify}
workflows:
  run:
    start: {<<: *ends, action: a, failure: start}
    notify: {action: a}
actions: {a: {image: i}}
"""
    step = look(text).usable.steps["start"]
    assert step.targets == {ExitMode.FAILURE: "start", ExitMode.ABORT: "notify"}


def test_a_context_has_values_of_json_alone():
    """K040."""
    data = b"day: 2024-01-01\nyes: true\nlist: [1, 1.5, null, 'x']\n1: {}\n"
    assert object_in("c.yaml", data) == {
        "day": "2024-01-01",
        "yes": True,
        "list": [1, 1.5, None, "x"],
        "1": {},
    }
    assert json.loads(json.dumps(object_in("c.json", b'{"a": [1.0]}'))) == {"a": [1.0]}
    with pytest.raises(DocumentError, match="no number of JSON"):
        object_in("c.yaml", b"a: .inf")
    with pytest.raises(DocumentError, match="an object was expected"):
        object_in("c.yaml", b"[1]")


def test_another_start_is_one_that_is_there():
    """K025."""
    file = examined("abort.yaml", EXAMPLE.read_bytes()).usable
    assert file.beginning("remediate", None).steps.keys() == {"start"}
    assert file.beginning(None, "notify").current_step == "notify"
    with pytest.raises(UsageError, match="no workflow `no`"):
        file.beginning("no", None)
    with pytest.raises(UsageError, match="no step `step2`; it has start"):
        file.beginning("remediate", "step2")


def test_every_example_of_the_repository_can_be_run():
    for path in sorted(Path(EXAMPLE.parent).glob("*.yaml")):
        assert examined(path.name, path.read_bytes()).complaints == ()
