"""What `paas-runner pipelines check` finds: everything that is wrong at once; nothing is changed."""

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from paas_pipelines.definitions.decoding import KeyPath
from paas_pipelines.definitions.definition import Definition
from paas_pipelines.definitions.dotenv import DotenvError, read_dotenv
from paas_pipelines.definitions.loading import Examined, examine
from paas_pipelines.definitions.reading import DefinitionsError
from paas_pipelines.server.dynamic_config import SecretError, secret_of
from paas_pipelines.server.listening import WORDS, place_of
from paas_pipelines.server.settings import Settings
from paas_pipelines.store.disk import FILE
from paas_pipelines.tasks.script import mistakes
from paas_runner.check.machine import holder_of
from paas_runner.errors import RunnerError
from paas_runner.executor.checks import CheckResult, fault, fine, skipped, warning
from paas_runner.web.listening import try_out


def results(settings: Settings) -> Sequence[CheckResult]:
    """In the order in which a server would meet them."""
    holder = holder_of(settings.data / FILE)
    return [
        *_definitions(settings),
        _secret(settings),
        *_env_files(settings),
        _data(settings.data, holder),
        skipped("address", "not tried: a server runs") if holder else _address(settings),
    ]


def _definitions(settings: Settings) -> Iterator[CheckResult]:
    try:
        found = examine(settings.path, settings.pattern)
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
    if far and not settings.external_url:
        yield warning(
            "external_url",
            f"hosts elsewhere cannot report to this server, and these tasks run there: {', '.join(far)}",
            "give --external-url; runners on this machine need none",
        )
    if settings.runners:
        from paas_pipelines.server.local_runners import complaints

        found = complaints(settings)
        yield from (fault("runners", text) for text in found)
        if not found:
            yield fine("runners", f"{settings.runners} can be served")


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
