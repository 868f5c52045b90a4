"""What the simulated cloud has on offer: zones, flavors, instance types (spec clever-cloud-api.md §2.2)."""

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


_ZONE_ROWS = (
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
    for name, city, country, code, lat, lon, tags in _ZONE_ROWS
)

DOCKER_VARIANT = "11111111-1111-4111-8111-111111111111"
RUNNER_VARIANT = "70d676a0-a775-4dc9-a43d-3121036e8515"
RUNNER_CONTEXT = "heptapod-runner"
MAX_INSTANCES = 40


@attrs.frozen(kw_only=True)
class Flavor:
    """One size; `mem` in MiB, `price` per hour in the cloud's billing unit."""

    name: str
    mem: int
    cpus: int
    price: float
    available: bool = True
    shared: bool = False


@attrs.frozen(kw_only=True)
class InstanceType:
    """One type × version × variant on offer; a disabled one is listed but must not be used."""

    type: str
    version: str
    name: str
    slug: str
    variant: str
    flavors: tuple[Flavor, ...]
    enabled: bool = True

    def flavor(self, name: str) -> Flavor | None:
        """The flavor of that name if it can be requested."""
        return next((each for each in self.flavors if each.name == name and each.available), None)

    @property
    def default_flavor(self) -> Flavor:
        """XS, in every context."""
        return next(each for each in self.flavors if each.name.split("-")[-1] == "XS")

    @property
    def build_flavor(self) -> Flavor:
        """M, in every context."""
        return next(each for each in self.flavors if each.name.split("-")[-1] == "M")


@attrs.frozen(kw_only=True)
class Catalogue:
    """Replace `Cloud.catalogue` to change what is on offer while the cloud runs."""

    instance_types: tuple[InstanceType, ...]
    zones: tuple[Zone, ...] = ZONES

    def zone(self, name: str) -> Zone | None:
        return next((each for each in self.zones if each.name == name), None)

    def instance_type(self, kind: str, version: str, variant: str) -> InstanceType | None:
        """The type on offer with exactly these three."""
        wanted = (kind, version, variant)
        return next(
            (
                each
                for each in self.instance_types
                if (each.type, each.version, each.variant) == wanted and each.enabled
            ),
            None,
        )

    def flavors(self, context: str | None) -> tuple[Flavor, ...]:
        """The flavors of a context, the standard ones without; none of an unknown context."""
        slug = "docker" if context is None else context
        return next((each.flavors for each in self.instance_types if each.slug == slug), ())

    def offering(self, flavor: str, *, available: bool) -> "Catalogue":
        """The same with the flavor of that name on offer, or still listed but no longer on offer."""

        def changed(flavors: tuple[Flavor, ...]) -> tuple[Flavor, ...]:
            return tuple(
                attrs.evolve(each, available=available) if each.name == flavor else each for each in flavors
            )

        types = (attrs.evolve(each, flavors=changed(each.flavors)) for each in self.instance_types)
        return attrs.evolve(self, instance_types=tuple(types))


def standard_catalogue(version: str = "20210421") -> Catalogue:
    """Docker with the standard flavors, its variant for runners, and a newer one that is not enabled."""
    docker = InstanceType(
        type="docker",
        version=version,
        name="Docker",
        slug="docker",
        variant=DOCKER_VARIANT,
        flavors=_STANDARD_FLAVORS,
    )
    runner = attrs.evolve(
        docker,
        name="Heptapod Runner",
        slug=RUNNER_CONTEXT,
        variant=RUNNER_VARIANT,
        flavors=_RUNNER_FLAVORS,
    )
    upcoming = attrs.evolve(docker, version="29991231", enabled=False)
    return Catalogue(instance_types=(docker, runner, upcoming))


_STANDARD_FLAVORS = (
    Flavor(name="pico", mem=256, cpus=1, price=0.1074, shared=True),
    Flavor(name="nano", mem=512, cpus=1, price=0.1432, shared=True),
    Flavor(name="XS", mem=1024, cpus=1, price=0.3436),
    Flavor(name="S", mem=2048, cpus=2, price=0.6873),
    Flavor(name="M", mem=4096, cpus=4, price=1.7182),
    Flavor(name="L", mem=8192, cpus=6, price=3.4364),
    Flavor(name="XL", mem=16384, cpus=8, price=6.8729),
    Flavor(name="2XL", mem=24576, cpus=12, price=13.7458),
    Flavor(name="3XL", mem=32768, cpus=16, price=27.4915),
)

_RUNNER_FLAVORS = (
    *(
        attrs.evolve(each, name=f"{RUNNER_CONTEXT}-{each.name}", mem=2 * each.mem)
        for each in _STANDARD_FLAVORS
        if not each.shared
    ),
    Flavor(name=f"{RUNNER_CONTEXT}-4XL", mem=65536, cpus=16, price=54.983, available=False),
)
