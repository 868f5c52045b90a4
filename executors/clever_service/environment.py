"""What a host's helper service gets with its environment, and what is noted of it.

The token is made before the application is created, and is in the request that creates it. So whoever finds
an application by its name finds its token there, too; one without any was never pushed to, since that comes
after the environment is complete, and may be given another token.
"""

import secrets
import string
from collections.abc import Mapping
from datetime import datetime, timedelta

from paas_runner.helper.protocol import (
    DEFAULT_LEASE_SECONDS,
    LEASE_VARIABLE,
    START_UNTIL_VARIABLE,
    TOKEN_VARIABLE,
)
from paas_runner.logs import redactor
from paas_runner.secret import Secret

TOKEN_CHARACTERS = 40
_ALPHABET = string.ascii_letters + string.digits
_MADE_IN_TIME = timedelta(minutes=5)
"""For what comes before the host is waited for: its creation, and its repository."""


def new_token() -> Secret:
    """40 random alphanumerics, as 1.1.1 makes them (core-features.md H140); no log shows them."""
    token = Secret("".join(secrets.choice(_ALPHABET) for _ in range(TOKEN_CHARACTERS)))
    redactor.track(token)
    return token


def known_token(present: Mapping[str, str]) -> Secret | None:
    """The token in an environment, if it has one that can be sent."""
    found = present.get(TOKEN_VARIABLE, "")
    if not found or not all("!" <= character <= "~" for character in found):
        return None
    token = Secret(found)
    redactor.track(token)
    return token


def environment(
    token: Secret, now: datetime, ready_within: timedelta, present: Mapping[str, str]
) -> Mapping[str, str]:
    """Of a new host, or of one that has a part of it already, which stays.

    A helper that is started after `START_UNTIL` takes no job: what a platform starts again, after we have
    lost sight of it, does nothing.
    """
    start_until = int((now + ready_within + _MADE_IN_TIME).timestamp())
    return {
        TOKEN_VARIABLE: token.reveal(),
        START_UNTIL_VARIABLE: present.get(START_UNTIL_VARIABLE) or str(start_until),
        LEASE_VARIABLE: present.get(LEASE_VARIABLE) or str(DEFAULT_LEASE_SECONDS),
    }
