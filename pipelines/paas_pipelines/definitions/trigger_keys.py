"""Triggers as a file declares them: deliveries, moments, ends of other pipelines (spec automation.md §2)."""

import enum
import re
import zoneinfo
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from paas_pipelines.definitions import keys
from paas_pipelines.definitions.automation import (
    CatchUp,
    Overlap,
    PipelineSource,
    Schedule,
    Trigger,
    TriggerType,
    Webhook,
)
from paas_pipelines.definitions.decoding import (
    Decoder,
    KeyPath,
    LackingError,
    MistakenError,
    Nodes,
    NotAllowedError,
    Read,
)
from paas_pipelines.definitions.scalars import quoted
from paas_pipelines.expressions.extra import MissingExtraError, extra

_SHORTHANDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIELDS = 5
_PATH = re.compile(r"[A-Za-z0-9_.~/-]{1,200}")
_SHORTEST = timedelta(seconds=1)
"""Between two moments of a schedule: what comes more often would keep a server from everything else."""

_SOME_TIME = datetime(2024, 1, 1)  # noqa: DTZ001 - only to have the expression read


class Provider(enum.StrEnum):
    """Whose deliveries they are."""

    GITHUB = "github"
    GITLAB = "gitlab"
    STANDARD = "standard"
    TOKEN = "token"  # noqa: S105 - a word of the file


class Untrusted(enum.StrEnum):
    """What becomes of what strangers can cause."""

    HOLD = "hold"
    DROP = "drop"


class Result(enum.StrEnum):
    """How a run has ended."""

    SUCCESS = "success"
    FAILED = "failed"
    CANCELED = "canceled"


def trigger(decoder: Decoder, nodes: Nodes, at: KeyPath) -> Trigger:
    """Raises `MistakenError`."""
    found: dict[str, Any] = keys.mapping(_ALL)(decoder, nodes, at)
    kind = _type(found)
    for key in found:
        if key not in _COMMON and key not in _OF_A_TYPE[kind]:
            raise NotAllowedError(key, f"{key} is not allowed with type {kind}")
    return Trigger(
        name=at[-1],
        type=kind,
        webhook=_webhook(found, at) if kind is TriggerType.WEBHOOK else None,
        schedule=_schedule(found) if kind is TriggerType.SCHEDULE else None,
        source=_source(found) if kind is TriggerType.PIPELINE else None,
        enabled=found.get("enabled", True),
        condition=found.get("if"),
        params=found.get("params", {}),
        params_from=found.get("params_from", {}),
        partition=found.get("partition"),
        user=found.get("user"),
    )


def _type(found: Mapping[str, Any]) -> TriggerType:
    if "type" in found:
        kind: TriggerType = found["type"]
        return kind
    for kind, telling in _TELLING.items():
        if any(key in found for key in telling):
            return kind
    raise LackingError("type cannot be inferred")


def _webhook(found: Mapping[str, Any], at: KeyPath) -> Webhook:
    for key in ("secret", "provider"):
        if key not in found:
            raise LackingError(f"webhook needs a {key}")
    path: str = found.get("path", f"{at[0]}/{at[-1]}")
    if "path" in found and not _PATH.fullmatch(path):
        raise MistakenError("path must have letters, digits and _ . ~ / - only")
    return Webhook(
        provider=found["provider"].value,
        secret=found["secret"],
        path=path.strip("/"),
        events=found.get("events", ()),
        match=found.get("match"),
        dedupe=found.get("dedupe"),
        drops_untrusted=found.get("untrusted") is Untrusted.DROP,
    )


def _schedule(found: Mapping[str, Any]) -> Schedule:
    if "cron" in found and "every" in found:
        raise MistakenError("use either cron or every")
    if "cron" not in found and "every" not in found:
        raise LackingError("schedule needs cron or every")
    if found.get("every", _SHORTEST) < _SHORTEST:
        raise MistakenError("every must be at least 1s")
    timezone: str = found.get("timezone", "UTC")
    if timezone != "UTC":
        try:
            zoneinfo.ZoneInfo(timezone)
        except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
            raise MistakenError(f"unknown time zone {quoted(timezone)}") from None
    known = ("catch_up", "catch_up_window", "overlap", "jitter", "every")
    return Schedule(
        cron=_cron(found["cron"]) if "cron" in found else None,
        timezone=timezone,
        **{key: found[key] for key in known if key in found},
    )


def _cron(written: str) -> str:
    """Five fields, also of the shorthands."""
    expression = _SHORTHANDS.get(written, written)
    if len(expression.split()) != _FIELDS:
        raise MistakenError(f"cron must have five fields, or be one of {', '.join(_SHORTHANDS)}")
    try:
        cronsim = extra("cronsim", "cron")
    except MissingExtraError as error:
        raise MistakenError(str(error)) from None
    try:
        next(cronsim.CronSim(expression, _SOME_TIME))
    except StopIteration:
        raise MistakenError(f"cron {quoted(written)} never comes") from None
    except cronsim.CronSimError as error:
        raise MistakenError(f"cron {quoted(written)} cannot be understood: {error}") from None
    return expression


def _source(found: Mapping[str, Any]) -> PipelineSource:
    if not found.get("pipeline"):
        raise LackingError("pipeline is missing")
    if "results" not in found:
        return PipelineSource(pipelines=found["pipeline"])
    return PipelineSource(pipelines=found["pipeline"], results=found["results"])


def _results(decoder: Decoder, nodes: Nodes, at: KeyPath) -> tuple[str, ...]:
    found: tuple[str, ...] = keys.ONE_OR_TEXTS(decoder, nodes, at)
    if not found or not set(found) <= set(Result):
        raise MistakenError(f"results must be of {', '.join(Result)}")
    return found


_COMMON: Mapping[str, Read] = {
    "type": keys.choice(TriggerType),
    "enabled": keys.BOOLEAN,
    "if": keys.EXPRESSION,
    "params": keys.VALUES,
    "params_from": keys.EXPRESSIONS,
    "partition": keys.EXPRESSION,
    "user": keys.EXPRESSION,
}
_OF_A_TYPE: Mapping[TriggerType, Mapping[str, Read]] = {
    TriggerType.WEBHOOK: {
        "provider": keys.choice(Provider),
        "secret": keys.from_credential,
        "path": keys.NAME,
        "events": keys.ONE_OR_TEXTS,
        "match": keys.PLAIN,
        "dedupe": keys.EXPRESSION,
        "untrusted": keys.choice(Untrusted),
    },
    TriggerType.SCHEDULE: {
        "cron": keys.NAME,
        "every": keys.POSITIVE,
        "timezone": keys.NAME,
        "catch_up": keys.choice(CatchUp),
        "catch_up_window": keys.DURATION,
        "overlap": keys.choice(Overlap),
        "jitter": keys.DURATION,
    },
    TriggerType.PIPELINE: {"pipeline": keys.ONE_OR_TEXTS, "results": _results},
}
_TELLING: Mapping[TriggerType, tuple[str, ...]] = {
    TriggerType.WEBHOOK: ("provider", "secret", "path", "events"),
    TriggerType.SCHEDULE: ("cron", "every"),
    TriggerType.PIPELINE: ("pipeline",),
}
_ALL: Mapping[str, Read] = {
    **_COMMON,
    **{key: read for known in _OF_A_TYPE.values() for key, read in known.items()},
}
