"""Whether a delivery may be trusted with what a pipeline may do: who caused it may write to the repository.

Names of events are in headers that nobody signs, so what the payload is of counts, too: one with a pull
request in it is one, whatever its header says.
"""

from collections.abc import Mapping
from typing import Any

_MOST_NAME = 200
_SENDERS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "github": (("sender", "login"),),
    "gitlab": (("user_username",), ("user", "username")),
}
_GITHUB = frozenset({"push", "create", "delete", "release"})
_GITLAB = frozenset({"push", "tag_push", "release"})
_OF_ANYBODY = ("issue", "comment", "review", "discussion", "forkee")
"""What everybody may write who can see the repository."""

_DISPATCHES = {"workflow_dispatch": "inputs", "repository_dispatch": "client_payload"}
"""What somebody sends again on purpose, with the key that only such a payload has."""


def is_trusted(provider: str, event: str, payload: Any) -> bool:
    """Pushes, tags, releases, and requests to merge within one repository; `token` and `standard` always."""
    if provider not in ("github", "gitlab"):
        return True
    if not isinstance(payload, dict):
        return False
    return _is_github_trusted(event, payload) if provider == "github" else _is_gitlab_trusted(payload)


def sender_of(provider: str, payload: Any) -> str:
    """Who has caused it, where the provider itself says so; empty where it does not.

    Never an author of commits: those names are whatever their writer likes. To be asked of payloads alone
    that are covered by a signature. Sources: docs.github.com, "Webhook events and payloads" (`sender`);
    docs.gitlab.com, "Webhook events" (`user_username` of pushes, else `user`).
    """
    found = (_at(payload, *path) for path in _SENDERS.get(provider, ()))
    name = next((each for each in found if isinstance(each, str) and each), "")
    return name if name.isprintable() and len(name) <= _MOST_NAME else ""


def may_be_repeated(event: str, payload: Any) -> bool:
    """Whether the same body under a new id is meant: nothing in it tells one from the next."""
    key = _DISPATCHES.get(event)
    return key is not None and isinstance(payload, dict) and key in payload


def _is_github_trusted(event: str, payload: Mapping[str, Any]) -> bool:
    if any(name in payload for name in _OF_ANYBODY):
        return False
    if "pull_request" in payload:
        ids = [_at(payload, "pull_request", side, "repo", "id") for side in ("head", "base")]
        return event == "pull_request" and ids[0] is not None and ids[0] == ids[1]
    return event in _GITHUB


def _is_gitlab_trusted(payload: Mapping[str, Any]) -> bool:
    kind = payload.get("object_kind")
    if kind == "merge_request":
        ids = [_at(payload, "object_attributes", f"{side}_project_id") for side in ("source", "target")]
        return ids[0] is not None and ids[0] == ids[1]
    return kind in _GITLAB


def _at(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
