"""What the cloud has on offer, while that changes: flavors and their prices, zones, room."""

from collections.abc import AsyncIterator
from typing import Any

import attrs
import httpx
import pytest

from paas_runner.sandbox.cloud import Cloud, CloudOptions, Organisation, create_app
from tests.support.clouds import CREATION, TOKEN, Program, real_cloud


@attrs.frozen
class Offer:
    cloud: Cloud
    organisation: Organisation
    client: httpx.AsyncClient

    async def create(self, **fields: Any) -> httpx.Response:
        path = f"/v2/organisations/{self.organisation.id}/applications"
        return await self.client.post(path, json={**CREATION, **fields})

    async def flavors(self) -> dict[str, Any]:
        answer = await self.client.get("/v2/products/flavors", params={"context": "heptapod-runner"})
        return {flavor["name"].rpartition("-")[2]: flavor for flavor in answer.json()}


@pytest.fixture
async def offer() -> AsyncIterator[Offer]:
    cloud, organisation = real_cloud(Program())
    headers = {"Authorization": f"token {TOKEN.reveal()}"}
    transport = httpx.ASGITransport(create_app(cloud))
    async with httpx.AsyncClient(transport=transport, base_url="http://cloud", headers=headers) as client:
        yield Offer(cloud, organisation, client)
    await cloud.aclose()


async def test_every_flavor_has_its_price_and_bigger_ones_cost_more(offer: Offer) -> None:
    prices = [flavor["price"] for flavor in (await offer.flavors()).values()]
    assert all(price > 0 for price in prices)
    assert prices == sorted(set(prices))


async def test_a_flavor_can_be_taken_off_the_offer_and_put_back(offer: Offer) -> None:
    whole = offer.cloud.catalogue
    offer.cloud.catalogue = whole.offering("heptapod-runner-M", available=False)
    assert not (await offer.flavors())["M"]["available"]
    assert (await offer.create()).status_code == 400
    offer.cloud.catalogue = offer.cloud.catalogue.offering("heptapod-runner-M", available=True)
    assert offer.cloud.catalogue == whole
    assert (await offer.create()).status_code == 200


async def test_zones_are_listed_in_both_versions_and_can_be_withdrawn(offer: Offer) -> None:
    short = (await offer.client.get("/v2/products/zones")).json()
    long = (await offer.client.get("/v4/products/zones")).json()
    assert short[0] == {"name": "par", "internal": False, "correspondingRegion": "eu"}
    assert [zone["name"] for zone in long] == [zone["name"] for zone in short]
    assert (await offer.client.get("/v4/products/zones/mtl")).json()["countryCode"] == "CA"
    left = tuple(zone for zone in offer.cloud.catalogue.zones if zone.name != "mtl")
    offer.cloud.catalogue = attrs.evolve(offer.cloud.catalogue, zones=left)
    assert (await offer.client.get("/v4/products/zones/mtl")).status_code == 404
    assert (await offer.create(zone="mtl")).status_code == 400


@pytest.mark.parametrize("status", [503, 400])
@pytest.mark.parametrize("exhausted", ["par", "heptapod-runner-M"])
async def test_a_zone_or_a_flavor_without_room_is_refused_and_others_are_not(
    offer: Offer, exhausted: str, status: int
) -> None:
    offer.cloud.options = CloudOptions(exhausted={exhausted: status})
    refused = await offer.create()
    assert refused.status_code == status
    assert f"no capacity left for {exhausted}" in refused.json()["message"]
    assert offer.cloud.ledger.created == ()
    elsewhere = await offer.create(zone="mtl", minFlavor="heptapod-runner-L", maxFlavor="heptapod-runner-L")
    assert elsewhere.status_code == 200
