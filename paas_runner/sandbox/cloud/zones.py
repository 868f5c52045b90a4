"""Where the simulated cloud has machines (spec clever-cloud-api.md §2.2)."""

import attrs


@attrs.frozen(kw_only=True)
class Zone:
    """One zone; `tags` are those of the v4 list."""

    name: str
    city: str
    country: str
    country_code: str
    lat: float
    lon: float
    tags: tuple[str, ...]


_ROWS = (
    ("par", "Paris", "France", "FR", 48.87, 2.33, "infra:clever-cloud region:eu"),
    ("parhds", "Paris", "France", "FR", 48.87, 2.33, "infra:clever-cloud region:eu certification:hds"),
    ("grahds", "Gravelines", "France", "FR", 50.99, 2.13, "infra:ovh region:eu certification:hds"),
    ("rbx", "Roubaix", "France", "FR", 50.69, 3.17, "infra:ovh region:eu"),
    ("rbxhds", "Roubaix", "France", "FR", 50.69, 3.17, "infra:ovh region:eu certification:hds"),
    ("scw", "Paris", "France", "FR", 48.87, 2.33, "infra:scaleway region:eu"),
    ("ldn", "London", "United Kingdom", "GB", 51.51, -0.13, "infra:ovh"),
    ("mtl", "Montreal", "Canada", "CA", 45.5, -73.57, "infra:ovh"),
    ("sgp", "Singapore", "Singapore", "SG", 1.35, 103.82, "infra:ovh"),
    ("syd", "Sydney", "Australia", "AU", -33.87, 151.21, "infra:ovh"),
    ("wsw", "Warsaw", "Poland", "PL", 52.23, 21.01, "infra:ovh region:eu"),
)

ZONES = tuple(
    Zone(
        name=name,
        city=city,
        country=country,
        country_code=code,
        lat=lat,
        lon=lon,
        tags=tuple(tags.split()),
    )
    for name, city, country, code, lat, lon, tags in _ROWS
)
