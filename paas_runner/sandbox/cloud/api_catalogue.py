"""The routes that tell what is on offer, open to everybody (spec clever-cloud-api.md §2.2)."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from paas_runner.sandbox.cloud import render
from paas_runner.sandbox.cloud.model import Cloud


class CatalogueRoutes:
    """Instance types, flavors and zones, as they are at the time of the request."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route("/v2/products/instances", self.instance_types, methods=["GET"]),
            Route("/v2/products/flavors", self.flavors, methods=["GET"]),
            Route("/v2/products/zones", self.zone_names, methods=["GET"]),
            Route("/v4/products/zones", self.zones, methods=["GET"]),
            Route("/v4/products/zones/{zone}", self.zone, methods=["GET"]),
        ]

    async def instance_types(self, _: Request) -> Response:
        """What kinds of applications are on offer."""
        return JSONResponse([render.instance_type(each) for each in self._cloud.catalogue.instance_types])

    async def flavors(self, request: Request) -> Response:
        """The flavors of a context, unavailable ones included."""
        flavors = self._cloud.catalogue.flavors(request.query_params.get("context"))
        return JSONResponse([render.flavor(each) for each in flavors])

    async def zone_names(self, _: Request) -> Response:
        """The zones in their short form."""
        return JSONResponse([render.zone_name(each) for each in self._cloud.catalogue.zones])

    async def zones(self, _: Request) -> Response:
        """The zones and where they are."""
        return JSONResponse([render.zone(each) for each in self._cloud.catalogue.zones])

    async def zone(self, request: Request) -> Response:
        """One zone and where it is."""
        found = self._cloud.catalogue.zone(request.path_params["zone"])
        if found is None:
            raise HTTPException(404)
        return JSONResponse(render.zone(found))
