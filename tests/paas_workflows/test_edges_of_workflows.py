"""Odd files and addresses that workflows are given, and what becomes of them."""

import base64
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from paas_workflows import reading
from paas_workflows.environment import environment
from paas_workflows.logging import LogSettings
from paas_workflows.reading import ReadingError, read

from paas_runner.errors import UsageError


def dotenv(data):
    found = environment(variables=[], files=[("f", data)], imported=None, ignored=[])
    return {name: value.reveal() for name, value in found.below.items()}


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b'A="one\ntwo"\nB=3', {"A": "one\ntwo", "B": "3"}),
        (b"A='one\n$two\\n' # comment\nB=3", {"A": "one\n$two\\n", "B": "3"}),
        (b'A="a\\tb\\\\n \\"c\\" \\$d \\x"', {"A": 'a\tb\\n "c" \\$d \\x'}),
        (b"\xef\xbb\xbfA=1\r\nB=two words \r\n\r\nC=\r\n", {"A": "1", "B": "two words", "C": ""}),
        (b"A=it's\nB=a=b==\nC=#x\nD=a #x", {"A": "it's", "B": "a=b==", "C": "", "D": "a"}),
        (b"\texport\tA = 1\n  # A=2\n", {"A": "1"}),
        ("A=é\u2028x\nB=1".encode(), {"A": "é\u2028x", "B": "1"}),
        (b"A=1\nA=2", {"A": "2"}),
        (b"", {}),
    ],
)
def test_dotenv_is_read_as_its_parsers_agree(data, found):
    assert dotenv(data) == found


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b'A="x\ny"\nB="canary', 3),
        (b"A=1\n\n2=canary", 3),
        (b"A='1'\n\n# c\ncanary", 4),
        (b"A=1\nB=can\0ary", 2),
    ],
)
def test_what_is_none_is_told_by_its_line_without_its_text(data, line):
    with pytest.raises(UsageError) as caught:
        dotenv(data)
    assert str(caught.value) == f"f:{line}: NAME=value was expected"


def test_a_file_that_is_no_text_is_told_by_its_line():
    with pytest.raises(UsageError, match=r"^f:2: not UTF-8$"):
        dotenv(b"A=1\nB=\xff")


def test_a_hostile_file_is_read_in_no_time():
    assert dotenv(b"A=" + b"x " * 200_000 + b"\n")["A"] == ("x " * 200_000).strip()
    with pytest.raises(UsageError):
        dotenv(b'A="' + b"\\a" * 200_000)


@contextmanager
def server(answers):
    """Answers a path with a status and a `Location` or a body, and keeps who asked how."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["Authorization"]))
            status, text = answers[self.path]
            body = b"" if status in (301, 302, 307) else text
            self.send_response(status)
            if not body:
                self.send_header("Location", text)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        threading.Thread(target=serving.serve_forever, args=(0.01,), daemon=True).start()
        yield f"127.0.0.1:{serving.server_port}", asked
        serving.shutdown()


async def test_redirects_are_followed_and_credentials_stay_behind():
    with server({"/a?x=1": (302, "/b"), "/b": (200, b"found")}) as (host, asked):
        assert await read(f"http://me:c%40nary@{host}/a?x=1#top") == b"found"
    basic = base64.b64encode(b"me:c@nary").decode()
    assert asked == [("/a?x=1", f"Basic {basic}"), ("/b", None)]


@pytest.mark.parametrize("target", ["/a", "ftp://127.0.0.1/x", "file:///etc/passwd", "http://["])
async def test_a_redirect_that_leads_nowhere_is_told_without_what_may_be_secret(target):
    answers = {"/a": (302, target), "/a?canary": (302, target)}
    with server(answers) as (host, _), pytest.raises(ReadingError) as caught:
        await read(f"http://me:canary@{host}/a?canary")
    assert str(caught.value).startswith(f"http://{host}/a: ")
    assert "canary" not in str(caught.value)


async def test_a_file_has_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "MOST_BYTES", 1024 * 1024)
    (tmp_path / "big").write_bytes(b"x" * (1024 * 1024 + 1))
    with server({"/big": (200, b"x" * 3_000_000)}) as (host, _):
        for source in (str(tmp_path / "big"), f"http://{host}/big"):
            with pytest.raises(ReadingError, match="larger than 1 MiB"):
                await read(source)


async def test_an_address_of_nothing_is_told():
    with pytest.raises(ReadingError, match=r"^http://127\.0\.0\.1:1/x: no answer"):
        await read("http://127.0.0.1:1/x?canary")
    with pytest.raises(ReadingError, match="no address of a file"):
        await read("http://[/x")


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [("", "localhost", 514), ("logs", "logs", 514), ("logs:1514", "logs", 1514), ("[::1]", "::1", 514)],
)
def test_syslog_goes_by_udp_to_514_unless_it_is_said_otherwise(address, host, port):
    handler = LogSettings(remote_logger="syslog", remote_addr=address)._remote()
    assert (handler._receiver.host, handler._receiver.port, handler._receiver.udp) == (host, port, True)
    handler.close()
