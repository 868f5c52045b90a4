"""`[pipelines.login]`: who vouches for people."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import attrs

from paas_pipelines.access.identity import RESERVED_DOMAINS
from paas_runner.secret import Secret
from paas_runner.setting_types import Url
from paas_runner.settings import setting

GITHUB = "https://github.com"
GITHUB_API = "https://api.github.com"


@attrs.frozen(kw_only=True)
class LoginSettings:
    """One provider for a server."""

    type: str = setting("What the provider speaks.", choices=("oidc", "github"))
    domain: str = setting("How names of its people begin in statements: `domain/name`.")
    issuer: Url | None = setting("Address of the OpenID provider, as its tokens have it.", default=None)
    client_id: str = setting("What the provider calls this server.")
    client_secret: Secret = setting("What this server shows the provider.")
    scopes: Sequence[str] = setting(
        "What is asked for (default: openid profile; GitHub: read:org).", default=()
    )
    name_claim: str = setting("The claim that is somebody's name.", default="preferred_username")
    groups_claim: str = setting("The claim that has somebody's groups.", default="groups")
    github_url: Url = setting("GitHub, or one's own GitHub Enterprise.", default=Url(GITHUB))
    github_api_url: Url = setting("The address of its API.", default=Url(GITHUB_API))
    session: timedelta = setting(
        "How long somebody stays logged in.", default=timedelta(hours=8), minimum=60, maximum=86400
    )

    def problems(self) -> Iterator[tuple[str, str]]:
        """What contradicts."""
        if self.type == "oidc" and self.issuer is None:
            yield "issuer", "type oidc needs it"
        if self.type == "github" and self.issuer is not None:
            yield "issuer", "type github has none"
        if not self.domain or "/" in self.domain or self.domain in RESERVED_DOMAINS:
            yield "domain", "is no word of its own: no slash, neither `pipeline` nor `trigger`"

    @property
    def asked_scopes(self) -> Sequence[str]:
        """As the provider is asked for them."""
        return self.scopes or (("openid", "profile") if self.type == "oidc" else ("read:org",))
