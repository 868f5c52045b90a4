"""The routes by which a caller learns who it is and what it may see, and their JSON (§2.3)."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from paas_runner.sandbox.cloud.accounts import Organisation, User
from paas_runner.sandbox.cloud.application import Application
from paas_runner.sandbox.cloud.auth import Caller, api_access
from paas_runner.sandbox.cloud.errors import wrong_kind_of_token
from paas_runner.sandbox.cloud.model import Cloud
from paas_runner.sandbox.cloud.render import milliseconds

_TOKEN_LIFE = timedelta(days=365)  # of a token made by the command line tool (§1.2)
_RIGHTS = (
    "access_organisations",
    "access_organisations_bills",
    "access_organisations_consumption_statistics",
    "access_organisations_credit_count",
    "access_personal_information",
    "almighty",
    "manage_organisations",
    "manage_organisations_applications",
    "manage_organisations_members",
    "manage_organisations_services",
    "manage_personal_information",
    "manage_ssh_keys",
)

ApplicationsOf = Callable[[str], list[Application]]


class AccountRoutes:
    """For every kind of credentials; only OAuth tokens can be asked about themselves."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def routes(self) -> list[Route]:
        return [
            Route("/v2/self", self.whoami, methods=["GET"]),
            Route("/v2/self/id", self.user_id, methods=["GET"]),
            Route("/v2/self/tokens/current", self.current_token, methods=["GET"]),
            Route("/v2/summary", self.summary, methods=["GET"]),
        ]

    async def whoami(self, request: Request) -> Response:
        return JSONResponse(user_json(api_access(request, self._cloud)))

    async def user_id(self, request: Request) -> Response:
        """The cheapest check of credentials."""
        return JSONResponse({"id": api_access(request, self._cloud).user_id})

    async def current_token(self, request: Request) -> Response:
        """Until when the OAuth token is good."""
        caller = api_access(request, self._cloud)
        user = self._cloud.accounts.user_with(caller.token)
        if user is None:
            raise wrong_kind_of_token()
        return JSONResponse(token_json(user, self._cloud.clock()))

    async def summary(self, request: Request) -> Response:
        """Everything that has a name."""
        caller = api_access(request, self._cloud)
        return JSONResponse(summary_json(caller, self._cloud.applications))


def user_json(caller: Caller) -> dict[str, Any]:
    """Who a token is."""
    return {
        "id": caller.user_id,
        "email": "sandbox@localhost",
        "name": caller.name,
        "phone": "",
        "address": "",
        "city": "",
        "zipcode": "",
        "country": "FRANCE",
        "avatar": None,
        "creationDate": 0,
        "lang": "EN",
        "emailValidated": True,
        "oauthApps": [],
        "admin": False,
        "canPay": True,
        "preferredMFA": "NONE",
        "hasPassword": False,
    }


def token_json(owner: User, now: datetime) -> dict[str, Any]:
    """What is known of an OAuth token: an object, although the API's description says a list."""
    return {
        "token": owner.keys.token.reveal(),
        "consumer": {"name": "Sandbox", "key": owner.keys.consumer_key, "rights": {}},
        "creationDate": milliseconds(owner.created_at),
        "expirationDate": milliseconds(owner.created_at + _TOKEN_LIFE),
        "lastUtilisation": milliseconds(now),
        "rights": dict.fromkeys(_RIGHTS, True),
        "employeeId": None,
    }


def summary_json(caller: Caller, applications: ApplicationsOf) -> dict[str, Any]:
    """By what the command line tool resolves names."""
    known = user_json(caller)
    person = {name: known[name] for name in ("id", "name", "avatar", "email", "lang", "admin")}
    spaces = [each for each in caller.organisations if each.id != caller.user_id]
    return {
        "user": {**person, "canSEPA": False, **_belongings(caller.user_id, applications)},
        "organisations": [_organisation(each, applications) for each in spaces],
    }


def _organisation(each: Organisation, applications: ApplicationsOf) -> dict[str, Any]:
    return {
        "id": each.id,
        "name": each.name,
        "avatar": None,
        "role": "ADMIN",
        **_belongings(each.id, applications),
        "providers": [],
        "vatState": "VALID",
        "canPay": True,
    }


def _belongings(owner_id: str, applications: ApplicationsOf) -> dict[str, Any]:
    summarised = [_application(app) for app in applications(owner_id)]
    return {"applications": summarised, "addons": [], "consumers": []}


def _application(app: Application) -> dict[str, Any]:
    kind = app.definition.instance_type
    return {
        "id": app.id,
        "name": app.definition.name,
        "instanceType": kind.type,
        "instanceVariant": kind.variant,
        "variantSlug": kind.slug,
        "archived": app.definition.fields.get("archived", False),
        "homogeneous": app.definition.fields.get("homogeneous", False),
        "variantLogoUrl": "/logo.svg",
        "state": app.state,
        "commit": app.commit_id,
        "systemTags": [],
        "customerTags": list(app.definition.fields.get("tags", [])),
    }
