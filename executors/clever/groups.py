"""The coordinator's groups and their custom attributes, which it shows to administrators alone (§7.2).

The answer must be about just the group that was meant, or it counts for nothing: GitLab takes a path of
digits for the id of any group, and matches paths whatever their case. An id is asked for where one is known,
since it stays when a group is renamed, and no other gets it. Sections are those of `gitlab-runner-api.md`.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import attrs

from executors.clever.settings import CleverSettings
from paas_runner.addresses import coordinator_api
from paas_runner.errors import Rejected, Transient
from paas_runner.executor.contract import RunnerSection
from paas_runner.http import QUICK_TRIES, Connect, HttpClient, Response, coordinator_at
from paas_runner.secret import Secret

MOST_PAGES = 1000  # of a hundred groups
_LOOK = "look at the group"
_LIST = "list the groups"
_SHOWING = {"with_custom_attributes": "true"}


@attrs.frozen
class Group:
    """A top-level group: `path` is what people call it, `ref` its id where the coordinator said it."""

    path: str
    ref: int | None = None


@attrs.frozen(kw_only=True)
class FoundGroup:
    """A group as the coordinator has it."""

    ref: int
    path: str
    attributes: Mapping[str, Any] = attrs.field(repr=False)

    def is_meant_by(self, group: Group) -> bool:
        """Whether it is the group with that id or, where none is known, with exactly that path."""
        return self.path == group.path if group.ref is None else self.ref == group.ref


class GroupsApi:
    """The calls of one `[[runners]]` section; each raises `Transient` or `Rejected`."""

    def __init__(self, settings: CleverSettings, section: RunnerSection, connect: Connect) -> None:
        self.url = section.url
        self.token = settings.cc_gitlab_namespace_attributes_token or Secret("")
        self._api: HttpClient = connect(
            coordinator_api(section.url), service=coordinator_at(section.url), tls=section.tls
        )

    def follow(self, other: "GroupsApi") -> None:
        """Use the token of `other`, if it is one for the same coordinator."""
        if other.url == self.url:
            self.token = other.token

    async def find(self, group: Group) -> FoundGroup | None:
        """The group, or None where there is none of that id or path: a user's own namespace is no group."""
        if group.ref is None and group.path.isdecimal():
            candidates = await self.all(search=group.path)  # asked for by itself it would be taken for an id
        else:
            candidates = await self._one(group.path if group.ref is None else str(group.ref))
        return next((each for each in candidates if each.is_meant_by(group)), None)

    async def all(self, *, search: str = "") -> Sequence[FoundGroup]:
        """The top-level groups, those with the text in their names where one is given."""
        found: list[FoundGroup] = []
        page = "1"
        for _ in range(MOST_PAGES):
            params = {**_SHOWING, "top_level_only": "true", "per_page": "100", "page": page}
            answer = await self._called("", _LIST, params | ({"search": search} if search else {}))
            found += self._read(answer, _LIST)
            page = answer.headers.get("x-next-page", "")
            if not page:
                break
        return found

    async def aclose(self) -> None:
        await self._api.aclose()

    async def _one(self, name: str) -> Sequence[FoundGroup]:
        params = {**_SHOWING, "with_projects": "false"}
        answer = await self._called(f"/{quote(name, safe='')}", _LOOK, params, absence=True)
        return () if answer.status == 404 else self._read(answer, _LOOK)

    async def _called(
        self, below: str, op: str, params: Mapping[str, str], *, absence: bool = False
    ) -> Response:
        headers = {"PRIVATE-TOKEN": self.token}
        answer = await self._api.call(
            "GET", f"/groups{below}", op=op, headers=headers, params=params, attempts=QUICK_TRIES
        )
        if answer.status != 200 and not (absence and answer.status == 404):
            raise Rejected(answer.summary, service=self._api.service, op=op, status=answer.status)
        return answer

    def _read(self, answer: Response, op: str) -> Sequence[FoundGroup]:
        """Of one group or of many."""
        try:
            found = answer.json()
            return [self._group(each, op) for each in (found if op == _LIST else [found])]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Transient("the answer is no group", service=self._api.service, op=op) from None

    def _group(self, found: Any, op: str) -> FoundGroup:
        """Without a right to attributes they are left out, without a word."""
        ref, path = found["id"], found["full_path"]
        if not isinstance(ref, int) or not isinstance(path, str):
            raise TypeError("no group")
        if "custom_attributes" not in found:
            text = "the attributes of groups are not shown"
            raise Rejected(text, service=self._api.service, op=op, status=200)
        attributes = {str(entry["key"]): entry["value"] for entry in found["custom_attributes"]}
        return FoundGroup(ref=ref, path=path, attributes=attributes)
