"""What a task's pipeline may use: its executor, and its credentials, of which nothing is written."""

import asyncio
from collections.abc import Iterator

import attrs

from paas_pipelines.credentials.masking import MaskedOutput, masked
from paas_pipelines.credentials.uses import references
from paas_pipelines.credentials.vault import CredentialError, Vault
from paas_pipelines.definitions.definition import TaskDefinition
from paas_pipelines.runs.run import TaskEnd
from paas_pipelines.tasks.place import Output, Place, TaskOrder


async def entrusted(order: TaskOrder, vault: Vault | None) -> TaskOrder:
    """With the credentials that it is to have; a note of each is put into the journal.

    The executor may be denied to the pipeline; one without a name is meant by its type.

    Raises `CredentialError`; of a job that has been submitted the order says so, since a runner may have it
    already.
    """
    definition = order.task.definition
    if vault and order.task.job_id is None and not definition.native:
        for name in _executors_of(definition):
            vault.check_executor(order.run.pipeline, name, order.run.run_id)
    variables, others = references(definition)
    if not variables and not others:
        return order
    if vault is None:
        raise CredentialError("this server has no credentials: see --settings")
    try:
        given = await vault.for_task(order.run, order.task)
    except CredentialError as error:
        if order.task.job_id is None:
            raise
        return attrs.evolve(order, no_secrets=str(error))
    return attrs.evolve(order, secrets=given.variables, secret_files=given.files, hidden_secrets=given.hidden)


def _executors_of(definition: TaskDefinition) -> Iterator[str]:
    """Its own, and those by which that is set up and torn down."""
    executor = definition.executor
    if executor is None:
        yield "runner" if definition.elsewhere else "shell"
        return
    yield executor.name or executor.type
    hooks = filter(None, (executor.setup, executor.teardown))
    yield from (hook.executor for hook in hooks if hook.type != "shell")


async def run_hiding(place: Place, order: TaskOrder, output: Output, stop: asyncio.Event) -> TaskEnd:
    """Bring it to its end in its place; of its credentials nothing is written, whatever it says."""
    if not order.all_secrets:
        return await place.run(order, output, stop)
    hiding = MaskedOutput(output, order.all_secrets)
    try:
        end = await place.run(order, hiding, stop)
    finally:
        hiding.close()
    return attrs.evolve(end, error=masked(end.error, order.all_secrets))
