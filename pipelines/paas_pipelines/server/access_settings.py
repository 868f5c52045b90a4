"""`[[pipelines.access]]`: statements as they are written, and all that is wrong with them."""

import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

from paas_pipelines.access.resources import pattern_of
from paas_pipelines.access.statements import METHODS, ROLES, Effect, Statement, matching
from paas_runner.config.complaints import Findings
from paas_runner.config.lines import KeyPath, dotted
from paas_runner.config.reader import described
from paas_runner.plain_text import did_you_mean

_KNOWN = ("identity", "role", "method", "resource", "effect")


def read_statements(raw: Any, at: KeyPath, findings: Findings) -> tuple[Statement, ...]:
    """Those that are right; what is wrong with others is noted."""
    if not isinstance(raw, list):
        findings.wrong(at, described(raw, quote=False), expected="[[pipelines.access]] sections")
        return ()
    return tuple(
        statement
        for index, table in enumerate(raw)
        if (statement := _statement(table, (*at, index), findings)) is not None
    )


def _statement(table: Any, at: KeyPath, findings: Findings) -> Statement | None:
    if not isinstance(table, dict):
        findings.wrong(at, described(table, quote=False), expected="a table")
        return None
    before = len(findings.faults)
    for key in table:
        if key not in _KNOWN:
            findings.wrong((*at, key), "unknown key", hint=did_you_mean(key, _KNOWN))
    identities = _texts(table, "identity", at, findings, _identity)
    resources = _texts(table, "resource", at, findings, pattern_of)
    role = table.get("role", "")
    methods: tuple[str, ...] = ()
    if "role" in table and "method" in table:
        findings.wrong((*at, "role"), "there is a `method`, too: a statement has one of both")
    elif "role" in table:
        if not isinstance(role, str) or role not in ROLES:
            hint = did_you_mean(role, ROLES) if isinstance(role, str) else ""
            found = described(role, quote=True)
            findings.wrong((*at, "role"), found, expected=f"one of {', '.join(ROLES)}", hint=hint)
    else:
        methods = _texts(table, "method", at, findings, _method)
    effect = table.get("effect", Effect.ALLOW)
    if effect not in tuple(Effect):
        findings.wrong((*at, "effect"), described(effect, quote=True), expected="Allow or Deny")
    if len(findings.faults) > before:
        return None
    return Statement(
        identity=identities,
        role=role,
        method=methods,
        resource=resources,
        effect=Effect(effect),
        place=dotted(at),
    )


def _texts(
    table: Mapping[str, Any], key: str, at: KeyPath, findings: Findings, read: Callable[[str], str]
) -> tuple[str, ...]:
    """A text or a list of them, each as it is compared with."""
    raw = table.get(key)
    texts = [raw] if isinstance(raw, str) else raw
    if not isinstance(texts, list) or not texts or not all(isinstance(each, str) and each for each in texts):
        found = "nothing" if raw is None else described(raw, quote=False)
        findings.wrong((*at, key), found, expected="a list of texts")
        return ()
    found_texts = []
    for each in texts:
        try:
            found_texts.append(read(each))
        except ValueError as error:
            findings.wrong((*at, key), str(error))
    return tuple(found_texts)


def _identity(text: str) -> str:
    if text.endswith("/") or text.startswith("/") or text == "group:":
        raise ValueError(f'"{text}" is nobody: name, domain/name, group:name or pipeline/name')
    return unicodedata.normalize("NFC", text)


def _method(text: str) -> str:
    if not any(matching(text, each) for each in METHODS):
        near = did_you_mean(text, METHODS)
        raise ValueError(f'"{text}" is no method: {", ".join(sorted(METHODS))}' + (near and f"; {near}"))
    return text
