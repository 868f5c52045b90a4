"""Whether a delivery is genuine, by the examples that the providers publish.

GitHub: docs.github.com, "Validating webhook deliveries", the values to test with. Standard Webhooks: the
tests of the reference libraries (github.com/standard-webhooks/standard-webhooks, `webhook_test`) and svix's
documents have one secret, id, moment and body. GitLab: docs.gitlab.com, "Webhooks": X-Gitlab-Token as it
is, or a signing token `whsec_…` after Standard Webhooks, whose `webhook-id` equals `Idempotency-Key`.
"""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from paas_pipelines.triggers.signatures import (
    Headers,
    SecretFormError,
    delivery_of,
    event_of,
    is_genuine,
    is_signed_id,
    why_not,
)

from paas_runner.secret import Secret

HUB = Secret("It's a Secret to Everybody")
HUB_BODY = b"Hello, World!"
HUB_SIGNATURE = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
STANDARD = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
STANDARD_BODY = b'{"test": 2432232314}'
STANDARD_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
THEN = datetime.fromtimestamp(1614265330, UTC)


def genuine(provider, *pairs, secrets=(HUB,), body=HUB_BODY, now=THEN):
    return is_genuine(provider, list(secrets), Headers(pairs), body, now)


def standard(signature=STANDARD_SIGNATURE, moment="1614265330", **more):
    pairs = [("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"), ("webhook-timestamp", moment)]
    given = {"secrets": [STANDARD], "body": STANDARD_BODY, **more}
    return genuine(given.pop("provider", "standard"), *pairs, ("webhook-signature", signature), **given)


def test_githubs_example_is_genuine_and_not_with_one_byte_more_or_another_secret():
    assert genuine("github", ("X-Hub-Signature-256", HUB_SIGNATURE))
    assert not genuine("github", ("X-Hub-Signature-256", HUB_SIGNATURE), body=HUB_BODY + b"\n")
    assert not genuine("github", ("X-Hub-Signature-256", HUB_SIGNATURE), secrets=[Secret("another")])


def test_github_is_believed_with_exactly_one_signature_with_its_prefix_and_never_with_sha_1():
    one = ("X-Hub-Signature-256", HUB_SIGNATURE)
    assert not genuine("github", one, one)
    assert not genuine("github", ("X-Hub-Signature-256", HUB_SIGNATURE.removeprefix("sha256=")))
    assert not genuine("github", ("X-Hub-Signature-256", HUB_SIGNATURE.upper()))
    assert not genuine("github", ("X-Hub-Signature-256", ""))
    assert not genuine("github")
    sha_1 = "sha1=" + hmac.new(HUB.reveal().encode(), HUB_BODY, hashlib.sha1).hexdigest()
    assert not genuine("github", ("X-Hub-Signature", sha_1))
    assert not genuine("github", ("X-Hub-Signature-256", sha_1))


def test_the_example_of_standard_webhooks_is_genuine_beside_signatures_of_other_keys_and_kinds():
    assert standard()
    assert standard(f"v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw v1,AAAA {STANDARD_SIGNATURE}")
    assert standard(secrets=[Secret("whsec_" + base64.b64encode(b"x" * 24).decode()), STANDARD])
    assert standard(secrets=[Secret(STANDARD.reveal().removeprefix("whsec_"))])
    assert not standard(STANDARD_SIGNATURE.removeprefix("v1,"))
    assert not standard(STANDARD_SIGNATURE.replace("v1,", "v2,"))
    assert not standard("")


@pytest.mark.parametrize(
    ("seconds", "believed"), [(-301, False), (-300, True), (0, True), (300, True), (301, False)]
)
def test_a_signature_is_good_for_five_minutes_each_way(seconds, believed):
    assert standard(now=THEN + timedelta(seconds=seconds)) is believed


@pytest.mark.parametrize("moment", ["", "-1614265330", "1614265330.0", "١٦١٤٢٦٥٣٣٠", "9" * 5000, "NaN"])
def test_a_moment_that_is_none_is_no_accident(moment):
    assert not standard(moment=moment)


def test_a_secret_that_is_no_base64_is_told_without_its_text():
    with pytest.raises(SecretFormError, match="no base64") as told:
        standard(secrets=[Secret("whsec_canary!")])
    assert "canary" not in str(told.value)


def test_gitlabs_token_is_compared_and_its_signing_token_signs_as_standard_webhooks():
    assert genuine("gitlab", ("X-Gitlab-Token", HUB.reveal()))
    assert not genuine("gitlab", ("X-Gitlab-Token", HUB.reveal() + " "))
    assert not genuine("gitlab", ("X-Gitlab-Token", HUB.reveal()), ("X-Gitlab-Token", "x"))
    assert standard(provider="gitlab")
    assert not genuine("gitlab", ("X-Gitlab-Token", STANDARD.reveal()), secrets=[STANDARD])


def test_a_bearer_token_is_one_alone():
    assert genuine("token", ("Authorization", f"bearer {HUB.reveal()}"))
    assert not genuine("token", ("Authorization", f"Basic {HUB.reveal()}"))
    assert not genuine("token", ("Authorization", "Bearer é"))


@pytest.mark.parametrize("provider", ["github", "gitlab", "token"])
def test_an_empty_secret_proves_nothing(provider):
    digest = "sha256=" + hmac.new(b"", HUB_BODY, hashlib.sha256).hexdigest()
    pairs = [("X-Hub-Signature-256", digest), ("X-Gitlab-Token", ""), ("Authorization", "Bearer ")]
    assert not genuine(provider, *pairs, secrets=[Secret("")])
    assert not genuine(provider, *pairs, secrets=[])


def test_events_and_deliveries_are_what_the_provider_calls_so_once():
    headers = Headers(
        [
            ("X-GitHub-Event", "push"),
            ("X-GitHub-Delivery", "1"),
            ("X-Gitlab-Event", "Push Hook"),
            ("X-Gitlab-Event-UUID", "shared"),
            ("Idempotency-Key", "2"),
            ("webhook-id", "3"),
        ]
    )
    assert [event_of(name, headers) for name in ("github", "gitlab", "standard")] == ["push", "Push Hook", ""]
    assert [delivery_of(name, headers) for name in ("github", "gitlab", "standard", "token")] == list("1232")
    assert is_signed_id("gitlab", [STANDARD])
    assert delivery_of("gitlab", headers, signed=True) == "3"
    assert delivery_of("github", Headers([("X-GitHub-Delivery", "1")] * 2)) == ""


@pytest.mark.parametrize(
    ("provider", "pairs", "secret", "reason"),
    [
        ("github", [], HUB, "not there, or not once: x-hub-signature-256"),
        (
            "github",
            [("X-Hub-Signature-256", HUB_SIGNATURE)],
            HUB,
            "x-hub-signature-256 does not fit the secret",
        ),
        ("github", [], Secret(""), "the secret is empty"),
        ("gitlab", [], HUB, "not there, or not once: x-gitlab-token"),
        ("gitlab", [], STANDARD, "not there, or not once: webhook-id, webhook-timestamp, webhook-signature"),
        ("token", [("Authorization", "Bearer no")], HUB, "authorization does not fit the secret"),
    ],
)
def test_the_log_is_told_why_a_delivery_is_refused(provider, pairs, secret, reason):
    assert why_not(provider, [secret], Headers(pairs), THEN) == reason


@pytest.mark.parametrize("moment", [str(1614265330 - 301), "soon"])
def test_the_log_is_told_of_a_clock_that_differs(moment):
    headers = Headers(
        [("webhook-id", "1"), ("webhook-timestamp", moment), ("webhook-signature", STANDARD_SIGNATURE)]
    )
    assert "clock" in why_not("standard", [STANDARD], headers, THEN)
