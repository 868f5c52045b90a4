"""All credentials of a server: who is given which value, and the note of it; nothing reads them back.

Those of the TOML come first: the store cannot replace what the operator has written there.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs

from paas_pipelines.access import resources
from paas_pipelines.access.identity import SERVER, Identity, pipeline_identity
from paas_pipelines.access.policy import Access
from paas_pipelines.access.statements import EXECUTOR_RUN, USE
from paas_pipelines.credentials.envelope import SealError
from paas_pipelines.credentials.plugged import PluggedCredential, SourceError
from paas_pipelines.credentials.programs import ProgramError, Programs
from paas_pipelines.credentials.records import StoredCredentials
from paas_pipelines.credentials.types import (
    CONFIG,
    ONLY_IN_TOML,
    TYPES,
    VALUE,
    docker_config,
    fields_of,
    keys_by_name,
    main_field,
    type_of,
)
from paas_pipelines.credentials.uses import references
from paas_pipelines.definitions.automation import FromCredential
from paas_pipelines.runs.run import Run, Task
from paas_pipelines.store.audit import Audit
from paas_runner.logs import redactor
from paas_runner.plain_text import did_you_mean
from paas_runner.secret import Secret

_MOST_VALUE = 64 * 1024
_MOST_NAME = 100


class CredentialError(Exception):
    """No value can be given, or none can be stored; the text never has one. `status` is for the API."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


@attrs.frozen(kw_only=True)
class Described:
    """What anybody may know of one."""

    name: str
    type: str
    source: str
    """toml or store."""

    version: int | None = None
    changed: datetime | None = None
    by: str = ""
    key: str = ""
    """The id of the key that it is encrypted with."""


@attrs.frozen(kw_only=True)
class Given:
    """The credentials of a task."""

    variables: Mapping[str, Secret] = attrs.field(factory=dict)
    files: Mapping[str, Secret] = attrs.field(factory=dict)
    hidden: tuple[Secret, ...] = ()
    """What its executor uses for it: it is in no variable, and must not appear either."""


@attrs.define(eq=False)
class Vault:
    """One for a server."""

    stored: StoredCredentials
    access: Access
    audit: Audit
    configured: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    """An instance of one of `credentials.types` by name."""

    programs: Programs = attrs.field(factory=lambda: Programs(now=time.monotonic))
    _refused: set[tuple[str, str]] = attrs.field(init=False, factory=set)
    """Pipelines and credentials of webhooks whose refusal is noted."""

    def names(self) -> Sequence[str]:
        """Of all."""
        return sorted({*self.configured, *(each.name for each in self.stored)})

    def described(self) -> Sequence[Described]:
        """All, by name."""
        return [self.description(name) for name in self.names()]

    def description(self, name: str) -> Described:
        """Raises `CredentialError` with 404."""
        type_name = self.type_of(name)
        if name in self.configured:
            return Described(name=name, type=type_name, source="toml")
        newest = self.stored[name].newest
        return Described(
            name=name,
            type=type_name,
            source="store",
            version=newest.number,
            changed=newest.created,
            by=newest.by,
            key=newest.envelope.key,
        )

    def type_of(self, name: str) -> str:
        """Raises `CredentialError` with 404."""
        if name in self.configured:
            return type_of(self.configured[name])
        if name in self.stored:
            return self.stored[name].type
        raise CredentialError(f'there is no credential "{name}"', 404)

    async def value(self, ref: FromCredential) -> Secret:
        """One of its fields, for the server itself; raises `CredentialError`."""
        configured = self.configured.get(ref.name)
        if isinstance(configured, PluggedCredential):
            return await _fetched(ref, configured)
        return _field(ref, await self._values(ref.name), self.type_of(ref.name))

    async def accepted(self, pipeline: str, ref: FromCredential) -> Sequence[Secret]:
        """The same for the webhooks of one that may use it: newest first, with those replaced within a day.

        Raises `CredentialError`. A refusal is noted once until it may: strangers cause them.
        """
        who, resource = pipeline_identity(pipeline), resources.credential(ref.name)
        if not self.access.may(who, USE, resource).allowed:
            if (pipeline, ref.name) not in self._refused:
                self._refused.add((pipeline, ref.name))
                self.audit.note(str(who), USE, resource, "refused", field=ref.field, purpose="webhook")
            raise CredentialError(f"{who} may not use {resource}", 403)
        self._refused.discard((pipeline, ref.name))
        if ref.name in self.configured or ref.name not in self.stored:
            return [await self.value(ref)]
        try:
            found = self.stored.accepted(ref.name)
        except SealError as error:
            raise CredentialError(f'credential "{ref.name}": {error}') from None
        return [_field(ref, values, self.type_of(ref.name)) for values in found]

    def used(self, pipeline: str, ref: FromCredential, purpose: str) -> None:
        """A note of it, in the transaction of this moment."""
        who, resource = pipeline_identity(pipeline), resources.credential(ref.name)
        self.audit.note(str(who), USE, resource, field=ref.field, purpose=purpose)

    async def for_pipeline(self, pipeline: str, ref: FromCredential, purpose: str, run: str = "") -> Secret:
        """The same for one that may use it, with a note of it; raises `CredentialError`."""
        who, resource = pipeline_identity(pipeline), resources.credential(ref.name)
        details = {"field": ref.field, "purpose": purpose} | ({"run": run} if run else {})
        verdict = self.access.may(who, USE, resource)
        if not verdict.allowed:
            self.audit.note(str(who), USE, resource, "refused", **details)
            raise CredentialError(f"{who} may not use {resource}", 403)
        found = await self.value(ref)
        self.audit.note(str(who), USE, resource, **details)
        return found

    def check_executor(self, pipeline: str, executor: str, run: str) -> None:
        """Raises `CredentialError` where a statement denies a pipeline an executor."""
        who, resource = pipeline_identity(pipeline), resources.executor(executor)
        if not self.access.may(who, EXECUTOR_RUN, resource).allowed:
            self.audit.note(str(who), EXECUTOR_RUN, resource, "refused", run=run)
            raise CredentialError(f"{who} may not {EXECUTOR_RUN} {resource}", 403)

    async def for_task(self, run: Run, task: Task) -> "Given":
        """What a task is given, with a note of each; raises `CredentialError`, in words for its author."""
        wanted, others = references(task.definition)
        purpose = f"task {task.name}"
        found = {
            name: await self.for_pipeline(run.pipeline, ref, purpose, run.run_id)
            for name, ref in wanted.items()
        }
        hidden = [await self.for_pipeline(run.pipeline, ref, purpose, run.run_id) for ref in others]
        files = {name for name, ref in wanted.items() if ref.as_file}
        return Given(
            variables={name: value for name, value in found.items() if name not in files},
            files={name: value for name, value in found.items() if name in files},
            hidden=tuple(hidden),
        )

    def put(self, name: str, type_name: str, values: Mapping[str, Any], by: Identity = SERVER) -> int:
        """Store a version, in the transaction of this moment; its number; raises `CredentialError`."""
        if name in self.configured:
            raise CredentialError(f'credential "{name}" stands in the settings file: change it there', 409)
        checked = _checked(name, type_name, values)
        try:
            version = self.stored.put(name, type_name, checked, str(by))
        except SealError as error:
            raise CredentialError(str(error), 409) from None
        redactor.add(map(Secret, checked.values()))
        self.audit.note(
            str(by), "credentialWrite", resources.credential(name), type=type_name, version=version.number
        )
        return version.number

    def remove(self, name: str, by: Identity = SERVER) -> None:
        """In the transaction of this moment; raises `CredentialError` with 404 or 409."""
        self.type_of(name)
        if name in self.configured:
            raise CredentialError(f'credential "{name}" stands in the settings file: remove it there', 409)
        self.stored.remove(name)
        self.audit.note(str(by), "credentialWrite", resources.credential(name), "removed")

    def rekey(self, by: Identity = SERVER) -> int:
        """Encrypt all with the first key; returns how many had another; raises `CredentialError`."""
        try:
            count = self.stored.rekey()
        except SealError as error:
            raise CredentialError(str(error), 409) from None
        self.audit.note(str(by), "credentialWrite", resources.credential("*"), "rekeyed", count=count)
        return count

    async def _values(self, name: str) -> Mapping[str, Secret]:
        """By field; raises `CredentialError`."""
        type_name = self.type_of(name)
        try:
            if name not in self.configured:
                found = dict(self.stored.values(name))
            else:
                found = await self._configured(name)
        except (SealError, ProgramError) as error:
            raise CredentialError(f'credential "{name}": {error}') from None
        if type_name == "docker":
            plain = {field: value.reveal() for field, value in found.items()}
            config = docker_config(plain["registry"], plain.get("username", ""), plain["password"])
            found[CONFIG] = Secret(config)
        redactor.add(found.values())
        return found

    async def _configured(self, name: str) -> dict[str, Secret]:
        one = self.configured[name]
        found = {}
        for field in fields_of(self.type_of(name)):
            value = getattr(one, field, None)
            if isinstance(value, Secret):
                found[field] = value
            elif value:
                found[field] = Secret(str(value))
        if command := getattr(one, "command", ()):
            printed = await self.programs.value(name, command, one.timeout, one.lifetime)
            found["password" if "registry" in found else VALUE] = printed
        return found


async def _fetched(ref: FromCredential, credential: PluggedCredential) -> Secret:
    field = ref.field or credential.fields[0]
    if field not in credential.fields:
        raise CredentialError(_no_field(ref, field, credential.fields))
    try:
        found = await credential.value(field)
    except SourceError as error:
        raise CredentialError(f'credential "{ref.name}": {error}') from None
    redactor.add([found])
    return found


def _no_field(ref: FromCredential, field: str, known: Sequence[str]) -> str:
    hint = did_you_mean(field, known)
    return f'credential "{ref.name}" has no field "{field}"' + (hint and f"; {hint}")


def _field(ref: FromCredential, values: Mapping[str, Secret], type_name: str) -> Secret:
    field = ref.field or main_field(type_name)
    if field not in fields_of(type_name):
        raise CredentialError(_no_field(ref, field, fields_of(type_name)))
    if field not in values:
        raise CredentialError(f'credential "{ref.name}": its field "{field}" is empty')
    return values[field]


def _checked(name: str, type_name: str, values: Mapping[str, Any]) -> Mapping[str, str]:
    """Raises `CredentialError`, never with a value."""
    if not name or len(name) > _MOST_NAME or not all("!" <= letter <= "~" for letter in name) or "/" in name:
        raise CredentialError("a credential's name has 1 to 100 letters, digits and signs, and no slash")
    if type_name not in TYPES or type_name in ONLY_IN_TOML:
        known = ", ".join(each for each in TYPES if each not in ONLY_IN_TOML)
        raise CredentialError(f'"type" must be one of {known}')
    keys = keys_by_name(type_name)
    fields = [each for each in fields_of(type_name) if each in keys]
    for field, value in values.items():
        if field not in fields:
            hint = did_you_mean(field, fields)
            raise CredentialError(f"type {type_name} has no field {field!r}" + (hint and f"; {hint}"))
        if not isinstance(value, str) or not value or len(value) > _MOST_VALUE or "\0" in value:
            raise CredentialError(f"{field} must be a text of 1 to {_MOST_VALUE} characters")
    needed = {field for field in fields if keys[field].required} | (
        {"password"} if type_name == "docker" else set()
    )
    if missing := sorted(needed - values.keys()):
        raise CredentialError(f"type {type_name} needs {', '.join(missing)}")
    return dict(values)
