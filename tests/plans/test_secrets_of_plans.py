"""Secrets of requests and responses are hidden in what is shown, and taken out of what others say of them."""

import base64
import dataclasses
import enum
import html
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, quote_plus
from uuid import UUID

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paas_plans.secret import HIDDEN, SECRET, not_secret, scrubbed, secret, secret_texts, without

from tests.plans.small_plans import block, plan, sequence


class Size(enum.Enum):
    NONE = 0
    LARGE = 1


@attrs.frozen
class Bag:
    text: str = secret(default="s3cret")
    data: bytes = secret(default=b"b1nary")
    number: int = secret(default=4711)
    flag: bool = secret(default=True)
    size: Size = secret(default=Size.LARGE)
    when: datetime = secret(default=datetime(2026, 1, 1, tzinfo=UTC))
    long: timedelta = secret(default=timedelta(1))
    ident: UUID = secret(default=UUID(int=5))
    nothing: str | None = secret(default=None)
    several: dict[str, list[str]] = secret(factory=lambda: {"who": ["a-man", "a-plan"]})


@dataclasses.dataclass(frozen=True)
class Outer:
    name: str
    bags: tuple[Bag, ...] = ()
    by_name: dict[str, Bag] = dataclasses.field(default_factory=dict)
    whole: object = dataclasses.field(default=None, metadata=SECRET)


@attrs.frozen
class Strict:
    password: str = secret(validator=attrs.validators.max_len(4))
    key_name: str = not_secret(default="mine")


def test_secret_texts_are_hidden_and_other_secrets_are_the_zero_of_their_type():
    assert scrubbed(Bag()) == Bag(
        text=HIDDEN,
        data=b"",
        number=0,
        flag=False,
        size=Size.NONE,
        when=datetime.min.replace(tzinfo=UTC),
        long=timedelta(0),
        ident=UUID(int=0),
        nothing=None,
        several={HIDDEN: [HIDDEN, HIDDEN]},
    )


def test_the_rest_of_a_value_is_as_it_was_however_deep_the_secret():
    outer = Outer("mine", (Bag(),), {"one": Bag()}, whole=Strict("abc", "other"))
    bare = scrubbed(Bag())
    assert scrubbed(outer) == dataclasses.replace(
        outer, bags=(bare,), by_name={"one": bare}, whole=scrubbed(outer).whole
    )
    assert (scrubbed(outer).whole.password, scrubbed(outer).whole.key_name) == (HIDDEN, HIDDEN)
    assert outer.bags == (Bag(),)


def test_a_validator_of_the_class_does_not_keep_a_secret_from_being_hidden():
    assert scrubbed(Strict("abc")).password == HIDDEN
    assert scrubbed(Strict("abc")).key_name == "mine"


@pytest.mark.parametrize("value", [None, 1, "text", [1, {"password": "clear"}], (1, 2), datetime.now(UTC)])
def test_a_value_without_marked_fields_stays_as_it_is(value):
    assert scrubbed(value) == value
    assert secret_texts(value) == []


def test_a_secret_is_not_in_the_repr_of_its_object():
    assert "abc" not in repr(Strict("abc"))


def test_the_secrets_of_a_request_are_taken_out_of_an_error():
    error = "login of me with s3cret at https://me:b1nary@host/?n=4711&first=a-man failed: True, None"
    hidden = without(secret_texts([Bag()]), error)
    assert hidden == (
        f"login of me with {HIDDEN} at https://me:{HIDDEN}@host/?n={HIDDEN}&first={HIDDEN} failed: True, None"
    )


def test_an_error_of_a_request_without_secrets_stays_as_it_is():
    assert without(secret_texts(Bag(text="", several={})), "no route") == "no route"
    assert without([], "no route") == "no route"


def test_one_line_of_a_secret_key_is_a_secret_too():
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nab\n-----END KEY-----"
    assert without([key], "bad line: MIIEvQIBADANBg at ab") == f"bad line: {HIDDEN} at ab"


WAYS = {
    "as it is": str,
    "python": lambda text: repr(text)[1:-1],
    "python's bytes": lambda text: repr(text.encode())[2:-1],
    "json": lambda text: json.dumps(text)[1:-1],
    "json of unicode": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "url": lambda text: quote(text, safe=""),
    "form": quote_plus,
    "html": html.escape,
}


@given(st.text(min_size=1), st.sampled_from(sorted(WAYS)), st.sampled_from(sorted(WAYS)))
def test_a_secret_is_found_however_it_was_quoted(text, way, again):
    quoted = WAYS[again](WAYS[way](text))
    assert without([text], f"<{quoted}>") in {f"<{HIDDEN}>", f"{HIDDEN}{HIDDEN}{HIDDEN}"} or text in "<>"


@given(st.binary(), st.text("abc\u00e9\n", min_size=8), st.binary())
def test_a_secret_is_not_to_be_had_from_base64(before, text, after):
    assert HIDDEN in without([text], base64.b64encode(before + text.encode() + after).decode())


def test_a_secret_in_other_case_or_of_odd_characters_is_found():
    assert without(["S3cret/+"], "https://s3CRET%2f%2b@host") == f"https://{HIDDEN}@host"
    assert without(["\ud800a", "b"], "\ud800a \\ud800a b") == f"{HIDDEN} {HIDDEN} {HIDDEN}"


def test_of_a_whole_plan_only_what_is_marked_is_hidden():
    told = plan(block(sequence("do", request=Strict("abc"))), meta=b"abc")
    hidden = scrubbed(told)
    assert hidden.blocks[0].sequences[0].actions[0].request.password == HIDDEN
    assert (hidden.name, hidden.meta, hidden.blocks[0].description) == ("plan", b"abc", "-")
    assert told.blocks[0].sequences[0].actions[0].request.password == "abc"
