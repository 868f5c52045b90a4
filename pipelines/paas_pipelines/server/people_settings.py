"""`[pipelines.people]`: which identities are one person's, and all that is wrong with that."""

import unicodedata
from collections.abc import Collection
from typing import Any

from paas_pipelines.access.identity import RESERVED_DOMAINS
from paas_pipelines.access.people import HOOK, People, mark_of_name, mark_of_sender
from paas_pipelines.access.statements import GROUP
from paas_runner.config.complaints import Findings
from paas_runner.config.lines import KeyPath, dotted
from paas_runner.config.reader import described
from paas_runner.plain_text import did_you_mean

_EXPECTED = "a list of identities: name, domain/name or hook:CREDENTIAL/NAME"


def read_people(raw: Any, at: KeyPath, domains: Collection[str], findings: Findings) -> People:
    """Those that are right; what is wrong with others is noted. `domains` are those of log-in and tokens."""
    if not isinstance(raw, dict):
        findings.wrong(at, described(raw, quote=False), expected="a list of identities for each person")
        return People()
    persons: dict[str, str] = {}
    places: dict[str, KeyPath] = {}
    for person, texts in raw.items():
        if not isinstance(texts, list) or not texts or not all(isinstance(each, str) for each in texts):
            findings.wrong((*at, person), described(texts, quote=False), expected=_EXPECTED)
            continue
        for index, text in enumerate(texts):
            here = (*at, person, index)
            try:
                mark = _mark(text)
            except ValueError as error:
                findings.wrong(here, f'"{text}" {error}', expected=_EXPECTED)
                continue
            if mark in persons:
                findings.wrong(here, f'"{text}" is there already, as {dotted(places[mark])}')
            persons[mark], places[mark] = person, here
            if doubt := _doubt(text, domains):
                findings.warn(here, doubt)
    return People(persons)


def _mark(text: str) -> str:
    """Raises ValueError."""
    text = unicodedata.normalize("NFC", text)
    if not text.isprintable():
        raise ValueError("has letters that nobody sees")
    if "*" in text or "?" in text:
        raise ValueError("is a pattern: each identity is named by itself")
    if text.startswith(HOOK):
        credential, slash, name = text.removeprefix(HOOK).partition("/")
        if not (credential and slash and name):
            raise ValueError("names no sender")
        return mark_of_sender(credential, name)
    domain, slash, name = text.partition("/")
    if text.startswith(GROUP) or (slash and domain in RESERVED_DOMAINS):
        raise ValueError("is no person")
    if not domain or (slash and not name):
        raise ValueError("is nobody")
    return mark_of_name(text)[0]


def _doubt(text: str, domains: Collection[str]) -> str:
    """Why nobody can ever be it; empty where somebody can."""
    domain, slash, _ = text.partition("/")
    domain = domain if slash else ""
    if text.startswith(HOOK) or domain in domains:
        return ""
    known = ", ".join(f"{each}/…" if each else "names without a domain" for each in sorted(domains))
    hint = did_you_mean(domain, domains) if domain else ""
    return f'nobody can be "{text}": there are {known}' + (f"; {hint}" if hint else "")
