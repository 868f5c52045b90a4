"""Proxies by the rules of GitLab Runner (Go), and what cannot be used refused in words."""

import asyncio

import pytest

from paas_runner.errors import Exit
from paas_runner.http import Http
from paas_runner.proxies import Proxies, ProxyError

PROXY = "http://proxy.example:3128"


def chosen(url: str, **environ: str) -> str | None:
    proxy = Proxies(environ=environ).of(url)
    return proxy.reveal() if proxy else None


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://gitlab.example", {"HTTPS_PROXY": PROXY}, PROXY),
        ("https://gitlab.example", {"https_proxy": PROXY}, PROXY),
        ("https://gitlab.example", {"HTTP_PROXY": PROXY}, None),
        ("http://gitlab.example", {"HTTP_PROXY": PROXY}, PROXY),
        ("http://gitlab.example", {"http_proxy": "proxy.example:3128"}, PROXY),
        ("https://gitlab.example", {"HTTPS_PROXY": PROXY, "https_proxy": "http://other"}, PROXY),
        ("https://gitlab.example", {"HTTPS_PROXY": "http://[fd00::1]:3128"}, "http://[fd00::1]:3128"),
        ("https://gitlab.example", {"HTTPS_PROXY": "http://me:p%40ss@proxy:1/"}, "http://me:p%40ss@proxy:1"),
        ("https://gitlab.example", {"ALL_PROXY": "socks5h://127.0.0.1:1080"}, None),
        ("https://gitlab.example", {"HTTPS_PROXY": ""}, None),
        ("http://127.0.0.1:8080", {"HTTP_PROXY": PROXY}, None),
        ("http://127.9.9.9", {"HTTP_PROXY": PROXY}, None),
        ("http://[::1]:8080", {"HTTP_PROXY": PROXY}, None),
        ("http://localhost", {"HTTP_PROXY": PROXY}, None),
        ("http://gitlab.example", {"HTTP_PROXY": PROXY, "REQUEST_METHOD": "GET"}, None),
    ],
)
def test_the_scheme_of_the_address_chooses_the_variable(
    url: str, environ: dict[str, str], proxy: str | None
) -> None:
    assert chosen(url, **environ) == proxy


@pytest.mark.parametrize(
    ("url", "no_proxy", "exempt"),
    [
        ("https://gitlab.example", "*", True),
        ("https://gitlab.example", "localhost, gitlab.example", True),
        ("https://gitlab.example", "example", True),
        ("https://gitlab.example", "lab.example", False),
        ("https://ci.gitlab.example", "gitlab.example", True),
        ("https://ci.gitlab.example", ".gitlab.example", True),
        ("https://ci.gitlab.example", "*.gitlab.example", True),
        ("https://gitlab.example", ".gitlab.example", False),
        ("https://GitLab.Example.", "gitlab.example", True),
        ("https://gitlab.example", "gitlab.example:443", True),
        ("https://gitlab.example", "gitlab.example:8443", False),
        ("https://gitlab.example:8443", "gitlab.example:8443", True),
        ("https://10.1.2.3", "10.0.0.0/8", True),
        ("https://11.1.2.3", "10.0.0.0/8", False),
        ("https://10.1.2.3", "10.1.2.3", True),
        ("https://10.1.2.3:8443", "10.1.2.3:443", False),
        ("https://[fd00:1234::5]", "fd00:1234::/64", True),
        ("https://[fd00:1234::5]", "[fd00:1234::5]", True),
        ("https://[fd00:1234::5]", "fd00:1234:0::5", True),
        ("https://[fd00:1234::5]:8443", "[fd00:1234::5]:443", False),
        ("https://gitlab.example", "10.0.0.0/8,::1/128,[::1],/,99/99,:,::", False),
    ],
)
@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
def test_what_no_proxy_names_is_reached_directly(
    url: str, no_proxy: str, exempt: bool, variable: str
) -> None:
    assert (chosen(url, HTTPS_PROXY=PROXY, **{variable: no_proxy}) is None) is exempt


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("socks5h://127.0.0.1:1080", "begins with socks5h://, which is not supported"),
        ("ftp://secret-word:1", "begins with ftp://, which is not supported"),
        ("proxy:abc", "the port of the address is no number"),
        ("http://127.0.0.1:99999", "the port of the address is no number"),
        ("http://", "the address has no host"),
        ("http://[::1", "brackets that enclose no IPv6 address"),
        ("http://me:pässword@proxy:1", "must be percent-encoded"),
    ],
)
def test_what_is_no_proxy_is_one_sentence_and_the_exit_code_of_a_wrong_configuration(
    value: str, why: str
) -> None:
    with pytest.raises(ProxyError, match=why) as caught:
        Http(environ={"HTTPS_PROXY": value})("https://gitlab.example", service="test")
    assert caught.value.exit_code is Exit.CONFIG
    assert str(caught.value).startswith("$HTTPS_PROXY: ")
    assert "secret-word" not in str(caught.value)


def test_the_passwords_of_proxies_are_secrets() -> None:
    proxies = Proxies(environ={"https_proxy": "http://me:p%40ss@proxy:1", "HTTP_PROXY": "me:word@proxy"})
    assert {secret.reveal() for secret in proxies.secrets} == {"p%40ss", "p@ss", "word"}
    assert "word" not in repr(proxies)


async def test_a_call_goes_through_the_proxy_and_on_loopback_around_it() -> None:
    heard = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append((await reader.readline()).decode().split()[1])
        writer.write(b"HTTP/1.1 204 X\r\nConnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        http = Http(environ={"HTTP_PROXY": f"127.0.0.1:{port}", "ALL_PROXY": "socks5://127.0.0.1:1"})
        for url in ("http://gitlab.example", f"http://127.0.0.1:{port}"):
            api = http(url, service="test")
            assert (await api.call("GET", "/x", op="look")).status == 204
            await api.aclose()
    assert heard == ["http://gitlab.example/x", "/x"]
