"""The routes that tell a caller who it is and what it may see (spec clever-cloud-api.md §2.3)."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from paas_runner.sandbox.cloud import render_accounts
from paas_runner.sandbox.cloud.auth import api_access
from paas_runner.sandbox.cloud.errors import wrong_kind_of_token
from paas_runner.sandbox.cloud.model import Cloud


class IdentityRoutes:
    """For every kind of credentials; only OAuth tokens can be asked about themselves."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/v2/self", self.whoami, methods=["GET"]),
            Route("/v2/self/id", self.user_id, methods=["GET"]),
            Route("/v2/self/tokens/current", self.current_token, methods=["GET"]),
            Route("/v2/summary", self.summary, methods=["GET"]),
        ]

    async def whoami(self, request: Request) -> Response:
        """Who the token is."""
        return JSONResponse(render_accounts.user(api_access(request, self._cloud)))

    async def user_id(self, request: Request) -> Response:
        """The cheapest check of credentials."""
        return JSONResponse({"id": api_access(request, self._cloud).user_id})

    async def current_token(self, request: Request) -> Response:
        """Until when the OAuth token is good."""
        caller = api_access(request, self._cloud)
        user = self._cloud.accounts.user_with(caller.token)
        if user is None:
            raise wrong_kind_of_token()
        return JSONResponse(render_accounts.oauth_token(user, self._cloud.clock()))

    async def summary(self, request: Request) -> Response:
        """Everything that has a name."""
        caller = api_access(request, self._cloud)
        return JSONResponse(render_accounts.summary(caller, self._cloud.applications))
