"""The routes below `/v2/organisations/{organisation}` (spec clever-cloud-api.md §2.4, §2.6)."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from paas_runner.sandbox.cloud import bodies, render
from paas_runner.sandbox.cloud.application import Application, InstanceState
from paas_runner.sandbox.cloud.auth import organisation_access, requested_application
from paas_runner.sandbox.cloud.errors import CloudRefusedError, invalid_value
from paas_runner.sandbox.cloud.model import Cloud

_APPLICATIONS = "/v2/organisations/{organisation}/applications"
_APPLICATION = f"{_APPLICATIONS}/{{application}}"
_DEFAULT_ROWS = 10  # how many deployments are listed without `limit`

GitUrl = Callable[[Request, Application], str]


class ApplicationRoutes:
    """Applications, their environment, instances, deployments and domains."""

    def __init__(self, cloud: Cloud, git_url: GitUrl) -> None:
        self._cloud = cloud
        self._git_url = git_url

    def routes(self) -> list[Route]:
        return [
            Route(_APPLICATIONS, self.list_all, methods=["GET"]),
            Route(_APPLICATIONS, self.create, methods=["POST"]),
            Route(_APPLICATION, self.read, methods=["GET"]),
            Route(_APPLICATION, self.update, methods=["PUT"]),
            Route(_APPLICATION, self.delete, methods=["DELETE"]),
            Route(f"{_APPLICATION}/env", self.env, methods=["GET"]),
            Route(f"{_APPLICATION}/env", self.replace_env, methods=["PUT"]),
            Route(f"{_APPLICATION}/env/{{variable}}", self.set_variable, methods=["PUT"]),
            Route(f"{_APPLICATION}/env/{{variable}}", self.remove_variable, methods=["DELETE"]),
            Route(f"{_APPLICATION}/addons/env", self.nothing, methods=["GET"]),
            Route(f"{_APPLICATION}/dependencies/env", self.nothing, methods=["GET"]),
            Route(f"{_APPLICATION}/instances", self.instances, methods=["GET"]),
            Route(f"{_APPLICATION}/instances", self.redeploy, methods=["POST"]),
            Route(f"{_APPLICATION}/instances", self.stop, methods=["DELETE"]),
            Route(f"{_APPLICATION}/deployments", self.deployments, methods=["GET"]),
            Route(f"{_APPLICATION}/deployments/{{deployment}}", self.deployment, methods=["GET"]),
            Route(f"{_APPLICATION}/deployments/{{deployment}}/instances", self.cancel, methods=["DELETE"]),
            Route(f"{_APPLICATION}/vhosts", self.domains, methods=["GET"]),
            Route(f"{_APPLICATION}/vhosts/favourite", self.favourite_domain, methods=["GET"]),
        ]

    async def list_all(self, request: Request) -> Response:
        access = organisation_access(request, self._cloud)
        with_env = self._cloud.options.env_in_lists
        apps = self._cloud.applications(access.organisation.id)
        return JSONResponse([self._application(request, app, with_env=with_env) for app in apps])

    async def create(self, request: Request) -> Response:
        """A new application; its name need not be unique."""
        access = organisation_access(request, self._cloud)
        raw = await bodies.json_object(request)
        definition = bodies.definition(raw, self._cloud.catalogue)
        env = bodies.environment(raw.get("env") or {}, "obj.env")
        app = self._cloud.create(access.organisation.id, definition, env, by=access.token)
        return JSONResponse(self._application(request, app))

    async def read(self, request: Request) -> Response:
        _, app = requested_application(request, self._cloud)
        return JSONResponse(self._application(request, app))

    async def update(self, request: Request) -> Response:
        """Change an application's definition; unknown fields are ignored, absent ones stay."""
        access, app = requested_application(request, self._cloud)
        raw = await bodies.json_object(request)
        self._cloud.redefine(
            app, bodies.redefinition(raw, app.definition, self._cloud.catalogue), by=access.token
        )
        return JSONResponse(self._application(request, app))

    async def delete(self, request: Request) -> Response:
        access = organisation_access(request, self._cloud)
        await self._cloud.delete(access.organisation.id, request.path_params["application"], by=access.token)
        return _notice(302, "The application has successfully been deleted.")

    async def env(self, request: Request) -> Response:
        _, app = requested_application(request, self._cloud)
        return JSONResponse(render.env(app))

    async def replace_env(self, request: Request) -> Response:
        """Replace the whole environment, or with `check=true` only validate it."""
        access, app = requested_application(request, self._cloud)
        env = bodies.environment(await bodies.json_object(request))
        if request.query_params.get("check") != "true":
            self._cloud.set_env(app, env, by=access.token)
        return JSONResponse(self._application(request, app))

    async def set_variable(self, request: Request) -> Response:
        access, app = requested_application(request, self._cloud)
        value = bodies.variable_value(await bodies.json_object(request))
        env = bodies.environment({request.path_params["variable"]: value})
        self._cloud.set_env(app, {**app.env, **env}, by=access.token)
        return JSONResponse(self._application(request, app))

    async def remove_variable(self, request: Request) -> Response:
        """Remove one variable; an absent one is no error."""
        access, app = requested_application(request, self._cloud)
        left = {name: value for name, value in app.env.items() if name != request.path_params["variable"]}
        self._cloud.set_env(app, left, by=access.token)
        return JSONResponse(self._application(request, app))

    async def nothing(self, request: Request) -> Response:
        """What add-ons or linked applications contribute: there are none."""
        requested_application(request, self._cloud)
        return JSONResponse([])

    async def instances(self, request: Request) -> Response:
        """The instances, of one deployment if one is named, gone ones only on request."""
        _, app = requested_application(request, self._cloud)
        wanted = request.query_params.get("deploymentId")
        with_deleted = request.query_params.get("withDeleted") == "true"
        return JSONResponse(
            [
                render.instance(each, app)
                for each in app.instances.values()
                if (wanted is None or each.deployment.uuid == wanted)
                and (with_deleted or each.state is not InstanceState.DELETED)
            ]
        )

    async def redeploy(self, request: Request) -> Response:
        access, app = requested_application(request, self._cloud)
        uuid = self._cloud.redeploy(app, request.query_params.get("commit"), by=access.token)
        return _notice(320, "The application has successfully been queued for redeploy.", deploymentId=uuid)

    async def stop(self, request: Request) -> Response:
        access, app = requested_application(request, self._cloud)
        await self._cloud.stop(app, by=access.token)
        return _notice(303, "The application has successfully been stopped.")

    async def deployments(self, request: Request) -> Response:
        access, app = requested_application(request, self._cloud)
        limit, offset = _number(request, "limit", _DEFAULT_ROWS), _number(request, "offset", 0)
        rows = list(reversed(app.deployments.values()))[offset : offset + limit]
        return JSONResponse([render.deployment(row, access.organisation) for row in rows])

    async def deployment(self, request: Request) -> Response:
        access, app = requested_application(request, self._cloud)
        row = self._cloud.deployment(app, request.path_params["deployment"])
        return JSONResponse(render.deployment(row, access.organisation))

    async def cancel(self, request: Request) -> Response:
        """Cancel a deployment in progress, by uuid or number."""
        access, app = requested_application(request, self._cloud)
        self._cloud.cancel(app, request.path_params["deployment"], by=access.token)
        return _notice(304, "The deployment has successfully been cancelled.")

    async def domains(self, request: Request) -> Response:
        _, app = requested_application(request, self._cloud)
        return JSONResponse([{"fqdn": render.domain(app)}])

    async def favourite_domain(self, request: Request) -> Response:
        """There is none (§1.4)."""
        requested_application(request, self._cloud)
        raise CloudRefusedError(404, 4021, "The application has no favourite domain.")

    def _application(self, request: Request, app: Application, *, with_env: bool = True) -> dict[str, Any]:
        return render.application(app, self._cloud.clock(), self._git_url(request, app), with_env=with_env)


def _notice(number: int, message: str, **more: str) -> Response:
    return JSONResponse({"id": number, "message": message, "type": "success", **more})


def _number(request: Request, name: str, default: int) -> int:
    value = request.query_params.get(name, str(default))
    if not (value.isascii() and value.isdigit()):
        raise invalid_value(name, "a number was expected")
    return int(value)
