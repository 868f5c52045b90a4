"""The `[[runners]]` sections: our keys, those of the executor that is named, and those only handed on.

First each section for itself, key by key; then what contradicts between sections that are right by
themselves. A section with faults takes part in that as far as it could be read.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from paas_runner.addresses import listen_place
from paas_runner.config import dialect
from paas_runner.config.complaints import Findings
from paas_runner.config.lines import KeyPath, dotted
from paas_runner.config.reader import Reader, described
from paas_runner.config.runner import Runner
from paas_runner.config.secret_references import read_secrets_file
from paas_runner.config.spelling import spelled, with_spelled_tables
from paas_runner.executor.contract import ExecutorKind, scale_of
from paas_runner.job.known_runner import short_token
from paas_runner.job.lease import Mode
from paas_runner.plain_text import did_you_mean
from paas_runner.setting_types import SCALARS, UnfitError
from paas_runner.settings import keys_of

LOCAL = "local:"
"""A `url`: the pipelines server in whose process the section is served."""

SHORTEST_PAGE_TOKEN = 16
_ABOUT_THE_PAGE: Sequence[KeyPath] = (("listen_address",), ("paas_page_token",))
_NAMEABLE = re.compile(r"[A-Za-z0-9_.-]{4,}")
_KNOWN_KEYS = (
    keys_of(Runner)
    | dialect.ALIASES[Runner].keys()
    | dialect.OUTER_KEYS
    | dialect.FORWARDED_KEYS
    | dialect.WITHOUT_EFFECT
    | {dialect.SECRETS_FILE_KEY}
)

Executors = Mapping[str, Callable[[], ExecutorKind]]


@attrs.frozen(kw_only=True)
class Section:
    """One section as far as it could be read: the fields of `Runner` that are right."""

    at: KeyPath
    values: Mapping[str, Any]


def read_sections(document: Mapping[str, Any], reader: Reader, executors: Executors) -> list[Section]:
    """Read all of `[[runners]]`, of which there must be one at least."""
    tables = document.get("runners", [])
    expected = "at least one [[runners]] section"
    if not isinstance(tables, list):
        reader.findings.wrong(("runners",), described(tables, quote=False), expected=expected)
        return []
    if not tables:
        reader.findings.wrong(("runners",), "nothing", expected=expected)
    sections = []
    for index, table in enumerate(tables):
        at: KeyPath = ("runners", index)
        if isinstance(table, dict):
            sections.append(_read_section(table, at, reader, executors))
        else:
            reader.findings.wrong(at, described(table, quote=False), expected="a table")
    return sections


def with_secrets_file(table: Mapping[str, Any], at: KeyPath, reader: Reader) -> Reader:
    """A reader for the secrets of `table`: those of its own `secrets_file`, if it names one."""
    raw = table.get(dialect.SECRETS_FILE_KEY)
    if raw is None:
        return reader
    at = (*at, dialect.SECRETS_FILE_KEY)
    try:
        path = SCALARS[Path].read(raw, reader.around)
    except UnfitError:
        reader.findings.wrong(at, described(raw, quote=True), expected=SCALARS[Path].expects)
        return reader
    file = read_secrets_file(path)
    if file.fault:
        reader.findings.wrong(at, file.fault)
    return attrs.evolve(reader, around=attrs.evolve(reader.around, secrets_file=file))


def check_tables(table: Mapping[str, Any], at: KeyPath, names: frozenset[str], reader: Reader) -> None:
    """Note what is a table for GitLab Runner and none here; what is in its tables is its own business."""
    for key in sorted(names & table.keys()):
        if not isinstance(table[key], dict):
            reader.findings.wrong((*at, key), described(table[key], quote=False), expected="a table")


def note_what_is_in_vain(table: Mapping[str, Any], at: KeyPath, owner: type[Any], reader: Reader) -> None:
    """Warn of each key that has no effect and asks for one; as GitLab Runner writes them, they do not."""
    for key, instead in dialect.ASKED_IN_VAIN[owner].items():
        value = table.get(key)
        asked = value.get("listen_address") if isinstance(value, dict) else value
        usual = dialect.AS_GITLAB_RUNNER_WRITES_THEM.get(key)
        if asked and (asked is True or asked != usual):
            reader.findings.warn((*at, key), "has no effect", hint=instead)


def _read_section(table: Mapping[str, Any], at: KeyPath, reader: Reader, executors: Executors) -> Section:
    table = with_spelled_tables(spelled(table, at, _KNOWN_KEYS, reader.findings), at, reader.findings)
    table = dialect.without_unset(table)
    reader = with_secrets_file(table, at, reader)
    if table.get("url") == LOCAL:
        table = {**table, "url": _local_url(at, reader)}
    values = reader.values(Runner, table, at)
    check_tables(table, at, dialect.RUNNER_TABLES, reader)
    note_what_is_in_vain(table, at, Runner, reader)
    audit = values.get("paas_acquisition_audit")
    if audit and audit.cancel_token and not audit.token:
        place = (*at, "paas_acquisition_audit", "cancel_token")
        reader.findings.warn(place, "has no effect without `token`", hint="it may be the same one")
    if (name := values.get("executor")) is not None:
        values["settings"] = reader.plugin(table, at, executors, key="executor", name=name, known=_KNOWN_KEYS)
    own = keys_of(type(values["settings"])) if values.get("settings") else frozenset()
    for key in sorted(dialect.WITHOUT_EFFECT & table.keys() - own):
        reader.findings.warn((*at, key), "has no effect")
    values["forwarded"] = {key: table[key] for key in table if key in dialect.FORWARDED_KEYS}
    return Section(at=at, values=values)


def _local_url(at: KeyPath, reader: Reader) -> str:
    """What stands in its place; where that is nothing it is said here, and no more of it."""
    if reader.around.local_url is None:
        hint = "give this file to it: `paas-pipelines --runners FILE`, with `--external-url`"
        reader.findings.wrong((*at, "url"), "`local:`, which only a pipelines server can serve", hint=hint)
    return reader.around.local_url or "http://localhost"


def find_contradictions(
    values: Mapping[str, Any], sections: Sequence[Section], findings: Findings, executors: Executors
) -> None:
    """Note every contradiction; what could not be read contradicts nothing."""
    _same_tokens(sections, findings)
    _page(values, findings)
    _store(values, findings)
    if values.get("quota_computation"):
        _reference_runner(values["quota_computation"].reference_runner, sections, findings)
        _weights_that_differ(sections, findings, executors)


def _same_tokens(sections: Sequence[Section], findings: Findings) -> None:
    by_token: dict[str, KeyPath] = {}
    by_short_token: dict[str, KeyPath] = {}
    for section in sections:
        secret = section.values.get("token")
        if secret is None:
            continue
        token = secret.reveal()
        at = (*section.at, "token")
        short = short_token(token)
        if not _NAMEABLE.fullmatch(short):
            findings.wrong(at, "no runner token", hint="copy all of it: hosts are named after its start")
        elif token in by_token:
            findings.wrong(at, f"the same token as {dotted(by_token[token])}", hint="register another runner")
        elif short in by_short_token:
            findings.wrong(
                at,
                f"the same short token as {dotted(by_short_token[short])}",
                hint="hosts are named after it: register another runner",
            )
        by_token.setdefault(token, at)
        by_short_token.setdefault(short, at)


def _page(values: Mapping[str, Any], findings: Findings) -> None:
    """The page shows what a service does to whoever comes through to it."""
    token = values.get("paas_page_token")
    if token and len(token.reveal()) < SHORTEST_PAGE_TOKEN:
        hint = "make one with: openssl rand -hex 24"
        findings.wrong(
            ("paas_page_token",),
            f"shorter than {SHORTEST_PAGE_TOKEN} characters, which can be guessed",
            hint=hint,
        )
    for key, needed in (("paas_page_token", "paas_page"), ("paas_metrics_exemplars", "listen_address")):
        if values.get(key) and not values.get(needed):
            findings.warn((key,), f"has no effect without `{needed}`")
    if not values.get("paas_page") or any(fault.at in _ABOUT_THE_PAGE for fault in findings.faults):
        return
    if not (address := values.get("listen_address")):
        findings.wrong(
            ("paas_page",),
            "true, but there is no `listen_address`",
            hint='listen_address = "127.0.0.1:9252" say',
        )
    elif not (token or (place := listen_place(address)).on_loopback or place.path):
        findings.wrong(
            ("paas_page",),
            f"true, so that everybody who reaches {address} could see all jobs, hosts and costs",
            hint="set `paas_page_token`, or listen on 127.0.0.1 or unix:/path",
        )


def _store(values: Mapping[str, Any], findings: Findings) -> None:
    """What concerns a store that several processes share is for such a store alone."""
    store, password = values.get("state_store"), values.get("state_store_password")
    if store and store.passwords and password:
        findings.wrong(("state_store_password",), "there is one in `state_store`, too; keep one")
    if store or any(fault.at == ("state_store",) for fault in findings.faults):
        return
    for key in ("state_store_password", "state_store_mode", "state_store_member"):
        if values.get(key) not in (None, "", Mode.STANDBY):
            findings.warn((key,), "has no effect without `state_store`")


def _reference_runner(name: str, sections: Sequence[Section], findings: Findings) -> None:
    named = [section.at for section in sections if section.values.get("name") == name]
    if not named:
        known = sorted(filter(None, (section.values.get("name") for section in sections)))
        findings.wrong(
            ("quota_computation", "reference_runner"),
            "another",
            expected=f"the name of a configured runner ({', '.join(known)})",
            hint=did_you_mean(name, known),
        )
    for at in named[1:]:
        findings.wrong(
            (*at, "name"),
            f"the same name as {dotted(named[0])}, which quota_computation.reference_runner names",
        )


def _weights_that_differ(sections: Sequence[Section], findings: Findings, executors: Executors) -> None:
    """One quota adds up what all hosts weigh (core-features.md H128)."""
    scales: dict[str, list[str]] = {}
    for name in dict.fromkeys(
        each.values["executor"] for each in sections if each.values.get("settings") is not None
    ):
        scales.setdefault(scale_of(executors[name](), name), []).append(name)
    if len(scales) > 1:
        apart = " and ".join(", ".join(names) for names in scales.values())
        findings.warn(
            ("quota_computation",),
            f"adds up weights that cannot be compared, those of hosts of {apart}",
            hint="give each of them a service, and a quota, of its own",
        )
