"""What a definition says of triggers, approvals, executors and more: frozen values (spec automation.md)."""

import enum
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import attrs

from paas_pipelines.definitions.parameter import Parameter, ParameterKind

_NONE: Mapping[str, Any] = MappingProxyType({})
_NO_TEXTS: Mapping[str, str] = MappingProxyType({})


class TaskType(enum.StrEnum):
    """What a task is."""

    RUN = "run"
    APPROVAL = "approval"
    CALL = "call"
    MATCH = "match"
    COMPARE = "compare"
    MESSAGE = "message"
    END = "end"
    PLUGIN = "plugin"  # the type itself is that of its `PluginUse`


class Outcome(enum.StrEnum):
    """What the end of a task means for its run."""

    CONTINUE = "continue"  # it counts as done
    SUCCEED = "succeed"  # nothing more starts, what runs ends, and the run has succeeded
    FAIL = "fail"


class End(enum.StrEnum):
    """How a task of that type ends its run."""

    SUCCESS = "success"
    FAILURE = "failure"


class OnDeadline(enum.StrEnum):
    """What counts when nobody has decided in time."""

    REJECT = "reject"
    APPROVE = "approve"


class Slot(enum.StrEnum):
    """What becomes of a run's slot while it is blocked."""

    HOLD = "hold"
    RELEASE = "release"
    YIELD = "yield"  # a newer run of the partition cancels it


@attrs.frozen(kw_only=True)
class Approval:
    """A task that waits for people (§6)."""

    text: str = ""
    """A template."""

    approvers: tuple[str, ...] = ()
    """Identities and `group:G` to whom the right is narrowed; empty: all who have it."""

    count: int = 1
    four_eyes: bool = False
    deadline: timedelta = timedelta(days=30)
    on_deadline: OnDeadline = OnDeadline.REJECT
    reason_required: bool = False
    params: tuple[Parameter, ...] = ()
    """The form of whoever approves; the values are the task's outputs."""

    slot: Slot = Slot.HOLD


@attrs.frozen(kw_only=True)
class Call:
    """A task that is a run of another pipeline."""

    pipeline: str
    params: Mapping[str, Any] = _NONE
    params_from: Mapping[str, str] = _NO_TEXTS
    """Expressions."""

    wait: bool = True


@attrs.frozen(kw_only=True)
class Match:
    """A task that looks for a pattern (RE2) in a text, which an expression gives."""

    text: str
    pattern: str


@attrs.frozen(kw_only=True)
class Message:
    """A task that tells somebody."""

    to: str
    channel: str = ""
    text: str = ""
    """A template over params and outputs."""


@attrs.frozen(kw_only=True)
class PluginUse:
    """A task of a type that is not built in."""

    name: str
    settings: Mapping[str, Any] = _NONE
    """As JSON, checked when the file was read; secrets are `FromCredential` as a mapping."""


@attrs.frozen(kw_only=True)
class FromCredential:
    """A value that a credential has."""

    name: str
    field: str = ""
    """Where the credential has several."""

    as_file: bool = False
    """Whether the variable has the path of a file with the value."""


@attrs.frozen(kw_only=True)
class OutputDefinition:
    """A value that a task tells those after it."""

    kind: ParameterKind = ParameterKind.STRING
    default: Any = None
    has_default: bool = False


@attrs.frozen(kw_only=True)
class Checkout:
    """The sources that a job elsewhere has."""

    url: str
    ref: str = ""
    ref_from: str = ""
    """An expression, instead of `ref`."""

    credential: str = ""
    depth: int = 20


@attrs.frozen(kw_only=True)
class EngineHook:
    """What runs before or after the work of an executor."""

    script: tuple[str, ...] = ()
    executor: str = "shell"
    """Its name, or a type."""

    type: str = "shell"
    settings: Mapping[str, Any] = _NONE
    """Those of that executor."""

    env: Mapping[str, str] = _NO_TEXTS


class Scope(enum.StrEnum):
    """For what an executor is set up and torn down."""

    TASK = "task"
    RUN = "run"


@attrs.frozen(kw_only=True)
class ExecutorDefinition:
    """Where and how tasks run (§7)."""

    type: str = "shell"
    name: str = ""
    """Under `executors`; empty for one that is written in its place."""

    settings: Mapping[str, Any] = _NONE
    """The keys of its type, checked when the file was read; values may be `FromCredential` as a mapping."""

    env: Mapping[str, str] = _NO_TEXTS
    secrets: Mapping[str, FromCredential] = attrs.field(factory=dict)
    setup: EngineHook | None = None
    teardown: EngineHook | None = None
    scope: Scope = Scope.TASK


@attrs.frozen(kw_only=True)
class Notify:
    """Who is told when a run gets so far."""

    to: str
    at: str
    """blocked, failed, succeeded or canceled."""


class TriggerType(enum.StrEnum):
    """By what a run is started without anybody."""

    WEBHOOK = "webhook"
    SCHEDULE = "schedule"
    PIPELINE = "pipeline"


@attrs.frozen(kw_only=True)
class Webhook:
    """A delivery of another system."""

    provider: str
    secret: FromCredential
    path: str
    events: tuple[str, ...] = ()
    match: Any = None
    """What the payload must contain, at every depth."""

    dedupe: str | None = None
    """An expression."""

    drops_untrusted: bool = False
    """Else an untrusted one waits for an approval."""


class CatchUp(enum.StrEnum):
    """What becomes of the times that were missed."""

    LAST = "last"
    NONE = "none"
    ALL = "all"


class Overlap(enum.StrEnum):
    """What becomes of a start while a run of the same trigger is not over."""

    SKIP = "skip"
    QUEUE = "queue"
    REPLACE = "replace"


@attrs.frozen(kw_only=True)
class Schedule:
    """Moments: of `cron`, or `every` so often on a grid from the epoch."""

    cron: str | None = None
    every: timedelta | None = None
    timezone: str = "UTC"
    catch_up: CatchUp = CatchUp.LAST
    catch_up_window: timedelta = timedelta(hours=1)
    overlap: Overlap = Overlap.SKIP
    jitter: timedelta = timedelta()


@attrs.frozen(kw_only=True)
class PipelineSource:
    """The ends of other pipelines' runs."""

    pipelines: tuple[str, ...]
    results: tuple[str, ...] = ("success",)


@attrs.frozen(kw_only=True)
class Trigger:
    """One of the three is there, as its type says (§2)."""

    name: str
    type: TriggerType
    webhook: Webhook | None = None
    schedule: Schedule | None = None
    source: PipelineSource | None = None
    enabled: bool = True
    condition: str | None = None
    """The key `if`: an expression."""

    params: Mapping[str, Any] = _NONE
    params_from: Mapping[str, str] = _NO_TEXTS
    partition: str | None = None
    user: str | None = None
    """Expressions."""
