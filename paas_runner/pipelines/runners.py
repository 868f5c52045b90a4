"""The runners a coordinator knows, and the tokens by which they show themselves.

Waking those who wait for news, and the value by which a runner sees that there are some.
"""

import asyncio
import enum
import hmac
import itertools
import random
import string
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import attrs

from paas_runner.secret import Secret


class Pulse:
    """Wakes everyone who waits at that moment."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def fire(self) -> None:
        """Wake the waiting; who begins to wait now waits for the next time."""
        self._next.set()
        self._next = asyncio.Event()

    async def wait(self) -> None:
        """Return at the next `fire`."""
        await self._next.wait()


class QueueValue:
    """One runner's opaque `X-GitLab-Last-Update` (spec gitlab-runner-api.md §2.4)."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._pulse = Pulse()
        self.renew()

    def renew(self) -> None:
        """Make who holds the old value ask in earnest next time, without disturbing who waits now."""
        self.current = f"{self._rng.getrandbits(128):032x}"

    def tick(self) -> None:
        """There may be a job: a new value, and held requests are released."""
        self.renew()
        self._pulse.fire()

    async def ticked(self, *, since: str) -> None:
        """Return at the next tick, or at once where the value is another than `since` by now."""
        if self.current == since:
            await self._pulse.wait()


_LETTERS = string.ascii_letters + string.digits
LEGACY_SYSTEM_ID = "<legacy>"  # spec gitlab-runner-api.md §1.8


class RunnerType(enum.StrEnum):
    """Whose jobs a runner serves; the value is the mark in its token (spec gitlab-runner-api.md §1.1)."""

    INSTANCE = "t1_"
    GROUP = "t2_"
    PROJECT = "t3_"


@attrs.define(kw_only=True, eq=False)
class RunnerRecord:
    """One runner record; `managers` are the machines that poll with its token, by system id."""

    runner_id: int
    token: Secret
    queue: QueueValue
    runner_type: RunnerType = RunnerType.INSTANCE
    description: str = ""
    paused: bool = False
    tags: tuple[str, ...] = ()
    maximum_timeout: timedelta | None = None
    managers: dict[str, Mapping[str, Any]] = attrs.field(factory=dict)

    def seen(self, system_id: str, info: Mapping[str, Any]) -> None:
        """Remember what a machine said of itself."""
        self.managers[system_id or LEGACY_SYSTEM_ID] = dict(info)


class Runners:
    """All runner records; removed ones are forgotten."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._ids = itertools.count(1)
        self._known: dict[int, RunnerRecord] = {}

    def __iter__(self) -> Iterator[RunnerRecord]:
        return iter(tuple(self._known.values()))

    def add(
        self,
        *,
        runner_type: RunnerType = RunnerType.INSTANCE,
        description: str = "",
        paused: bool = False,
        tags: tuple[str, ...] = (),
        maximum_timeout: timedelta | None = None,
        legacy: bool = False,
    ) -> RunnerRecord:
        """A new runner; `legacy` gives it the token prefix of the old registration."""
        runner = RunnerRecord(
            runner_id=next(self._ids),
            token=self._token("glrtr-" if legacy else f"glrt-{runner_type}"),
            queue=QueueValue(self._rng),
            runner_type=runner_type,
            description=description,
            paused=paused,
            tags=tags,
            maximum_timeout=maximum_timeout,
        )
        self._known[runner.runner_id] = runner
        return runner

    def authenticate(self, token: str) -> RunnerRecord | None:
        """The runner whose token this is."""
        matching = [runner for runner in self if same(runner.token, token)]
        return matching[0] if matching else None

    def reset(self, runner: RunnerRecord) -> None:
        """Give the runner another token; the old one is worth nothing from now on."""
        prefix = "glrtr-" if runner.token.reveal().startswith("glrtr-") else f"glrt-{runner.runner_type}"
        runner.token = self._token(prefix)

    def remove(self, runner: RunnerRecord) -> None:
        """Forget a runner."""
        del self._known[runner.runner_id]

    def _token(self, prefix: str) -> Secret:
        return random_token(self._rng, prefix)


def random_token(rng: random.Random, prefix: str) -> Secret:
    """A token as GitLab would make it."""
    return Secret(prefix + "".join(rng.choices(_LETTERS, k=20)))


def same(secret: Secret, text: str) -> bool:
    """Whether `text` is the secret, in a time that does not tell how much of it is."""
    return hmac.compare_digest(secret.reveal().encode(), text.encode(errors="surrogatepass"))
