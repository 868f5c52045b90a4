"""The way there and back: each is a plan first, which changes nothing, and then its steps."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import attrs

from paas_runner.check.machine import holder_of
from paas_runner.config import Config, ConfigError, load
from paas_runner.config.complaints import UNKNOWN_KEY
from paas_runner.config.lines import KeyPath
from paas_runner.config.sections import Executors
from paas_runner.database_url import DatabaseUrl, StorePlace
from paas_runner.errors import Exit, RunnerError
from paas_runner.migration.fates import JobFate, fates, fates_there
from paas_runner.migration.kept import AFTER, BEFORE, content_of, copies, keep, replace
from paas_runner.migration.meaning import differences, version_of
from paas_runner.migration.rewriting import Change, with_our_names, without
from paas_runner.store import NoStoreError, state_file
from paas_runner.store.snapshot import members_of, take
from paas_runner.store.state_file import StateFileError

PEER = "heptapod-paas-runner"


class InUseError(RunnerError):
    """One of the two programs works with the configuration, or on its state."""

    exit_code = Exit.IN_USE


class NothingKeptError(RunnerError):
    """There is nothing to go back to, or no safe way."""


@attrs.frozen(kw_only=True)
class Plan:
    """What a migration does, and what is otherwise after it."""

    config: Config
    text: str
    """The configuration as it is to be."""

    changes: Sequence[Change]
    differences: Sequence[str]
    warnings: Sequence[str]
    """Of the new text: what is deprecated or has no effect."""

    state_from: str
    """Which version wrote the state file; empty without one."""

    jobs: Sequence[JobFate]
    possible_hosts: Sequence[str]
    """Names of hosts that the other program may have been making when it stopped."""

    aside: Sequence[str] = ()
    """What of the state file makes no sense here, and is kept beside it at the first start."""


def planned(path: Path, *, environ: Mapping[str, str], executors: Executors) -> Plan:
    """Reads and changes nothing; raises `ConfigError` for what no migration mends, and `StateFileError`."""
    try:
        before = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        load(path, environ=environ, executors=executors)  # has the words for it
        raise
    load_text = _Loading(path, environ, executors)
    rewritten = load_text.mended(before)
    config = load_text(rewritten.text)
    now = datetime.now(UTC)
    state = state_file.read(config.state_file, config.peer_names, now)
    document = json.loads(config.state_file.read_bytes()) if state else {}
    return Plan(
        config=config,
        text=rewritten.text,
        changes=rewritten.changes,
        differences=list(differences(config, _Loading.document(rewritten.text), environ)),
        warnings=config.warnings,
        state_from=version_of(document) if state else "",
        jobs=fates(state, config) if state else [],
        possible_hosts=state.possible_hosts if state else [],
        aside=[each.about for each in state.aside] if state else [],
    )


@attrs.frozen
class _Loading:
    """Reads a text as if the file had it."""

    path: Path
    environ: Mapping[str, str]
    executors: Executors

    def __call__(self, text: str) -> Config:
        return load(self.path, environ=self.environ, executors=self.executors, text=text)

    @staticmethod
    def document(text: str) -> Mapping[str, object]:
        import tomllib

        from paas_runner.config.inline_tables import as_read_here

        return tomllib.loads(as_read_here(text))

    def mended(self, text: str) -> "_Mended":
        """Without what is unknown here, under our names; raises `ConfigError` for a text that is no TOML."""
        changes: list[Change] = []
        while unknown := self._unknown(text):
            begun = text
            for at in unknown:  # all before it is read once more: that takes time in a long file
                if done := without(text, at):
                    text = done.text
                    changes += done.changes
            if text == begun:
                break
        with suppress(ValueError):  # its complaint comes when it is read
            named = with_our_names(text)
            text, changes = named.text, [*changes, *named.changes]
        return _Mended(text=text, changes=sorted(changes, key=lambda change: change.line))

    def _unknown(self, text: str) -> Sequence[KeyPath]:
        try:
            self(text)
        except ConfigError as error:
            found = (each.at for each in error.complaints if each.found == UNKNOWN_KEY and each.at)
            return list(dict.fromkeys(found))
        return []


@attrs.frozen(kw_only=True)
class _Mended:
    text: str
    changes: Sequence[Change]


# --- there -------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Done:
    """What was done to files; empty where nothing had to be."""

    kept: Sequence[Path] = ()
    """Copies, of earlier times maybe."""

    written: Sequence[Path] = ()


def migrated(plan: Plan) -> Done:
    """Keep both files, and write the configuration; a second time changes nothing."""
    path, state = plan.config.path, plan.config.state_file
    migrated_before = not plan.changes and copies(path, BEFORE)
    kept = [copy for each in ([state] if migrated_before else [path, state]) if (copy := keep(each, BEFORE))]
    if not plan.changes:
        return Done(kept=kept)
    replace(path, plan.text.encode())
    return Done(kept=kept, written=[path])


# --- back --------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class WayBack:
    """What going back does, and what the other program finds."""

    config: Path
    copy: Path
    state: str
    """In words."""

    restore_state: Path | None = None
    state_file: Path
    jobs: Sequence[JobFate] = ()
    """What becomes of those that the state file has."""


def way_back(path: Path, *, environ: Mapping[str, str], executors: Executors) -> WayBack:
    """Raises `NothingKeptError` where it would lose something, or where nothing was kept."""
    kept = copies(path, BEFORE)
    if path.exists() and not kept:
        raise NothingKeptError(f"{path}: no copy was kept ({path.name}.{BEFORE}): nothing to go back to")
    try:
        config = load(path, environ=environ, executors=executors)
    except ConfigError as error:
        if not kept or content_of(kept[-1]) != content_of(path):
            raise
        done = f"{path}: is what it was before the migration already: start {PEER} with it"
        raise NothingKeptError(done) from error
    state, copy = config.state_file, next(iter(reversed(copies(config.state_file, BEFORE))), None)
    words, restore = f"{state}: not there: the other program begins without jobs", None
    if state.exists():
        same = copy is not None and content_of(copy) == content_of(state)
        words = (
            f"{state}: as the other program left it"
            if same
            else f"{state}: written since, when this service stopped: it has the jobs of meanwhile, and stays"
        )
    elif (tracked := _tracked(config)) is not None:
        if tracked:
            raise NothingKeptError(
                f"{config.store}: {tracked} jobs are tracked, and there is no state file for the other "
                f"program: {_MAKE_ONE[config.state_store is not None]}"
            )
        words = f"{words}; the store has none, either"
    elif copy:
        words, restore = f"{state}: put back from {copy.name}: this service was never started", copy
    return WayBack(
        config=path,
        copy=kept[-1],
        state=words,
        restore_state=restore,
        state_file=state,
        jobs=_fates_there(restore or state, config),
    )


def _fates_there(path: Path, config: Config) -> Sequence[JobFate]:
    """None of a file that cannot be read: it is there for the other program."""
    with suppress(StateFileError):
        if state := state_file.read(path, config.peer_names, datetime.now(UTC)):
            return fates_there(state, config)
    return ()


_MAKE_ONE = {
    False: "the service did not stop in an orderly way; start it, and stop it with SIGTERM",
    True: "stop all services of this store, and make it by `paas-runner store copy` (--help)",
}


def _tracked(config: Config) -> int | None:
    """How many jobs the store has; None where there is none."""
    try:
        return len(take(config.store).jobs)
    except NoStoreError:
        return None


def gone_back(way: WayBack) -> Done:
    """What is in the way is kept under another name.

    The configuration is last: as long as it is not what it was, the way back can be gone once more.
    """
    content = content_of(way.copy)
    written = []
    kept = None
    if way.restore_state:
        replace(way.state_file, content_of(way.restore_state))
        written.append(way.state_file)
    if content_of(way.config) != content:
        kept = keep(way.config, AFTER)
        replace(way.config, content)
        written.append(way.config)
    return Done(kept=[kept] if kept else [], written=written)


# --- whoever works with it ---------------------------------------------------------------------------------


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """No second migration works in a folder meanwhile; raises `InUseError` where one does."""
    place = _locked(folder)
    try:
        yield
    finally:
        if place is not None:
            os.close(place)


def _locked(folder: Path) -> int | None:
    """None for a folder that cannot be opened: the complaint comes when the file is read."""
    with suppress(OSError):
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(place)
            raise InUseError(f"{folder}: another migration works there: wait until it is over") from error
        except OSError:  # a file system without locks
            os.close(place)
        else:
            return place
    return None


def refuse_while_in_use(config: Path, place: StorePlace, store: Path) -> None:
    """Raises `InUseError` while either of the programs runs; `store` is the file beside the state file."""
    if holder := holder_of(store):
        raise InUseError(f"{store}: paas-runner works on this state (process {holder}): stop it first")
    if isinstance(place, DatabaseUrl) and (members := members_of(place)):
        raise InUseError(f"{place}: paas-runner works on it ({', '.join(members)}): stop it there first")
    for process in _processes_with(config):
        raise InUseError(f"{config}: {PEER} works with it (process {process}): stop it first, with SIGTERM")


def _processes_with(config: Path) -> Iterator[int]:
    """Of this machine, as far as this user may see them: by the program's name and its argument."""
    for entry in Path("/proc").glob("[0-9]*"):
        if int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            here = (entry / "cwd").readlink()
            if any(Path(word).name == PEER for word in words[:3]) and any(
                (here / word).resolve() == config.resolve() for word in words[1:] if word
            ):
                yield int(entry.name)
