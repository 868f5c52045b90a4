"""What is right key by key, and wrong between sections."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from paas_runner.config.complaints import Findings
from paas_runner.config.lines import KeyPath, dotted
from paas_runner.config.reader import did_you_mean
from paas_runner.config.sections import Section
from paas_runner.job.runner_token import short_token

_NAMEABLE = re.compile(r"[A-Za-z0-9_.-]{4,}")


def find_contradictions(values: Mapping[str, Any], sections: Sequence[Section], findings: Findings) -> None:
    """Note every contradiction; what could not be read contradicts nothing."""
    _same_tokens(sections, findings)
    if values.get("quota_computation"):
        _reference_runner(values["quota_computation"].reference_runner, sections, findings)


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
