"""Whose files are acted upon: what another user wrote could have us delete and launch what he likes."""

import os
from pathlib import Path


def complaint(path: Path, *, owner: int, us: int) -> str | None:
    """Why a process of user `us` refuses a file of user `owner`; None when it does not. Root trusts all."""
    if us in {0, owner}:
        return None
    return (
        f"{path}: belongs to another user (uid {owner}, the service runs as uid {us}), so it is not used. "
        "Give it to the service's user, or move it away"
    )


def complaint_about(path: Path, descriptor: int) -> str | None:
    """The same for an open file and this process."""
    return complaint(path, owner=os.fstat(descriptor).st_uid, us=os.geteuid())
