"""Log-in at an OpenID provider: code flow with PKCE and nonce, the ID token checked to the last claim.

The issuer of the settings is the only one: its document must name itself, its tokens too (mix-up).
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from paas_pipelines.access.identity import Identity, groups_of
from paas_pipelines.login.provider import Begun, Calls, LoginError, library, text_of
from paas_pipelines.login.settings import LoginSettings

_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_LEEWAY_SECONDS = 60
_DOCUMENT_SECONDS = 3600.0


class OidcProvider:
    """One."""

    def __init__(self, settings: LoginSettings, calls: Calls, now: Callable[[], float] = time.time) -> None:
        """`now` is in seconds since 1970."""
        self._settings = settings
        self._calls = calls
        self._now = now
        self._document: Mapping[str, Any] = {}
        self._read = 0.0

    async def address(self, begun: Begun) -> str:
        document = await self._discovered()
        parameters = library("authlib.oauth2.rfc6749.parameters")
        pkce = library("authlib.oauth2.rfc7636")
        address: str = parameters.prepare_grant_uri(
            text_of(document, "authorization_endpoint", "the provider's document"),
            client_id=self._settings.client_id,
            response_type="code",
            redirect_uri=begun.redirect_uri,
            scope=" ".join(self._settings.asked_scopes),
            state=begun.state,
            nonce=begun.nonce,
            code_challenge=pkce.create_s256_code_challenge(begun.verifier),
            code_challenge_method="S256",
        )
        return address

    async def identity(self, code: str, begun: Begun) -> Identity:
        document = await self._discovered()
        tokens, _ = await self._calls.asked(
            "POST",
            text_of(document, "token_endpoint", "the provider's document"),
            data={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": begun.redirect_uri,
                "code_verifier": begun.verifier,
            },
            auth=(self._settings.client_id, self._settings.client_secret.reveal()),
        )
        id_token = text_of(tokens, "id_token", "the provider's answer")
        keys, _ = await self._calls.asked("GET", text_of(document, "jwks_uri", "the provider's document"))
        claims = self._checked(id_token, keys, begun.nonce)
        wanted = {self._settings.name_claim, self._settings.groups_claim}
        if not wanted <= claims.keys() and "userinfo_endpoint" in document:
            claims = {**await self._userinfo(document, tokens, claims), **claims}
        return self._identity(claims)

    async def _discovered(self) -> Mapping[str, Any]:
        if self._document and self._now() - self._read < _DOCUMENT_SECONDS:
            return self._document
        issuer = str(self._settings.issuer)
        found, _ = await self._calls.asked("GET", f"{issuer}/.well-known/openid-configuration")
        if text_of(found, "issuer", "the provider's document").rstrip("/") != issuer:
            raise LoginError("the provider's document names another issuer")
        self._document, self._read = found, self._now()
        return self._document

    def _checked(self, id_token: str, keys: Any, nonce: str) -> dict[str, Any]:
        """The claims of a token that is for us and for this attempt; raises `LoginError`."""
        jwt, jwk, errors = (library(f"joserfc.{name}") for name in ("jwt", "jwk", "errors"))
        issuer = text_of(self._document, "issuer", "the provider's document")
        registry = jwt.JWTClaimsRegistry(
            now=lambda: int(self._now()),
            leeway=_LEEWAY_SECONDS,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": self._settings.client_id},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            token = jwt.decode(id_token, jwk.KeySet.import_key_set(keys), algorithms=list(_ALGORITHMS))
            registry.validate(token.claims)
        except (errors.JoseError, ValueError, TypeError, KeyError) as error:
            why = getattr(error, "claim", None) or type(error).__name__
            raise LoginError(f"the provider's ID token is not good: {why}") from None
        claims: dict[str, Any] = token.claims
        others = claims["aud"] if isinstance(claims["aud"], list) else []
        if claims.get("azp", self._settings.client_id) != self._settings.client_id or (
            len(others) > 1 and "azp" not in claims
        ):
            raise LoginError("the provider's ID token is not good: azp")
        return claims

    async def _userinfo(
        self, document: Mapping[str, Any], tokens: Any, claims: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        bearer = text_of(tokens, "access_token", "the provider's answer")
        found, _ = await self._calls.asked(
            "GET",
            text_of(document, "userinfo_endpoint", "the provider's document"),
            headers={"Authorization": f"Bearer {bearer}"},
        )
        if not isinstance(found, dict) or found.get("sub") != claims["sub"]:
            raise LoginError("the provider tells of another person than its token")
        return found

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        name, groups = claims.get(self._settings.name_claim), claims.get(self._settings.groups_claim)
        if not isinstance(name, str) or not name:
            raise LoginError(f"the provider says no {self._settings.name_claim}: see name_claim and scopes")
        if self._settings.name_claim == "email" and claims.get("email_verified") is not True:
            raise LoginError("the provider has not verified this email address")
        texts = [each for each in groups if isinstance(each, str)] if isinstance(groups, list) else []
        subject = str(claims["sub"])
        return Identity(
            name, kind="login", domain=self._settings.domain, groups=groups_of(texts), subject=subject
        )
