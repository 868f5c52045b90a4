"""What is accepted as an address is accepted by the client that gets it; what is refused is told in words."""

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from paas_runner.addresses import AddressError, parsed
from tests.support.often import often

WEB = ("https", "http")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("HTTPS://gitlab.example", "https://gitlab.example"),
        ("Http://Gitlab.Example:80/sub", "http://Gitlab.Example:80/sub"),
        ("https://[2001:db8::1]:8443/api", "https://[2001:db8::1]:8443/api"),
        ("https://gitlab_one.internal/", "https://gitlab_one.internal/"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://10.1.2.3:8080", "https://10.1.2.3:8080"),
        ("https://gitlab.example.:443", "https://gitlab.example.:443"),
    ],
)
def test_an_address_has_one_form(text: str, meant: str) -> None:
    assert str(parsed(text, WEB)) == meant


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("gitlab.example", "must begin with"),
        ("https://", "has no host"),
        ("https://:443", "has no host"),
        ("http://192.168.1.300:8080", "looks like an IPv4 address"),
        ("http://1.2.3", "looks like an IPv4 address"),
        ("http://0x7f000001", "looks like an IPv4 address"),
        ("https://xn--a", "no name of a host"),
        ("https://gitlab_é.example.com", "no name of a host"),
        ("https://a..b", "no name of a host"),
        ("https://-a.example", "no name of a host"),
        ("https://git*.example", "no name of a host"),
        ("http://[::1]x:80", "no name and no IP address"),
        ("http://[::1", "enclose no IPv6 address"),
        ("http://[fe80::1%eth0]/", "enclose no IPv6 address"),
        ("http://fe80::1/", "no name and no IP address"),
        ("https://api.example:443x/v2", "no number from 1 to 65535"),
        ("http://127.0.0.1:99999/v2", "no number from 1 to 65535"),
        ("http://127.0.0.1:0", "no number from 1 to 65535"),
        ("http://127.0.0.1:٣", "no number from 1 to 65535"),
        ("https://git lab.example", "blank or an invisible character"),
        ("https://gitlab.example\u200b", "blank or an invisible character"),
        ("https://user:word@gitlab.example", "credentials, query and fragment"),
        ("https://gitlab.example/" + "a" * 3000, "longer than"),
    ],
)
def test_what_is_no_address_is_refused_with_the_reason(text: str, what: str) -> None:
    with pytest.raises(AddressError, match=what) as caught:
        parsed(text, WEB)
    assert text.partition("://")[2] not in str(caught.value) or not text.partition("://")[2]


PIECES = st.one_of(
    st.sampled_from(
        ["https://", "http://", "HTTPS://", "[::1]", "[", "]", ":", "/", ".", "%", "1.2.3.4", "xn--", "-"]
    ),
    st.sampled_from(
        ["gitlab.example", "é", "ß", "%zz", "\\", "_", "99999", ":443", "|", "٣", "\x7f", "[v1.a]", "。"]
    ),
    st.text(max_size=4),
)


@settings(max_examples=often(400), deadline=None)
@example(["http://", "[::ffff:1.2.3.4]", ":443"])
@example(["http://", "a。b"])
@example(["http://", "xn--a"])
@given(st.lists(PIECES, max_size=6))
def test_every_client_takes_what_is_accepted(pieces: list[str]) -> None:
    for text in ("".join(pieces), "https://" + "".join(pieces)):
        try:
            address = parsed(text, WEB)
        except AddressError:
            continue
        url = httpx.Client(base_url=str(address), trust_env=False).build_request("GET", "/x").url
        assert (url.scheme, url.port or {"http": 80, "https": 443}[url.scheme]) == (
            address.scheme,
            address.port or {"http": 80, "https": 443}[address.scheme],
        )
        assert parsed(str(address), WEB) == address
