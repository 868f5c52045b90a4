"""The keys that `executor = "clever-docker"` adds to a `[[runners]]` section."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

import attrs

from executors.build_context import Identity, signature
from executors.tag_tables import TagHosts
from paas_runner.job.images import InvalidReferenceError, parse
from paas_runner.secret import Secret
from paas_runner.setting_types import Url
from paas_runner.settings import setting

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
BUILT_IN, PROGRAM = "built-in", "program"


@attrs.frozen(kw_only=True)
class CleverSettings:
    """The keys of 1.1.1, with its defaults (core-features.md H070 to H087)."""

    cc_orga_id: str | None = setting("the organisation to which hosts are attached and billed", default=None)
    cc_token: Secret | None = setting(
        "an API token that may create and delete applications", default=None, token=True
    )
    cc_multi_tenant: bool = setting("take organisation and token from group attributes", default=False)
    cc_gitlab_namespace_attributes_token: Secret | None = setting(
        "a token that may read group attributes, for `cc_multi_tenant`", default=None, token=True
    )
    cc_orga_id_attribute: str = setting("name of the organisation's attribute", default="cc_orga_id")
    cc_orga_token_attribute: str = setting("name of the token's attribute", default="cc_orga_token")
    cc_api_url: Url = setting("Clever Cloud's API", default=Url("https://api.clever-cloud.com/v2"))
    cc_zone: str = setting("where hosts run; best near the coordinator", default="par")
    cc_zones: Sequence[str] = setting(
        "where hosts run, in the order of trying; instead of `cc_zone`", factory=tuple
    )
    cc_flavor_fallback: Mapping[str, Sequence[str]] = setting(
        "for a flavor that is not available: which others to try, in this order", factory=dict
    )
    cc_default_flavor: str = setting("size of a host when the job names none", default="M")
    cc_max_flavor: str | None = setting("largest size that a job may ask for", default=None)
    cc_flavor_hint: bool = setting(
        "tell the author of a job for which a much smaller host would have done", default=True
    )
    cc_flavor_context: str = setting("the catalogue's list of flavors to use", default="heptapod-runner")
    cc_flavor_name_prefix: str | None = setting(
        "what the catalogue puts before each size; default: the context and a dash", default=None
    )
    cc_instance_variant_uuid: str = setting(
        "the kind of docker application", default="70d676a0-a775-4dc9-a43d-3121036e8515"
    )
    cc_auth_user: str = setting("user name for the push", default="Jenkins")
    cc_deployment_repo_timeout: timedelta = setting(
        "how long a new host's git repository may take", default=timedelta(seconds=20), minimum=1
    )
    cc_deployment_repo_wait_step: timedelta = setting(
        "the longest pause between two looks at that", default=timedelta(seconds=2), minimum=0.05
    )
    cc_extra_env: Mapping[str, str] = setting("more environment for each host", factory=dict)
    heptapod_runner_main_image: str = setting(
        "image of the inner runner",
        default="registry.heptapod.net:443/heptapod/heptapod-runner/runner:0.7.0",
    )
    paas_git_user_name: str = setting("name in the pushed commit", default="Heptapod Paas Runner")
    paas_git_user_email: str = setting(
        "email address in the pushed commit", default="paasrunner@heptapod.test"
    )
    paas_push: str = setting("who pushes: the service itself, or the git program", default=BUILT_IN)
    tags: Mapping[str, TagHosts] = setting(
        "hosts of jobs with a tag, by that: the first of a job's tags that is here decides", factory=dict
    )

    @property
    def zones(self) -> Sequence[str]:
        """Where hosts may run, the best place first."""
        return self.cc_zones or (self.cc_zone,)

    def zones_for(self, tag: str) -> Sequence[str]:
        """The same for jobs of which `tag` decides; empty for those of which none does."""
        hosts = self.tags.get(tag)
        return (hosts.places if hosts else ()) or self.zones

    def image_for(self, tag: str) -> str:
        """The image of the inner runner on their hosts."""
        hosts = self.tags.get(tag)
        return (hosts.image if hosts else None) or self.heptapod_runner_main_image

    @property
    def flavor_prefix(self) -> str:
        """What stands before a size in the catalogue's names."""
        if self.cc_flavor_name_prefix is None:
            return f"{self.cc_flavor_context}-"
        return self.cc_flavor_name_prefix

    @property
    def identity(self) -> Identity:
        """Who the pushed commits are by."""
        return Identity(name=self.paas_git_user_name, email=self.paas_git_user_email)

    def problems(self) -> Iterable[tuple[str, str]]:
        """Contradictions between keys."""
        if self.cc_multi_tenant and not self.cc_gitlab_namespace_attributes_token:
            yield "cc_gitlab_namespace_attributes_token", "required for `cc_multi_tenant`"
        for key in ("cc_orga_id", "cc_token"):
            if not (self.cc_multi_tenant or getattr(self, key)):
                yield key, "required unless `cc_multi_tenant` is true"
        if self.cc_zones and self.cc_zone not in ("par", self.cc_zones[0]):
            yield "cc_zones", "does not begin with `cc_zone`: keep one of the two"
        try:
            parse(self.heptapod_runner_main_image)
        except InvalidReferenceError as error:
            yield "heptapod_runner_main_image", f"is no image name: {error}"
        if self.paas_push not in (BUILT_IN, PROGRAM):
            yield "paas_push", f'must be "{BUILT_IN}" or "{PROGRAM}"'
        for key in ("paas_git_user_name", "paas_git_user_email"):
            if not _is_signature(getattr(self, key)):
                yield key, "must be text on one line, without < and >"
        if self.cc_deployment_repo_wait_step > self.cc_deployment_repo_timeout:
            yield "cc_deployment_repo_wait_step", "is longer than `cc_deployment_repo_timeout`"
        for name in self.cc_extra_env:
            if not _VARIABLE.fullmatch(name):
                yield "cc_extra_env", f"{name!r} is no name for an environment variable"


def _is_signature(text: str) -> bool:
    """Whether git can put it into a commit."""
    return text.isprintable() and not set("<>") & set(text) and signature(text) != ""
