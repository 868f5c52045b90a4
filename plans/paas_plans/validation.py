"""What a plan has to be for submission and start: all that is wrong is told at once, with its place."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, get_args, get_origin
from uuid import UUID

import attrs

from paas_plans import plan as parts
from paas_plans.errors import PlanRefusedError, PlansError
from paas_plans.ids import fresh_id
from paas_plans.plan import CHILDREN, OF_THE_ENGINE, Action, Checks, Path, Plan, State, path_words
from paas_plans.registry import Registry
from paas_plans.secret import HIDDEN, said, secret_texts
from paas_plans.values import decode, encode, hints_of, misfits
from paas_plans.walk import walk

SHORTEST_TIMEOUT = timedelta(seconds=5)

_MENDED: Mapping[str, Callable[[Any], Any]] = {
    "timeout": lambda timeout: timeout or parts.DEFAULT_TIMEOUT,
    "retries": lambda retries: max(retries, 0),
    "concurrency": lambda concurrency: max(concurrency, 1),
}
_NOT_BLANK = (str.strip, "is blank")
_NOT_NEGATIVE = (lambda delay: delay >= timedelta(0), "is below zero")
_RULES: Mapping[str, tuple[Callable[[Any], Any], str]] = {
    "name": _NOT_BLANK,
    "description": _NOT_BLANK,
    "timeout": (lambda timeout: timeout >= SHORTEST_TIMEOUT, "is below five seconds: 0 is the usual 30"),
    "delay": _NOT_NEGATIVE,
    "entrance_delay": _NOT_NEGATIVE,
    "exit_delay": _NOT_NEGATIVE,
    "tolerated_failures": (lambda number: number >= parts.UNLIMITED, "is below -1, which is any number"),
    "key": (
        lambda key: key == parts.NIL or key.version == 7,
        "is no UUID of version 7: make it with paas_plans.fresh_id()",
    ),
}


def ready_to_submit(plan: Plan, registry: Registry, now: datetime) -> Plan:
    """As it is to be stored, with requests completed and ids given; raises `PlanRefusedError`."""
    if getattr(plan, "submitted", None) and plan.id != parts.NIL:
        raise PlanRefusedError(plan.name, ["plan was submitted before: submit a clone of it"])
    submission = _Submission(registry=registry, milliseconds=int(now.timestamp() * 1000))
    ready: Plan = submission.ready(plan, Plan, ())
    if submission.complaints:
        raise PlanRefusedError(getattr(plan, "name", ""), submission.complaints)
    return attrs.evolve(ready, submitted=now)


def complaints_of_start(plan: Plan, registry: Registry) -> list[str]:
    """What keeps a plan that has been submitted from being started."""
    told = []
    for step in walk(plan):
        place, began = path_words(step.path), step.item.state != State()
        if isinstance(step.item, Action):
            began = began or bool(step.item.attempts)
            if registry.find(step.item.plugin) is None:
                told.append(f"{place} {_unknown(step.item.plugin, registry)}")
        if began or (step.item is plan and plan.reason is not parts.Reason.UNKNOWN):
            told.append(f"{place} has run before: submit a clone of the plan")
    return told


def _unknown(plugin: str, registry: Registry) -> str:
    return f"calls the plugin {plugin!r}, which is not registered: {', '.join(registry.names) or 'none'} are"


@attrs.define
class _Submission:
    registry: Registry
    milliseconds: int
    complaints: list[str] = attrs.Factory(list)
    keys: dict[UUID, Path] = attrs.Factory(dict)

    def ready(self, item: Any, kind: Any, path: Path, *, in_checks: bool = False) -> Any:
        """The object as it is to be stored; anything, if there are complaints."""
        hints = hints_of(kind)
        if type(item) is not kind:
            self._refuse(path, f"is of the type {type(item).__name__}, not {kind.__name__}")
            return item
        changes: dict[str, Any] = {"id": fresh_id(self.milliseconds)}
        for field in attrs.fields(kind):
            name, value, inner = field.name, getattr(item, field.name), (*path, field.name)
            if name == "request":
                changes[name] = self._request(item, path, in_checks=in_checks)
            elif value is field.default:
                continue
            elif name in CHILDREN[kind]:
                changes[name] = self._parts(value, hints[name], inner, in_checks=kind is Checks)
            elif name in OF_THE_ENGINE:
                if value != field.default:
                    self._refuse(inner, "is for the engine to set: submit a clone of the plan")
            elif wrong := misfits(value, hints[name]):
                self._refuse(inner, wrong[0].removeprefix("it "))
            else:
                changes[name] = self._plain(name, value, inner)
        return attrs.evolve(item, **changes)

    def _parts(self, value: Any, hint: Any, path: Path, *, in_checks: bool) -> Any:
        kind = get_args(hint)[0]
        if get_origin(hint) is not tuple:
            return self.ready(value, kind, path)
        if not isinstance(value, tuple) or not value:
            self._refuse(path, f"has to be a list of at least one {kind.__name__}")
            return value
        return tuple(self.ready(item, kind, (*path, i), in_checks=in_checks) for i, item in enumerate(value))

    def _plain(self, name: str, value: Any, path: Path) -> Any:
        mended = _MENDED[name](value) if name in _MENDED else value
        holds, otherwise = _RULES.get(name, (lambda _: True, ""))
        if not holds(mended):
            self._refuse(path, otherwise)
        elif isinstance(mended, timedelta) and mended > parts.LONGEST:
            self._refuse(path, "is above a hundred years")
        elif name == "key" and value != parts.NIL and self.keys.setdefault(value, path) is not path:
            self._refuse(path, f"is that of {path_words(self.keys[value][:-1])}, too")
        return mended

    def _request(self, action: Action, path: Path, *, in_checks: bool) -> Any:
        request, plugin = action.request, self.registry.find(str(action.plugin))
        if plugin is None:
            self._refuse(path, _unknown(action.plugin, self.registry))
            return request
        if in_checks and not plugin.is_check:
            self._refuse(path, f"is a check, and {action.plugin} is no plugin for checks")
        if plugin.is_check and not in_checks:
            self._refuse(path, f"is no check, and {action.plugin} is a plugin for checks alone")
        try:
            if callable(complete := getattr(request, "defaults", None)):
                request = complete() or request  # what completes itself in place may return nothing
            if wrong := misfits(request, plugin.request_type):
                self._refuse((*path, "request"), ", ".join(wrong).removeprefix("it "))
            elif HIDDEN in secret_texts(request):
                self._refuse(
                    (*path, "request"), "had its secrets struck out: clone it with keep_secrets=True"
                )
            else:
                decode(encode(request, cipher=None), plugin.request_type, cipher=None)  # as when it starts
                plugin.validate(request)
        except Exception as error:  # noqa: BLE001 - a plugin raises what it likes
            kind = "" if isinstance(error, ValueError | PlansError) else f"{type(error).__name__}: "
            self._refuse((*path, "request"), f"is refused by {action.plugin}: {kind}{said(error, request)}")
        return request

    def _refuse(self, path: Path, text: str) -> None:
        self.complaints.append(f"{path_words(path)} {text}")
