"""Signatures: the examples that Amazon's reference computes."""

from datetime import UTC, datetime

import pytest

from paas_runner.inner.cache.settings import Bucket
from paas_runner.inner.cache.transfer import object_url, signed_headers
from paas_runner.secret import Secret

BUCKET = Bucket(
    url="https://examplebucket.s3.amazonaws.com",
    region="us-east-1",
    access_key="AKIAIOSFODNN7EXAMPLE",
    secret_key=Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
)
MOMENT = datetime(2013, 5, 24, tzinfo=UTC)


def test_the_signature_of_a_get_is_the_one_in_the_reference() -> None:
    url = object_url(BUCKET, "test.txt")
    signed = signed_headers(BUCKET, "GET", url, moment=MOMENT, headers={"range": "bytes=0-9"})
    assert signed["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


def test_the_signature_of_a_put_is_the_one_in_the_reference() -> None:
    url = object_url(BUCKET, "test$file.text")
    signed = signed_headers(
        BUCKET,
        "PUT",
        url,
        moment=MOMENT,
        content_hash="44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
        headers={"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
    )
    assert url.endswith("/test%24file.text")
    signature = signed["authorization"].rpartition("=")[2]
    assert signature == "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"


@pytest.mark.parametrize(
    ("name", "path"),
    [("a b+c", "a%20b%2Bc"), ("é/~x", "%C3%A9/~x"), ("100%", "100%25")],
)
def test_names_of_objects_are_encoded_as_they_are_signed(name: str, path: str) -> None:
    assert object_url(BUCKET, name) == f"{BUCKET.url}/{path}"
