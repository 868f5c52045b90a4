"""By which id our hosts are known: settled at the start, before a host is touched, and kept in three places.

What wins: `installation_id` of the configuration; else the id in the store, since the hosts of its records
carry it; else that of the file beside it; else that of a state file about to be loaded; else a new one. Hosts
with another of these marks are not ours any more, so a difference is told in words.
"""

from datetime import datetime
from pathlib import Path

import structlog

from paas_runner.config import Config
from paas_runner.store import Store, installation, state_file

log = structlog.stdlib.get_logger(__name__)


async def settled(config: Config, store: Store, now: datetime) -> str:
    """The id from now on, in the store and in its file; raises `StoreError` and `StateFileError`."""
    path = config.installation_path
    kept = installation.kept(path)
    waiting = state_file.read(config.state_file, config.peer_names, now)
    travelling = waiting.installation if waiting else None
    stored = await store.installation(otherwise=config.installation_id or kept or travelling or "")
    found = config.installation_id or stored
    if found != stored:
        await store.save_installation(found)
    others = {str(config.store): stored, str(path): kept, str(config.state_file): travelling}
    for place, other in others.items():
        if other and other != found:
            log.warning("installation_differs", used=found, other=other, place=place)
    if kept != found:
        _keep(path, found)
    return found


def in_force(config: Config, *, stored: str | None, waiting: state_file.State | None) -> str | None:
    """The id that the next start would settle on, None where it would make one; touches nothing."""
    travelling = waiting.installation if waiting else None
    return config.installation_id or stored or installation.kept(config.installation_path) or travelling


def waiting_state(config: Config, now: datetime) -> state_file.State | None:
    """What a state file has that waits for a start; None where there is none that can be read."""
    try:
        return state_file.read(config.state_file, config.peer_names, now)
    except state_file.StateFileError:
        return None


def _keep(path: Path, found: str) -> None:
    """A disk that is full or not writable prevents no start: the store has the id."""
    try:
        installation.keep(path, found)
    except OSError as error:
        log.warning("installation_not_kept", path=str(path), reason=error.strerror or str(error))
