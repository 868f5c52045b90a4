"""What `paas-runner pipelines check` finds: everything that is wrong at once; nothing is changed."""

import asyncio
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from paas_pipelines.access import resources
from paas_pipelines.access.identity import pipeline_identity, trigger_identity
from paas_pipelines.access.policy import Access
from paas_pipelines.access.statements import START, USE
from paas_pipelines.definitions.decoding import KeyPath
from paas_pipelines.definitions.definition import Definition
from paas_pipelines.definitions.dotenv import DotenvError, read_dotenv
from paas_pipelines.definitions.loading import Examined, examine
from paas_pipelines.definitions.plugged import Plugged
from paas_pipelines.definitions.reading import DefinitionsError
from paas_pipelines.server import automation
from paas_pipelines.server.automation import Automation
from paas_pipelines.server.dynamic_config import SecretError, secret_of
from paas_pipelines.server.listening import WORDS, place_of
from paas_pipelines.server.plugging import found_plugins, plugged_in
from paas_pipelines.server.settings import Settings
from paas_pipelines.server.wanted import unfit, wanted_credentials
from paas_pipelines.store.disk import FILE
from paas_pipelines.tasks.script import mistakes
from paas_runner.check.machine import holder_of
from paas_runner.config import ConfigError
from paas_runner.errors import RunnerError
from paas_runner.executor.checks import CheckResult, fault, fine, skipped, warning
from paas_runner.web.listening import try_out


def results(settings: Settings) -> Sequence[CheckResult]:
    """In the order in which a server would meet them."""
    holder = holder_of(settings.data / FILE)
    return [
        *_definitions(settings),
        _secret(settings),
        *_settings_file(settings),
        *_env_files(settings),
        _data(settings.data, holder),
        skipped("address", "not tried: a server runs") if holder else _address(settings),
    ]


def _plugged(settings: Settings) -> Plugged:
    """With a file that cannot be read, whatever is installed; what is wrong with it is told elsewhere."""
    if settings.settings is None:
        return plugged_in(found_plugins(None))
    with suppress(ConfigError):
        return plugged_in(automation.load(settings.settings, os.environ).registry)
    return plugged_in(found_plugins(None))


def _definitions(settings: Settings) -> Iterator[CheckResult]:
    try:
        found = examine(settings.path, settings.pattern, plugged=_plugged(settings))
    except DefinitionsError as error:
        yield fault("definitions", error.text, "see --path and --pattern")
        return
    yield from (fault("definitions", str(each), each.remedy) for each in found.complaints)
    yield from _templates(found)
    yield from (warning("definitions", str(complaint)) for complaint in found.warnings)
    if not found.decoders:
        where = f"no file matches {settings.pattern} below {settings.path.absolute()}"
        yield warning("definitions", where, "call it in the server's folder, or see --path and --pattern")
    elif not found.definitions and not found.complaints:
        yield warning(
            "definitions", f"no pipelines in files: {len(found.decoders)}", "they stand below `pipelines:`"
        )
    elif not found.complaints:
        files = {definition.source for definition in found.definitions.values()}
        yield fine("definitions", f"pipelines: {len(found.definitions)}, in files: {len(files)}")
    yield from _elsewhere(settings, found.definitions)


def _settings_file(settings: Settings) -> Iterator[CheckResult]:
    """Of `[pipelines]`, and of what definitions want of its credentials."""
    if settings.settings is None:
        return
    try:
        found = automation.load(settings.settings, os.environ)
    except ConfigError as error:
        yield from (fault("settings", str(each)) for each in error.complaints)
        return
    yield from (warning("settings", text) for text in found.warnings)
    with suppress(DefinitionsError):  # told above
        examined = examine(settings.path, settings.pattern, plugged=plugged_in(found.registry))
        yield from _wanted_credentials(examined.definitions.values(), found)
        yield from _calls_of_triggers(examined.definitions, found)
        wrong = unfit(examined, found, settings.settings)
        yield from (fault("settings", str(each), each.remedy) for each in wrong)
    told = f"credentials: {len(found.credentials)}, statements: {len(found.access)}"
    yield fine("settings", f"{settings.settings}: {told}")


def _wanted_credentials(definitions: Iterable[Definition], found: Automation) -> Iterator[CheckResult]:
    """What a pipeline may not use, and what is neither in the file nor can be in the store."""
    access = Access(found.access)
    for definition in definitions:
        for at, refs in wanted_credentials(definition):
            for ref in refs:
                where = f"{definition.source}: {definition.name}.{at[1]}"
                who, wanted = pipeline_identity(definition.name), resources.credential(ref.name)
                if not access.may(who, USE, wanted).allowed:
                    yield warning("settings", f"{where}: {who} may not use {wanted}", "see `access`")
                is_known = ref.name in found.credentials or found.credential_keys
                if at[0] == "tasks" and not is_known:
                    yield warning("settings", f'{where}: there is no credential "{ref.name}"')


def _calls_of_triggers(definitions: Mapping[str, Definition], found: Automation) -> Iterator[CheckResult]:
    """What triggers start calls others, at any depth, only where a statement lets the trigger start those."""
    access = Access(found.access)
    for definition in definitions.values():
        called, ahead = dict.fromkeys(_callees(definition)), _callees(definition)
        while ahead:
            new = [each for each in _callees(definitions.get(ahead.pop())) if each not in called]
            called |= dict.fromkeys(new)
            ahead += new
        for name in definition.triggers:
            who = trigger_identity(f"{definition.name}/{name}")
            for each in called:
                if not access.may(who, START, resources.pipeline(each)).allowed:
                    told = f"{definition.source}: {who} may not {START} {resources.pipeline(each)}"
                    yield warning("settings", f"{told}, which its runs call", "see `access`")


def _callees(definition: Definition | None) -> list[str]:
    return [task.call.pipeline for task in definition.tasks.values() if task.call] if definition else []


def _templates(found: Examined) -> Iterator[CheckResult]:
    """Entries of scripts that fail their task, whatever the variables."""
    for name, definition in found.definitions.items():
        scripts: dict[KeyPath, Sequence[str]] = {
            ("tasks", task, "script"): what.script for task, what in definition.tasks.items()
        }
        if definition.on_error:
            scripts["on_error", "script"] = definition.on_error.script
        for at, script in scripts.items():
            for number, wrong in mistakes(script):
                line = found.decoders[definition.source].line((name, *at, script[number - 1]))
                where = f"{definition.source}:{line}: {'.'.join((name, *at))}, entry {number}"
                remedy = "; a variable is written {{ .name }}" if wrong.endswith("not defined") else ""
                yield warning("definitions", f"{where}: {wrong}", f"the task will fail{remedy}")


def _elsewhere(settings: Settings, definitions: Mapping[str, Definition]) -> Iterator[CheckResult]:
    """Of tasks that other machines run."""
    tasks = {
        f"{name}.{task}": what
        for name, definition in definitions.items()
        for task, what in definition.tasks.items()
    }
    far = [name for name, what in tasks.items() if what.elsewhere]
    if far and not settings.external_url and not _own_address(settings):
        yield warning(
            "external_url",
            f"hosts elsewhere cannot report to this server, and these tasks run there: {', '.join(far)}",
            "give --external-url, or external_url in the settings file; runners on this machine need none",
        )
    if settings.runners:
        from paas_pipelines.server.local_runners import complaints

        found = complaints(settings)
        yield from (fault("runners", text) for text in found)
        if not found:
            yield fine("runners", f"{settings.runners} can be served")


def _own_address(settings: Settings) -> str | None:
    """That of the settings file; what is wrong with the file is told elsewhere."""
    with suppress(ConfigError):
        return automation.load(settings.settings, os.environ).external_url if settings.settings else None
    return None


def _secret(settings: Settings) -> CheckResult:
    if settings.jwt_secret is None and not settings.config.exists():
        return _writable("secret", settings.config.parent, f"{settings.config} is made at the first start")
    try:
        secret_of(settings)
    except SecretError as error:
        return fault("secret", str(error))
    if settings.jwt_secret is None and settings.config.stat().st_mode & 0o077:
        return warning("secret", f"others can read {settings.config}", f"chmod 600 {settings.config}")
    return fine("secret", "it is there, and long enough")


def _env_files(settings: Settings) -> Iterator[CheckResult]:
    for name in settings.env_files:
        try:
            count = len(read_dotenv([name]))
        except DotenvError as error:
            yield fault("env files", str(error))
        else:
            there = f"variables: {count}" if Path(name).exists() else "is not there, which is fine"
            yield fine("env files", f"{name}: {there}")


def _data(folder: Path, holder: str) -> CheckResult:
    if holder:
        return fine("data", f"a server works with it (process {holder}), which is no obstacle")
    return _writable("data", folder, f"{folder} can be written")


def _writable(subject: str, folder: Path, text: str) -> CheckResult:
    """The folder, or where it would be made."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK, effective_ids=True):
        return fine(subject, text)
    return fault(subject, f"{there} cannot be written", "run this as the server's user, or make it writable")


def _address(settings: Settings) -> CheckResult:
    try:
        asyncio.run(try_out(place_of(settings.address), **WORDS))
    except RunnerError as error:
        return fault("address", str(error))
    return fine("address", f"{settings.address} is free")
