"""A task's script is rendered entry by entry with the run's variables (P057, P058, P073)."""

from datetime import UTC, datetime

from paas_pipelines.definitions.definition import TaskDefinition
from paas_pipelines.runs.run import Run, Task
from paas_pipelines.tasks.place import order_of
from paas_pipelines.tasks.script import RenderedScript, mistakes, rendered


def script(*entries, told=None, **variables):
    task = Task(name="build", definition=TaskDefinition(script=entries, env={"HOME": "/"}))
    run = Run(
        run_id="1",
        number=1,
        pipeline="p",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        variables=variables,
        tasks=(task,),
        env={"STAGE": "test"},
    )
    return rendered(order_of(run, task, told))


def test_every_entry_gets_the_variables():
    assert script(
        "pwd {{ .where }}", "echo {{ .where }} {{ .n }}", where="/tmp", n=1000000
    ) == RenderedScript(entries=("pwd /tmp", "echo /tmp 1e+06"))


def test_an_empty_script_is_nothing_to_run():
    assert script() == RenderedScript()


def test_entries_before_the_one_that_cannot_be_rendered_are_run():
    told = script("echo one", "echo {{ .missing }}", "echo {{ three")
    assert told.entries == ("echo one",)
    assert 'map has no entry for key "missing"' in told.error


def test_what_is_no_template_is_an_error_of_the_task():
    assert script("echo {{ if }}").error == "template: interpolate:1: missing value for if"


def test_environment_and_other_tasks_are_no_variables():
    assert "map has no entry" in script("{{ .STAGE }}").error
    assert "map has no entry" in script("{{ .HOME }}").error
    assert "map has no entry" in script("{{ .tasks }}").error


def test_an_on_error_task_is_told_of_the_failure():
    told = script("notify {{ .failedTaskName }} {{ .x }}", told={"failedTaskName": "build"}, x=1)
    assert told.entries == ("notify build 1",)


def test_output_of_a_failed_task_is_not_interpreted():
    told = script("echo '{{ .failedTaskStderr }}'", told={"failedTaskStderr": "{{ .secret }}"}, secret="s")
    assert told.entries == ("echo '{{ .secret }}'",)


def test_zero_bytes_do_not_reach_the_shell():
    assert script("echo {{ .x }}", x="a\0b").entries == ("echo ab",)


def test_entries_that_are_no_templates_are_told_without_variables():
    assert list(mistakes(["echo {{ .missing }}", "echo {{ if }}", "{{ nope }}"])) == [
        (2, "template: interpolate:1: missing value for if"),
        (3, 'template: interpolate:1: function "nope" not defined'),
    ]
