"""What definitions want of the settings file and cannot have: `check` tells it, and a server that starts."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from paas_pipelines.credentials.types import fields_of_one
from paas_pipelines.credentials.uses import references
from paas_pipelines.definitions.automation import FromCredential
from paas_pipelines.definitions.decoding import KeyPath
from paas_pipelines.definitions.definition import Definition
from paas_pipelines.definitions.loading import Examined
from paas_pipelines.definitions.reading import Complaint
from paas_pipelines.definitions.scalars import quoted
from paas_pipelines.server.automation import Automation
from paas_runner.plain_text import did_you_mean


def unfit(examined: Examined, found: Automation, file: Path) -> Iterator[Complaint]:
    """With the place in the file of the definition; `file` has the settings `found`."""
    for name, definition in examined.definitions.items():
        for at, reason, hint in chain(_unknown_names(definition, found), _unknown_fields(definition, found)):
            line = examined.decoders[definition.source].line((name, *at))
            text = f"invalid pipeline definition {quoted(name)}: {reason}"
            yield Complaint(file=definition.source, line=line, text=text, remedy=hint or f"see {file}")


def wanted_credentials(definition: Definition) -> Iterator[tuple[KeyPath, Sequence[FromCredential]]]:
    """By the keys of triggers and tasks."""
    for name, trigger in definition.triggers.items():
        if trigger.webhook:
            yield ("triggers", name, "secret"), [trigger.webhook.secret]
    for name, task in definition.tasks.items():
        variables, others = references(task)
        yield ("tasks", name), (*variables.values(), *others)


def _unknown_names(definition: Definition, found: Automation) -> Iterator[tuple[KeyPath, str, str]]:
    """Whom nobody can tell, and deliveries that nobody can verify."""
    for to in (each.to for each in definition.notify if each.to not in found.notifiers):
        yield ("notify",), f"unknown notifier {quoted(to)}", did_you_mean(to, found.notifiers)
    for name, task in definition.tasks.items():
        if task.message is not None and task.message.to not in found.notifiers:
            reason = f"task {quoted(name)}: unknown notifier {quoted(task.message.to)}"
            yield ("tasks", name, "message"), reason, did_you_mean(task.message.to, found.notifiers)
    for name, trigger in definition.triggers.items():
        secret = trigger.webhook.secret.name if trigger.webhook else None
        if secret and secret not in found.credentials and not found.credential_keys:
            reason = f"trigger {quoted(name)}: there is no credential {quoted(secret)}"
            yield ("triggers", name, "secret"), reason, did_you_mean(secret, found.credentials)


def _unknown_fields(definition: Definition, found: Automation) -> Iterator[tuple[KeyPath, str, str]]:
    """Those of the file are known here; others may be in the store."""
    for at, refs in wanted_credentials(definition):
        for ref in refs:
            one = found.credentials.get(ref.name)
            if one and ref.field and ref.field not in (fields := fields_of_one(one)):
                reason = f"credential {quoted(ref.name)} has no field {quoted(ref.field)}"
                where = f"{at[0].removesuffix('s')} {quoted(at[1])}"
                yield at, f"{where}: {reason}", did_you_mean(ref.field, fields)
