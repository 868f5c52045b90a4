"""What a task on this machine tells those after it, and what of it is refused."""

import attrs
import pytest
from paas_pipelines.definitions.automation import OutputDefinition
from paas_pipelines.definitions.definition import TaskDefinition
from paas_pipelines.definitions.parameter import ParameterKind
from paas_pipelines.runs.run import Task, TaskStatus
from paas_pipelines.runs.stepping import task_ended
from paas_pipelines.tasks.outputs import MOST_BYTES, OutputsError, checked, lines_of, variables
from paas_pipelines.tasks.place import order_of
from paas_pipelines.tasks.workspace import Workspaces

from paas_runner.secret import Secret
from paas_runner.testing.virtual_time import virtual_now
from tests.support.local_tasks import order, place, ran

ALL = {
    "text": OutputDefinition(),
    "count": OutputDefinition(kind=ParameterKind.NUMBER),
    "changed": OutputDefinition(kind=ParameterKind.BOOLEAN),
    "names": OutputDefinition(kind=ParameterKind.LIST),
    "plan": OutputDefinition(kind=ParameterKind.OBJECT),
    "mode": OutputDefinition(default="fast", has_default=True),
}
SCRIPT = (
    'echo "text=a=b c" >> "$PIPELINE_OUTPUT"',
    'echo "count=1" >> "$PIPELINE_OUTPUT"; echo count=2.5 >> "$PIPELINE_OUTPUT"',
    """printf 'changed=false\\nnames=["a", 1]\\nplan={"a": {"b": null}}' >> "$PIPELINE_OUTPUT" """,
)


async def test_a_task_tells_its_outputs_by_their_types(tmp_path):
    where = place(tmp_path, workspaces=Workspaces(tmp_path / "work"))
    done = await ran(where, order(*SCRIPT, outputs=ALL))
    assert done.end.outputs == {
        "text": "a=b c",
        "count": 2.5,
        "changed": False,
        "names": ["a", 1],
        "plan": {"a": {"b": None}},
        "mode": "fast",
    }
    assert not done.end.error
    assert not list((tmp_path / "work").iterdir())


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("true", 'output "x" was not written'),
        ('echo y=1 >> "$PIPELINE_OUTPUT"', 'output "y" is not declared'),
        ('echo nothing >> "$PIPELINE_OUTPUT"', "line 1 of its outputs is no `name=value`"),
        ('echo x=1 >> "$PIPELINE_OUTPUT"', 'output "x" must be a boolean'),
        ('echo "x=$KEY" >> "$PIPELINE_OUTPUT"', 'output "x" contains a credential'),
        ('base64 < "$KEYFILE" | sed s/^/x=/ >> "$PIPELINE_OUTPUT"', 'output "x" contains a credential'),
        ('rm "$PIPELINE_OUTPUT"; mkfifo "$PIPELINE_OUTPUT"', "was replaced by something else"),
        ('rm "$PIPELINE_OUTPUT"; ln -s /etc/passwd "$PIPELINE_OUTPUT"', "was replaced by something else"),
        ('head -c 70000 /dev/zero >> "$PIPELINE_OUTPUT"', "its outputs are more than 64 KiB"),
    ],
)
async def test_what_is_not_as_declared_fails_the_task_and_is_not_shown(tmp_path, script, error):
    given = attrs.evolve(
        order(script, outputs={"x": OutputDefinition(kind=ParameterKind.BOOLEAN)}),
        secrets={"KEY": Secret("hunter2-hunter2")},
        secret_files={"KEYFILE": Secret("hunter3-hunter3\n")},
    )
    end = (await ran(place(tmp_path), given)).end
    assert error in end.error
    assert "hunter" not in end.error
    assert not end.outputs


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("number", "1e999"),
        ("number", "NaN"),
        ("number", "9" * 5000),
        ("object", '{"a": -1e999}'),
        ("object", '{"a": "\\ud800"}'),
        ("list", "[" * 30000),
        ("list", "[" * 101 + "]" * 101),
    ],
)
def test_no_value_passes_that_json_or_a_text_cannot_have(kind, text):
    declared = {"x": OutputDefinition(kind=ParameterKind(kind))}
    with pytest.raises(OutputsError, match=r'output "x" must be an? '):
        checked(f"x={text}\n".encode(), declared)


async def test_outputs_are_read_only_where_the_task_has_succeeded(tmp_path):
    outputs = {"x": OutputDefinition()}
    end = (await ran(place(tmp_path), order("exit 3", outputs=outputs))).end
    assert (end.exit_code, end.error, end.outputs) == (3, "", {})


async def test_without_outputs_a_task_has_no_file_for_them(tmp_path):
    assert (await ran(place(tmp_path), order('echo "<$PIPELINE_OUTPUT>"'))).lines == ["<>"]


async def test_secrets_are_variables_and_files_that_nobody_else_reads(tmp_path):
    given = attrs.evolve(
        order('stat -c %a "$KEYFILE"; cat "$KEYFILE"; echo; echo "$KEY"; echo "$KEYFILE"'),
        secrets={"KEY": Secret("one")},
        secret_files={"KEYFILE": Secret("two")},
    )
    lines = (await ran(place(tmp_path, workspaces=Workspaces(tmp_path / "work")), given)).lines
    assert lines[:3] == ["600", "two", "one"]
    assert not list((tmp_path / "work").iterdir()), lines[3]


async def test_those_after_it_have_its_outputs_as_variables(tmp_path):
    run = order("true", name="first-one").run
    first = Task(
        name="first-one", definition=TaskDefinition(outputs=ALL), outputs={"a_b": "x", "n": [1, "ü"]}
    )
    beside = Task(name="beside", outputs={"c": "y"})
    between = Task(name="between", definition=TaskDefinition(depends_on=("first-one",)))
    script = ('echo "$OUTPUT_FIRST_ONE_A_B $OUTPUT_FIRST_ONE_N <$OUTPUT_BESIDE_C>"',)
    last = Task(name="last", definition=TaskDefinition(script=script, depends_on=("between",)))
    run = attrs.evolve(run, tasks=(first, beside, between, last))
    assert dict(variables(run, first)) == {}
    assert (await ran(place(tmp_path), order_of(run, last))).lines == ['x [1,"ü"] <>']


async def test_the_record_of_a_task_has_its_outputs(tmp_path):
    given = order(*SCRIPT, outputs=ALL)
    started = attrs.evolve(
        given.run, tasks=(attrs.evolve(given.task, status=TaskStatus.RUNNING),), start=virtual_now()
    )
    end = (await ran(place(tmp_path), given)).end
    assert task_ended(started, "task", end, virtual_now()).task("task").outputs["count"] == 2.5


@pytest.mark.parametrize(
    "written", [b"x" * (MOST_BYTES + 1), b"a=\xff", b"".join(b"n%d=1\n" % n for n in range(101))]
)
def test_outputs_have_bounds(written):
    with pytest.raises(OutputsError):
        lines_of(written)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "true", '"1"', "", "[" * 10_000])
def test_what_is_no_number_of_json_is_none(text):
    with pytest.raises(OutputsError, match='output "count" must be a number'):
        checked(f"count={text}".encode(), {"count": ALL["count"]})
