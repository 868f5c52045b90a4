"""The runners that a coordinator knows, the tokens by which they show themselves, and how they get news.

News need no waiting here: there is a value by which a runner sees that there may be a job, and callbacks.
Nothing here knows an event loop; how a task waits for news is in `server.waiting`.
"""

import enum
import hmac
import random
import string
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Protocol

import attrs

from paas_runner.secret import Secret

_LETTERS = string.ascii_letters + string.digits
REGISTERED = "glrtr-"
"""How the tokens begin of runners that were registered with a registration token (§1.1)."""

LEGACY_SYSTEM_ID = "<legacy>"  # spec gitlab-runner-api.md §1.8


class RunnerType(enum.StrEnum):
    """Whose jobs a runner serves; the value is part of its token (spec gitlab-runner-api.md §1.1)."""

    INSTANCE = "t1_"
    GROUP = "t2_"
    PROJECT = "t3_"


@attrs.frozen(kw_only=True)
class RunnerRecord:
    """One runner; `managers` are the machines that poll with its token, by system id."""

    runner_id: int
    token: Secret
    runner_type: RunnerType = RunnerType.INSTANCE
    description: str = ""
    paused: bool = False
    tags: tuple[str, ...] = ()
    runs_untagged: bool = True
    maximum_timeout: timedelta | None = None
    managers: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class JobRunner:
    """The runner that a job was handed out to, as it was then; the runner itself may be removed later."""

    runner_id: int
    system_id: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    maximum_timeout: timedelta | None = None
    cancels_gracefully: bool = False  # whether it knows `canceling`

    @property
    def described(self) -> str:
        """For the job's ledger."""
        return f"runner {self.runner_id} {self.system_id}".rstrip()


class RunnerBook(Protocol):
    """Where runner records are kept."""

    def new_runner_id(self) -> int: ...

    def runners(self) -> tuple[RunnerRecord, ...]:
        """All of them, oldest first."""

    def runner(self, runner_id: int) -> RunnerRecord:
        """Raises KeyError for one that was removed or never existed."""

    def save_runner(self, runner: RunnerRecord) -> None: ...

    def remove_runner(self, runner_id: int) -> None: ...


class Notifier:
    """Calls everyone who has subscribed."""

    def __init__(self) -> None:
        self._subscribers: dict[int, Callable[[], None]] = {}
        self._last = 0

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called at each `notify`; returns what ends that."""
        self._last = number = self._last + 1
        self._subscribers[number] = callback

        def unsubscribe() -> None:
            self._subscribers.pop(number, None)

        return unsubscribe

    def notify(self) -> None:
        for callback in tuple(self._subscribers.values()):
            callback()


class Queue:
    """One runner's opaque `X-GitLab-Last-Update` (spec gitlab-runner-api.md §2.4).

    It is kept in memory alone: after a restart every runner finds another value and asks in earnest.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.ticks = Notifier()
        self.renew()

    def renew(self) -> None:
        """A request with the old value is answered in earnest from now on; those held go on being held."""
        self.value = f"{self._rng.getrandbits(128):032x}"

    def tick(self) -> None:
        """There may be a job: a new value, and held requests are released."""
        self.renew()
        self.ticks.notify()


class Runners:
    """What is done with runner records; each runner has a queue beside its record."""

    def __init__(self, book: RunnerBook, rng: random.Random) -> None:
        self._book = book
        self._rng = rng
        self._queues: dict[int, Queue] = {}

    def __iter__(self) -> Iterator[RunnerRecord]:
        return iter(self._book.runners())

    def get(self, runner_id: int) -> RunnerRecord:
        """Raises KeyError for one that was removed or never existed."""
        return self._book.runner(runner_id)

    def queue(self, runner_id: int) -> Queue:
        """Where the runner sees that there may be a job."""
        if runner_id not in self._queues:
            self._queues[runner_id] = Queue(self._rng)
        return self._queues[runner_id]

    def add(
        self,
        *,
        runner_type: RunnerType = RunnerType.INSTANCE,
        description: str = "",
        paused: bool = False,
        tags: tuple[str, ...] = (),
        runs_untagged: bool = True,
        maximum_timeout: timedelta | None = None,
        legacy: bool = False,
        token: Secret | None = None,
    ) -> RunnerRecord:
        """A new runner; `legacy` gives it the token prefix of the old registration, unless it has one."""
        runner = RunnerRecord(
            runner_id=self._book.new_runner_id(),
            token=token or random_token(self._rng, REGISTERED if legacy else f"glrt-{runner_type}"),
            runner_type=runner_type,
            description=description,
            paused=paused,
            tags=tags,
            runs_untagged=runs_untagged,
            maximum_timeout=maximum_timeout,
        )
        self._book.save_runner(runner)
        self.queue(runner.runner_id)
        return runner

    def authenticate(self, token: str) -> RunnerRecord | None:
        """The runner whose token this is."""
        matching = [runner for runner in self if same(runner.token, token)]
        return matching[0] if matching else None

    def ensure(self, token: Secret, *, description: str) -> RunnerRecord:
        """The runner with that token, which is called so; a new one if there is none."""
        found = self.authenticate(token.reveal())
        if found is None:
            return self.add(description=description, token=token)
        return found if found.description == description else self._changed(found, description=description)

    def reset_token(self, runner_id: int) -> RunnerRecord:
        """Give the runner another token; the old one is worth nothing from now on."""
        runner = self.get(runner_id)
        prefix = REGISTERED if runner.token.reveal().startswith(REGISTERED) else f"glrt-{runner.runner_type}"
        return self._changed(runner, token=random_token(self._rng, prefix))

    def pause(self, runner_id: int, *, paused: bool) -> None:
        """Stop or resume handing jobs to a runner."""
        self._changed(self.get(runner_id), paused=paused)
        self.queue(runner_id).tick()

    def seen(self, runner_id: int, system_id: str, info: Mapping[str, Any]) -> None:
        """Remember what a machine of the runner tells about itself."""
        runner, machine = self.get(runner_id), system_id or LEGACY_SYSTEM_ID
        if runner.managers.get(machine) != info:
            self._changed(runner, managers={**runner.managers, machine: dict(info)})

    def forget_manager(self, runner_id: int, system_id: str) -> bool:
        """Remove one machine of a runner; whether there was one."""
        runner = self.get(runner_id)
        left = {machine: info for machine, info in runner.managers.items() if machine != system_id}
        self._changed(runner, managers=left)
        return len(left) < len(runner.managers)

    def remove(self, runner_id: int) -> None:
        """Forget a runner, whose token is worth nothing from now on."""
        self._book.remove_runner(runner_id)
        self._queues.pop(runner_id, None)

    def _changed(self, runner: RunnerRecord, **changes: Any) -> RunnerRecord:
        runner = attrs.evolve(runner, **changes)
        self._book.save_runner(runner)
        return runner


def random_token(rng: random.Random, prefix: str) -> Secret:
    """A token as GitLab would make it."""
    return Secret(prefix + "".join(rng.choices(_LETTERS, k=20)))


def same(secret: Secret, text: str) -> bool:
    """Whether `text` is the secret, in a time that does not depend on how much of it is right."""
    return hmac.compare_digest(secret.reveal().encode(), text.encode(errors="surrogatepass"))
