"""The keys of `executor = "clever-service-docker"`: those of `clever-docker`, and its own."""

from collections.abc import Iterable

import attrs

from executors.clever.settings import CleverSettings
from paas_runner.addresses import Address, AddressError, parsed
from paas_runner.helper.protocol import START_UNTIL_VARIABLE, TOKEN_VARIABLE
from paas_runner.job.images import InvalidReferenceError, parse
from paas_runner.settings import setting

REFERENCE_IMAGE = "registry.heptapod.net/heptapod/heptapod-paas-runner/helper:testing"
HELPER_URL = "https://{application}.cleverapps.io"
_PLACE = "{application}"
_OURS = (TOKEN_VARIABLE, START_UNTIL_VARIABLE)


@attrs.frozen(kw_only=True)
class CleverServiceSettings(CleverSettings):
    """The keys of 1.1.1 with its defaults (core-features.md H065, H131), and where helpers are reached."""

    heptapod_runner_main_image: str = setting(
        "accepted, and without effect: hosts are made of the helper's image",
        default="registry.heptapod.net:443/heptapod/heptapod-runner/runner:0.7.0",
    )
    heptapod_paas_runner_helper_image: str = setting(
        "image of the helper service, which is all that a host is made of", default=REFERENCE_IMAGE
    )
    cc_helper_url: str = setting(
        "where a host's helper service is reached; {application} is its id, with - for _", default=HELPER_URL
    )

    def image_for(self, tag: str) -> str:
        """What hosts of jobs with this tag are made of."""
        hosts = self.tags.get(tag)
        return (hosts.image if hosts else None) or self.heptapod_paas_runner_helper_image

    def helper_address(self, application: str) -> Address:
        """Where the helper of an application is (core-features.md H131); raises `AddressError`."""
        schemes = ("https", "http") if self.cc_api_url.startswith("http://") else ("https",)
        return parsed(self.cc_helper_url.replace(_PLACE, application.replace("_", "-")), schemes)

    def problems(self) -> Iterable[tuple[str, str]]:
        """Contradictions between keys."""
        yield from super().problems()
        try:
            parse(self.heptapod_paas_runner_helper_image)
        except InvalidReferenceError as error:
            yield "heptapod_paas_runner_helper_image", f"is no image name: {error}"
        if _PLACE not in self.cc_helper_url:
            yield "cc_helper_url", f"has no {_PLACE} in it: hosts would not be told apart"
        else:
            try:
                self.helper_address("app-1")
            except AddressError as error:
                yield "cc_helper_url", f"makes no address: {error}"
        for name in _OURS:
            if name in self.cc_extra_env:
                yield "cc_extra_env", f"{name} is for the service to set, another one for each host"
