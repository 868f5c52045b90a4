"""What can be done about a request that Clever Cloud refused (spec `clever-cloud-api.md` §1.4). Pure."""

from collections.abc import Mapping

_CREDENTIALS = (
    "ask the operators of this runner: the organisation and its token (cc_orga_id, cc_token, or the "
    "group's attributes) do not fit; until that is put right no retry helps"
)
_BY_ID: Mapping[int, str] = {
    557: "ask the operators of this runner: cc_extra_env has what Clever Cloud does not take",
    4004: "retry the job: somebody, or another program, removed its host",
    9017: "retry the job: Clever Cloud has just changed what it has on offer",
}
_BY_STATUS: Mapping[int, str] = {
    400: "choose another flavor (CI_CLEVER_CLOUD_FLAVOR), or ask the operators of this runner: "
    "are cc_zone and cc_instance_variant_uuid right?",
    401: _CREDENTIALS,
    403: _CREDENTIALS,
    404: "ask the operators of this runner: are cc_api_url and cc_orga_id right?",
}


def advice(status: int, number: int | None) -> str:
    """By the error's id where that says enough, else by the HTTP status; may be empty."""
    return _BY_ID.get(number or 0) or _BY_STATUS.get(status, "")
