"""An OpenID provider and GitHub, as far as a log-in asks them: small applications without sockets."""

import base64
import hashlib
import time
from urllib.parse import parse_qs, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

ISSUER = "https://id.example"
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"}, auto_kid=False)


def challenge_of(verifier):
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


class OpenId:
    """Says yes to everybody; `claims` are what its tokens say beside what is right, or instead."""

    def __init__(self, **claims):
        self.claims = claims
        self.key = KEY
        self.codes = {}
        self.app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.document),
                Route("/jwks", self.jwks),
                Route("/token", self.token, methods=["POST"]),
                Route("/userinfo", self.userinfo),
            ]
        )

    @property
    def transport(self):
        return httpx.ASGITransport(self.app)

    def approved(self, address):
        """What the browser brings back from there."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return {"code": code, "state": asked["state"]}

    async def document(self, _request: Request):
        ends = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint")
        paths = {"jwks_uri": "jwks"} | {end: end.removesuffix("_endpoint") for end in ends}
        return JSONResponse({"issuer": ISSUER} | {name: f"{ISSUER}/{path}" for name, path in paths.items()})

    async def jwks(self, _request: Request):
        return JSONResponse({"keys": [KEY.as_dict(private=False)]})

    async def token(self, request: Request):
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        asked = self.codes.pop(form["code"], None)
        basic = base64.b64encode(b"client:canary-client-secret").decode()
        if (
            asked is None
            or request.headers["authorization"] != f"Basic {basic}"
            or asked["code_challenge"] != challenge_of(form["code_verifier"])
            or asked["redirect_uri"] != form["redirect_uri"]
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": "client", "sub": "1", "iat": now, "exp": now + 60}
        claims |= {"nonce": asked["nonce"], "preferred_username": "bob"} | self.claims
        text = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.key)
        return JSONResponse({"access_token": "canary-access-token", "token_type": "Bearer", "id_token": text})

    async def userinfo(self, request: Request):
        assert request.headers["authorization"] == "Bearer canary-access-token"
        return JSONResponse({"sub": self.claims.get("info_sub", "1"), "groups": ["dev"]})


class Github:
    """As its documents have it: errors with 200, teams in pages, a code good once."""

    def __init__(self, teams):
        self.teams = teams
        self.codes = {}
        self.app = Starlette(
            routes=[
                Route("/login/oauth/access_token", self.token, methods=["POST"]),
                Route("/user", self.user),
                Route("/user/teams", self.user_teams),
                Route("/elsewhere", lambda _: RedirectResponse("https://evil.example")),
            ]
        )

    @property
    def transport(self):
        return httpx.ASGITransport(self.app)

    def approved(self, address):
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert urlsplit(address).path == "/login/oauth/authorize"
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return {"code": code, "state": asked["state"]}

    async def token(self, request: Request):
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        assert request.headers["accept"] == "application/json"
        asked = self.codes.pop(form["code"], None)
        if asked is None or asked["code_challenge"] != challenge_of(form["code_verifier"]):
            return JSONResponse(
                {
                    "error": "bad_verification_code",
                    "error_description": "The code passed is incorrect or expired.",
                }
            )
        if form["client_secret"] != "canary-client-secret":
            return JSONResponse({"error": "incorrect_client_credentials"})
        return JSONResponse({"access_token": "gho_canary", "scope": "read:org", "token_type": "bearer"})

    async def user(self, request: Request):
        assert request.headers["authorization"] == "Bearer gho_canary"
        return JSONResponse({"login": "octocat", "id": 1, "type": "User"})

    async def user_teams(self, request: Request):
        page, size = int(request.query_params["page"]), int(request.query_params["per_page"])
        some = self.teams[(page - 1) * size : page * size]
        more = len(self.teams) > page * size
        link = (
            {"Link": f'<https://api.github.example/user/teams?page={page + 1}>; rel="next"'} if more else {}
        )
        found = [{"slug": slug, "organization": {"login": owner}} for owner, slug in some]
        return JSONResponse(found, headers=link)
