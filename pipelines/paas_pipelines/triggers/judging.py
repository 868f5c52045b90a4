"""What a trigger makes of an event: a start with its values, or why not: it does not want it, or may not."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from paas_pipelines.access.people import mark_of_name
from paas_pipelines.definitions.automation import Trigger, TriggerType
from paas_pipelines.definitions.definition import Definition
from paas_pipelines.definitions.naming import OF_AN_EVENT
from paas_pipelines.definitions.scalars import quoted
from paas_pipelines.expressions.expression import ExpressionError, compiled
from paas_pipelines.triggers.containment import match, misfit
from paas_pipelines.triggers.event import Event
from paas_pipelines.triggers.trust import is_trusted

MOST_USER_LETTERS = 200
MOST_CHAIN = 16
"""So many runs may start one another."""


class RefusedError(Exception):
    """A trigger that would want the event, and cannot have it; the text says why."""


class UnwantedError(Exception):
    """A trigger that does not want the event; the text says which of its keys does not fit."""


@attrs.frozen(kw_only=True)
class Start:
    """A run that is wanted."""

    variables: Mapping[str, Any]
    user: str
    partition: str
    held: bool = False
    causes: tuple[str, ...] = ()
    """Marks of whoever has caused it: the sender of a signed delivery, and whom the file itself names."""


def full_name(pipeline: str, trigger: str) -> str:
    return f"{pipeline}/{trigger}"


def candidates(
    event: Event, definitions: Mapping[str, Definition]
) -> Iterator[tuple[Definition, list[Trigger]]]:
    """The triggers, by pipeline, that listen to where it came from."""
    for definition in definitions.values():
        found = [
            trigger
            for trigger in definition.triggers.values()
            if (event.only or full_name(definition.name, trigger.name))
            == full_name(definition.name, trigger.name)
            and _listens(trigger, definition.name, event)
        ]
        if found:
            yield definition, found


def judged(definition: Definition, trigger: Trigger, event: Event, payload: Any, *, paused: bool) -> Start:
    """Raises `UnwantedError`, `RefusedError`.

    What somebody has fired is wanted: neither its condition nor a pause is in the way.
    """
    name = full_name(definition.name, trigger.name)
    data = _seen(event, payload)
    if not event.only:
        _look_through(trigger, event, payload)
        _refuse(event, name, trigger, paused=paused)
        if trigger.condition is not None and not _holds(trigger.condition, data):
            raise UnwantedError("if: is false")
        if trigger.webhook is not None and trigger.webhook.dedupe is not None:
            _value("dedupe", trigger.webhook.dedupe, data)  # what has no such key may be a repetition
    held = _is_held(trigger, event, payload)
    if held and trigger.webhook is not None and trigger.webhook.drops_untrusted:
        raise RefusedError("dropped: untrusted")
    given = {key: _value(f'param "{key}"', source, data) for key, source in trigger.params_from.items()}
    return Start(
        variables={**trigger.params, **given},
        user=event.meta.get("fired_by") or _user(trigger, data) or f"trigger/{name}",
        partition=_text("partition", trigger.partition, data),
        held=held,
        causes=(*filter(None, (event.sender,)), *_named(trigger)),
    )


def dedupe_value(source: str, event: str, delivery: str, payload: Any) -> Any:
    """What makes a delivery a repetition; raises `RefusedError`."""
    return _value("dedupe", source, {"payload": payload, "event": {"type": event, "delivery": delivery}})


def _refuse(event: Event, name: str, trigger: Trigger, *, paused: bool) -> None:
    if not trigger.enabled:
        raise RefusedError("skipped: disabled")
    if paused:
        raise RefusedError("skipped: paused")
    if name in event.barred:
        raise RefusedError("skipped: its pipeline may not use the secret")
    if name in event.spent:
        raise RefusedError("skipped: duplicate")
    if int(event.meta.get("chain", 0)) > MOST_CHAIN:
        raise RefusedError(f"more than {MOST_CHAIN} runs that start one another")


def _listens(trigger: Trigger, pipeline: str, event: Event) -> bool:
    if event.only:
        return True
    if trigger.type is not event.identity.type:
        return False
    if trigger.webhook is not None:
        return trigger.webhook.path == event.identity.trigger
    if trigger.source is not None:
        return event.identity.trigger in trigger.source.pipelines
    return full_name(pipeline, trigger.name) == event.identity.trigger


def _look_through(trigger: Trigger, event: Event, payload: Any) -> None:
    """Raises `UnwantedError`."""
    if (hook := trigger.webhook) is not None:
        if hook.events:
            _look_for("events", event.meta.get("event", ""), hook.events)
        if hook.match is not None and not match(hook.match, payload):
            raise UnwantedError(f"match: {misfit(hook.match, payload) or 'the payload'} does not fit")
    elif trigger.source is not None:
        _look_for("results", event.meta.get("result", ""), trigger.source.results)


def _look_for(key: str, name: str, wanted: Sequence[str]) -> None:
    if name not in wanted:
        raise UnwantedError(f"{key}: {quoted(name) if name else 'nothing'} is not among {', '.join(wanted)}")


def _is_held(trigger: Trigger, event: Event, payload: Any) -> bool:
    if event.only or trigger.webhook is None:
        return event.meta.get("held") == "true"
    return not is_trusted(trigger.webhook.provider, event.meta.get("event", ""), payload)


def _seen(event: Event, payload: Any) -> Mapping[str, Any]:
    """The names of `OF_AN_EVENT`."""
    from_run = event.identity.type is TriggerType.PIPELINE
    about = {"type": event.meta.get("event", ""), "id": event.event_id, **event.meta}
    return {
        "payload": None if from_run else payload,
        "event": about,
        "source": payload if from_run and payload is not None else {},
    }


def _value(what: str, source: str, data: Mapping[str, Any]) -> Any:
    try:
        return compiled(source, OF_AN_EVENT).value(data)
    except ExpressionError as error:
        raise RefusedError(f"{what}: {error}") from None


def _holds(source: str, data: Mapping[str, Any]) -> bool:
    try:
        return compiled(source, OF_AN_EVENT).holds(data)
    except ExpressionError as error:
        raise RefusedError(f"if: {error}") from None


def _text(what: str, source: str | None, data: Mapping[str, Any]) -> str:
    if source is None:
        return ""
    value = _value(what, source, data)
    if not isinstance(value, str):
        raise RefusedError(f"{what}: must be a string")
    return value.encode(errors="replace").decode()


def _named(trigger: Trigger) -> tuple[str, ...]:
    """Whom the pipeline's file names as the one who starts it: a text, and nothing out of an event."""
    if trigger.user is None or compiled(trigger.user, OF_AN_EVENT).names:
        return ()
    return mark_of_name(_user(trigger, {}))


def _user(trigger: Trigger, data: Mapping[str, Any]) -> str:
    """A name that pages, terminals and the audit can show, whoever has chosen it."""
    found = _text("user", trigger.user, data)
    if len(found) > MOST_USER_LETTERS or not found.isprintable():
        raise RefusedError(f"user: must have at most {MOST_USER_LETTERS} characters, all printable")
    return found
