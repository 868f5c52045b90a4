"""What the units of the Debian package serve, and where they may write, as `systemd/*.service` says it.

Whoever keeps a configuration in `/etc/paas-runner` means one of them: its records go into the folder that
systemd gives to the unit, since the rest of the machine is read-only to it.
"""

import os
import pwd
from contextlib import suppress
from pathlib import Path

import attrs

from paas_runner.errors import Exit, RunnerError

CONFIGURATIONS = Path("/etc/paas-runner")
RECORDS = Path("/var/lib/paas-runner")
USER = "paas-runner"

_UNIT_FOLDERS = ("etc/systemd/system", "lib/systemd/system", "usr/lib/systemd/system")
_SINGLE = "heptapod-paas-runner"


class WrongUserError(RunnerError):
    """The service was started as a user whose files the unit could not open."""

    exit_code = Exit.CONFIG


@attrs.frozen(kw_only=True)
class Unit:
    """One service of this machine."""

    name: str
    file: str
    """Of a template, too."""

    records: Path
    """Its `StateDirectory=`."""

    def may_write(self, path: Path) -> bool:
        """Whether a file may be made there, as long as no drop-in says otherwise."""
        return path.resolve().is_relative_to(self.records)

    def is_installed(self, root: Path = Path("/")) -> bool:
        """Whether systemd would find it."""
        return any((root / folder / self.file).exists() for folder in _UNIT_FOLDERS)


def unit_of(config: Path) -> Unit | None:
    """The unit that serves this configuration, be it installed or not; None for a file elsewhere."""
    path = config.absolute()
    if path.parent != CONFIGURATIONS or path.suffix != ".toml":
        return None
    if path.name == "config.toml":
        return Unit(name=_SINGLE, file=f"{_SINGLE}.service", records=RECORDS)
    return Unit(name=f"{_SINGLE}@{path.stem}", file=f"{_SINGLE}@.service", records=RECORDS / path.stem)


def refuse_root(config: Path, state_file: Path, *, uid: int | None = None) -> None:
    """Raise `WrongUserError` where root would leave records that the unit's own user cannot open."""
    unit, owner = unit_of(config), owner_of(state_file.parent)
    if unit and owner and owner != "root" and (os.geteuid() if uid is None else uid) == 0:
        raise WrongUserError(
            f"{state_file.parent} belongs to {owner}, and what root writes there {owner} could not open: "
            f"`systemctl start {unit.name}`, or `sudo -u {owner} heptapod-paas-runner {config}`"
        )


def refuse_root_beside(path: Path, *, uid: int | None = None) -> None:
    """Raise `WrongUserError` where root would leave files that the owner of their folder cannot open."""
    owner = owner_of(path.parent)
    if owner not in ("", "root") and (os.geteuid() if uid is None else uid) == 0:
        raise WrongUserError(
            f"{path.parent} belongs to {owner}, and what root writes there {owner} could not open: run this "
            f"with `sudo -u {owner}`"
        )


def owner_of(path: Path) -> str:
    """The name of the user to whom it belongs, else its number; empty if there is nothing."""
    try:
        uid = path.stat().st_uid
    except OSError:
        return ""
    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return f"#{uid}"  # as sudo takes it
