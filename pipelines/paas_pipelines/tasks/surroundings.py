"""What a process of this machine finds around it beside its script, and what is made of what it leaves."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import attrs

from paas_pipelines.runs.run import TaskEnd
from paas_pipelines.tasks import outputs
from paas_pipelines.tasks.files import FilesError, RunFiles
from paas_pipelines.tasks.outputs import PIPELINE_OUTPUT, OutputsError
from paas_pipelines.tasks.place import TaskOrder
from paas_pipelines.tasks.workspace import Workspace, Workspaces

PIPELINE_BASE = "PIPELINE_BASE"
"""The variable that has the server's base folder, for tasks that begin in one of their own."""


@attrs.frozen(kw_only=True)
class Surroundings:
    """Of one task, as long as it is at work."""

    order: TaskOrder
    folder: Path
    """Where its entries begin."""

    environment: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """Beside the order's `env`; among them are credentials."""

    workspace: Workspace | None = None
    files: RunFiles | None = None

    async def concluded(self, end: TaskEnd) -> TaskEnd:
        """With what the task has left, where it has succeeded; that may turn its success into a failure."""
        if end.error or end.stopped or end.exit_code:
            return end
        definition = self.order.task.definition
        if definition.outputs and self.workspace:
            try:
                written = bounded(self.workspace.output)
                end = attrs.evolve(
                    end, outputs=outputs.checked(written, definition.outputs, self.order.all_secrets)
                )
            except OutputsError as wrong:
                return attrs.evolve(end, error=str(wrong))
        if definition.save:
            return await self._with_files(end)
        return end

    async def _with_files(self, end: TaskEnd) -> TaskEnd:
        run_id, task = self.order.run.run_id, self.order.task
        if self.files is None:
            return attrs.evolve(end, error="save: this server keeps no files")
        try:
            saved = await asyncio.to_thread(
                self.files.save, run_id, task.name, self.folder, task.definition.save
            )
        except FilesError as wrong:
            return attrs.evolve(end, error=str(wrong), outputs={})
        self.files.durable(run_id, task.name)
        return attrs.evolve(end, saved=saved)


@asynccontextmanager
async def surrounded(
    order: TaskOrder, workspaces: Workspaces, base: Path, files: RunFiles | None = None
) -> AsyncIterator[Surroundings]:
    """As long as the block lasts; raises OSError, and `FilesError` for what cannot be loaded."""
    definition = order.task.definition
    environment = {name: value.reveal() for name, value in order.secrets.items()}
    own_folder = definition.save or definition.load
    if not (definition.outputs or order.secret_files or own_folder):
        yield Surroundings(order=order, folder=base, environment=environment)
        return
    with workspaces.fresh() as workspace:
        environment |= workspace.with_secrets(order.secret_files)
        if definition.outputs:
            environment[PIPELINE_OUTPUT] = str(workspace.output)
        if own_folder:
            environment[PIPELINE_BASE] = str(base)
        if definition.load and files:
            await asyncio.to_thread(files.load, order.run, definition.load, workspace.files)
        yield Surroundings(
            order=order,
            folder=workspace.files if own_folder else base,
            environment=environment,
            workspace=workspace,
            files=files,
        )


def bounded(path: Path) -> bytes:
    """One byte more than there may be, at most; raises `OutputsError` for what is no file any more."""
    try:
        if not path.is_file() or path.is_symlink():
            raise OutputsError("the file of its outputs was replaced by something else")
        with path.open("rb") as file:
            return file.read(outputs.MOST_BYTES + 1)
    except OSError as error:
        raise OutputsError(f"its outputs cannot be read: {error.strerror}") from None
