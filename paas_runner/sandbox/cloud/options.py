"""How the simulated cloud behaves where the real one is slow, moody or not fully documented.

And what it runs on its hosts: a `HostProgram`, which is given the `HostFiles`.
"""

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import TypeAlias

import attrs
from starlette.types import ASGIApp

from paas_runner.secret import Secret

_NO_DELAY = timedelta()


@attrs.frozen(kw_only=True)
class CloudOptions:
    """Delays and switches; replace `Cloud.options` to change them while the cloud runs."""

    repository_delay: timedelta = _NO_DELAY
    """From the creation of an application until its repository takes pushes."""

    deployment_delay: timedelta = _NO_DELAY
    """From an accepted push until the deployment is listed."""

    boot_delay: timedelta = _NO_DELAY
    """How long an instance is BOOTING, then STARTING: half of the delay each."""

    build_delay: timedelta = _NO_DELAY
    """How long an instance is DEPLOYING, that is, builds the image."""

    health_patience: timedelta = timedelta(minutes=5)
    """How long nothing may answer on a REGULAR instance's port before its deployment fails (§4.3)."""

    probe_every: timedelta = timedelta(minutes=1)
    """How often the port of a REGULAR instance is looked at, once it is up (§4.3)."""

    unreachable_after: timedelta = timedelta(minutes=5)
    """How long nothing may answer there before another machine takes its place (§4.3)."""

    deletion_delay: timedelta = _NO_DELAY
    """From the answer to a deletion until its instances stop; without it the answer waits for them."""

    env_at_creation: bool = True
    """Whether `env` in a creation request is honoured."""

    env_in_lists: bool = True
    """Whether listed applications carry their environment."""

    task_running_shown: bool = False
    """Whether a running task's deployment is listed as TASK_RUNNING instead of WIP."""

    credit: bool = True
    """Without credit pushes are accepted and no deployment ever appears."""

    build_fails: bool = False
    """Every deployment ends as FAIL after its build."""

    exhausted: Mapping[str, int] = attrs.field(factory=dict)
    """Names of zones and of flavors without room, with the status that refuses a creation: 503, or 400."""

    logs_refused: bool = False
    """Whether the log routes refuse the kind of token that opens the rest of the API."""

    anonymous_push_token: Secret | None = None
    """The token that a push without credentials is taken to have; some clients show theirs over TLS only."""

    stuck: bool = False
    """Every deployment stays WIP with a BOOTING instance until it is canceled or deleted."""


def _nobody_asks(_app: ASGIApp) -> AbstractContextManager[None]:
    return contextlib.nullcontext()


@attrs.frozen(kw_only=True)
class HostFiles:
    """Everything that one launched host has: the files of the pushed commit by path, and its environment."""

    files: Mapping[str, bytes] = attrs.field(repr=False)
    environment: Mapping[str, str] = attrs.field(repr=False)
    say: Callable[[str], None] = lambda _line: None
    """Takes a line of standard output, for the application's log."""

    serve: Callable[[ASGIApp], AbstractContextManager[None]] = _nobody_asks
    """Answers on port 8080 by that, inside the context: under the application's domain, if it is REGULAR."""


HostProgram: TypeAlias = Callable[[HostFiles], Awaitable[int]]
"""The container's command: returns its exit code; when canceled it first ends everything it started."""
