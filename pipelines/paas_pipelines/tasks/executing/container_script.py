"""A task's script as one text for the shell of a container, and what it tells at its end. Pure.

The text is a compound command: a shell that is given less than all of it runs nothing. Credentials are a part
of it, so that neither arguments nor the engine's description of the container has them.
"""

import hashlib
import shlex
from collections.abc import Iterator, Sequence

import attrs

from paas_pipelines.tasks.job_spec import job_script
from paas_pipelines.tasks.outputs import MOST_BYTES, PIPELINE_OUTPUT
from paas_pipelines.tasks.place import TaskOrder
from paas_pipelines.tasks.script import program_of

FOLDER = "/pipeline-task"
"""In a container on an engine: it has `output`, and `files`, where tasks begin that save or load."""

READS_INPUT = ("sh", "-c", "if command -v bash >/dev/null 2>&1; then exec bash -s; else exec sh -s; fi")
SCRIPT_VARIABLE = "PIPELINE_SCRIPT"
READS_VARIABLE = (
    "sh",
    "-c",
    'paas_script=$PIPELINE_SCRIPT; unset PIPELINE_SCRIPT; eval "$paas_script"',
)


def script_of(
    order: TaskOrder,
    entries: Sequence[str],
    *,
    folder: str,
    mark: str = "",
    parts: Sequence[str] = (),
    leaves: bool = False,
) -> str:
    """With a `mark` the outputs are shown between two lines with it, where nobody can fetch the file.

    Files that it loads are in an archive of these `parts`; what it `leaves` becomes one (`container.Parcel`).
    """
    definition = order.task.definition
    lines = ["(", f"paas_folder={folder}", 'mkdir -p "$paas_folder"']
    for name, value in order.secrets.items():
        lines.append(f"{_name(name)}={shlex.quote(value.reveal())}; export {_name(name)}")
    if order.secret_files:
        lines.append('mkdir -p "$paas_folder/secrets" && chmod 700 "$paas_folder/secrets"')
    for number, (name, value) in enumerate(order.secret_files.items()):
        path = f'"$paas_folder/secrets/{number}"'
        lines.append(f"(umask 077; printf %s {shlex.quote(value.reveal())} >{path})")
        lines.append(f"{_name(name)}={path}; export {_name(name)}")
    if definition.outputs or order.sets_up:
        lines.append(f'{PIPELINE_OUTPUT}="$paas_folder/output"; export {PIPELINE_OUTPUT}')
        lines.append(f': >"${PIPELINE_OUTPUT}"')
    lines.append("CI_PROJECT_DIR=$PWD")
    if definition.save or definition.load:
        lines.append('mkdir -p "$paas_folder/files"')
        if parts:
            unpacked = f'cat {shlex.join(parts)} | (umask 0; tar -xzf - -C "$paas_folder")'
            lines.append(f"{unpacked} || {{ echo 'the files cannot be unpacked here' >&2; exit 1; }}")
        lines.append('PIPELINE_BASE=$PWD; export PIPELINE_BASE; CI_PROJECT_DIR="$paas_folder/files"')
    program = program_of(order)
    if program:
        lines += _by_program(program, entries, tolerant=definition.allow_failure)
    else:
        lines.append(job_script(entries, tolerant=definition.allow_failure))
    tells = mark and (definition.outputs or order.sets_up)
    if tells or leaves:
        lines.append("paas_status=$?")
    if leaves:
        packed = 'tar -czf "$paas_folder/archive" -C "$paas_folder" files'
        failed = "{ echo 'the files cannot be packed here' >&2; paas_status=1; }"
        lines.append(f'[ "$paas_status" -ne 0 ] || {packed} || {failed}')
        lines.append(': >"$paas_folder/ended"')
    if tells:
        told = f'printf "\\n%s\\n" "{mark}"'
        lines.append(f'[ "$paas_status" -ne 0 ] || {{ {told}; cat "${PIPELINE_OUTPUT}"; {told}; }}')
    if tells or leaves:
        lines.append('exit "$paas_status"')
    return "\n".join([*lines, ")", ""])


def mark_of(name: str) -> str:
    """A line that nobody writes by accident; the same after a crash."""
    return f"-- outputs {hashlib.sha256(name.encode()).hexdigest()[:16]} --"


@attrs.define
class Shown:
    """What a container writes, parted into what is for the log and the outputs between two marks."""

    mark: str
    outputs: bytes = b""
    whole: bool = False
    """Whether all of it has come."""

    _inside: bool = False
    _empty: bool = False

    def passed(self, line: bytes) -> Iterator[bytes]:
        """What of it is for the log: an empty line only when the next one is no mark."""
        if line == self.mark.encode():
            self._inside, self._empty = not self._inside, False
        elif self._inside:
            if len(self.outputs) <= MOST_BYTES:  # a task may write the mark itself, and then without end
                self.outputs += line[:MOST_BYTES] + b"\n"
        else:
            if self._empty:
                yield b""
            self._empty = not line
            if line:
                yield line

    def rest(self) -> Iterator[bytes]:
        """What was held back at the end."""
        if self._empty:
            yield b""


def _by_program(program: Sequence[str], entries: Sequence[str], *, tolerant: bool) -> Iterator[str]:
    """Each entry is the file of a process of its own."""
    yield 'cd -- "$CI_PROJECT_DIR" || exit 1'
    yield "paas_last=0"
    for entry in entries:
        yield f"""printf '%s\\n' {shlex.quote(entry)} >"$paas_folder/script" """
        ended = "paas_last=$?" if tolerant else 'exit "$?"'
        yield f'{shlex.join(program)} "$paas_folder/script" </dev/null || {ended}'
    yield '(exit "$paas_last")'


def _name(name: str) -> str:
    if not name.isidentifier() or not name.isascii():
        raise ValueError(f"{name!r} is no name of a variable")
    return name
