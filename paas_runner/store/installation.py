"""The installation's id beside the store, in a file of its own: hosts carry it, it must outlive the records.

It is the mark by which our hosts are told from those of others. When the store is lost with its disk or
damaged, the hosts that it knew are found again by this file, by the state file, which has the id too, or by
`installation_id` in the configuration.
"""

import os
import re
from pathlib import Path

from paas_runner.store.sqlite_file import complaint_about

_FORM = re.compile(r"[0-9A-Za-z_-]{8,64}")


def is_installation(found: object) -> bool:
    """Whether it has the form of an id."""
    return isinstance(found, str) and bool(_FORM.fullmatch(found))


def kept(path: Path) -> str | None:
    """The id in the file; None where there is no file of this user's with an id in it."""
    try:
        with path.open("rb") as file:
            if complaint_about(path, file.fileno()):
                return None
            text = file.read(200).decode().strip()
    except (OSError, UnicodeDecodeError):
        return None
    return text if is_installation(text) else None


def keep(path: Path, installation: str) -> None:
    """Make the file hold the id, whole or not at all, for this user alone; raises OSError."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{installation}\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
