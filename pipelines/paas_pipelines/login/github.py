"""Log-in at GitHub, or at one's own GitHub Enterprise: OAuth with PKCE; teams are groups, as `org/team`.

Sources: docs.github.com, "Authorizing OAuth apps", "Get the authenticated user", "List teams for the
authenticated user". GitHub answers errors of the token's request with 200 and a key `error`.
"""

import re
from collections.abc import Mapping
from typing import Any

from paas_pipelines.access.identity import Identity
from paas_pipelines.login.provider import Begun, Calls, LoginError, library, text_of
from paas_pipelines.login.settings import LoginSettings

_MOST_PAGES = 10
_PER_PAGE = 100
_NEXT = re.compile(r'<[^>]*>;\s*rel="next"')


class GithubProvider:
    """GitHub."""

    def __init__(self, settings: LoginSettings, calls: Calls) -> None:
        self._settings = settings
        self._calls = calls

    async def address(self, begun: Begun) -> str:
        parameters = library("authlib.oauth2.rfc6749.parameters")
        pkce = library("authlib.oauth2.rfc7636")
        address: str = parameters.prepare_grant_uri(
            f"{self._settings.github_url}/login/oauth/authorize",
            client_id=self._settings.client_id,
            response_type="code",
            redirect_uri=begun.redirect_uri,
            scope=" ".join(self._settings.asked_scopes),
            state=begun.state,
            code_challenge=pkce.create_s256_code_challenge(begun.verifier),
            code_challenge_method="S256",
        )
        return address

    async def identity(self, code: str, begun: Begun) -> Identity:
        found, _ = await self._calls.asked(
            "POST",
            f"{self._settings.github_url}/login/oauth/access_token",
            data={
                "client_id": self._settings.client_id,
                "client_secret": self._settings.client_secret.reveal(),
                "code": code,
                "redirect_uri": begun.redirect_uri,
                "code_verifier": begun.verifier,
            },
            headers={"Accept": "application/json"},
        )
        if isinstance(found, Mapping) and isinstance(error := found.get("error"), str):
            raise LoginError(f"GitHub refuses the code: {error[:100]}")
        token = text_of(found, "access_token", "GitHub's answer")
        user, _ = await self._api("/user", token)
        name = text_of(user, "login", "GitHub's user")
        number = user.get("id")
        subject = str(number) if isinstance(number, int) else ""
        groups = await self._teams(token)
        return Identity(name, kind="login", domain=self._settings.domain, groups=groups, subject=subject)

    async def _teams(self, token: str) -> tuple[str, ...]:
        """As `organization/team`."""
        groups: list[str] = []
        for page in range(1, _MOST_PAGES + 1):
            found, headers = await self._api(f"/user/teams?per_page={_PER_PAGE}&page={page}", token)
            if not isinstance(found, list):
                raise LoginError("GitHub's teams are no list")
            for team in found:
                owner = team.get("organization") if isinstance(team, Mapping) else None
                organization = text_of(owner, "login", "a team of GitHub")
                groups.append(f"{organization}/{text_of(team, 'slug', 'a team of GitHub')}")
            if not _NEXT.search(headers.get("link", "")):
                break
        return tuple(groups)

    async def _api(self, path: str, token: str) -> tuple[Any, Mapping[str, str]]:
        return await self._calls.asked(
            "GET",
            f"{self._settings.github_api_url}{path}",
            headers={
                "Authorization": f"Bearer {token}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
                "User-Agent": "paas-pipelines",
            },
        )
