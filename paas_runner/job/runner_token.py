"""The short form of a runner's authentication token: public, and the same as GitLab Runner shows."""

import re

_PREFIX = re.compile(r"glrt-(?:t[123]_)?|t[123]_|glrtr-|glcbt-|GR[0-9a-fA-F]{7}")
_LENGTH = 9


def short_token(token: str) -> str:
    """The first 9 characters after a known prefix, the rule R19 of spec gitlab-runner-api.md §1.9."""
    prefix = _PREFIX.match(token)
    start = prefix.end() if prefix else 0
    return token[start : start + _LENGTH]


def peer_name(token: str) -> str:
    """What heptapod-paas-runner calls the runner, in its state file and in its hosts' names (1.1.1)."""
    return token[:8]
