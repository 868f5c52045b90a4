"""What requests and responses are made of is stored as JSON, and comes back equal."""

import dataclasses
import enum
import json
import math
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any, Literal, NewType
from uuid import UUID

import attrs
import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st
from paas_plans.errors import DocumentError
from paas_plans.secret import SECRET, not_secret, secret
from paas_plans.values import complaints, decode, encode, for_people, misfits


class Colour(enum.Enum):
    RED = "r"
    GREEN = 7


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


@attrs.frozen
class Disk:
    size: int
    label: str | None = None


@dataclasses.dataclass(frozen=True)
class Network:
    name: str
    addresses: tuple[str, ...] = ()


@attrs.frozen
class Login:
    user: str
    password: str = secret()
    spare: dict[str, str] | None = secret(default=None)


@attrs.frozen
class Tree:
    name: str
    children: "tuple[Tree, ...]" = ()


@attrs.frozen(kw_only=True)
class Counted:
    _private: int
    doubled: int = attrs.field(init=False)

    def __attrs_post_init__(self):
        object.__setattr__(self, "doubled", self._private * 2)


@attrs.frozen
class Nothing:
    """A request that says all by being one."""


Name = NewType("Name", str)


times = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text() | st.sampled_from(["$type", "$secret", "$$"]), inner, max_size=3)
    ),
    max_leaves=8,
)
disks = st.builds(Disk, st.integers(), st.none() | st.text())
networks = st.builds(Network, st.text(), st.lists(st.text(), max_size=3).map(tuple))
logins = st.builds(Login, st.text(), st.text(), st.none() | st.dictionaries(st.text(), st.text(), max_size=2))
trees = st.recursive(
    st.builds(Tree, st.text()),
    lambda inner: st.builds(Tree, st.text(), st.lists(inner, max_size=2).map(tuple)),
    max_leaves=4,
)
leaves: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (type(None), st.none()),
    (bool, st.booleans()),
    (int, st.integers()),
    (float, st.floats(allow_nan=False)),
    (str, st.text()),
    (Name, st.text()),
    (bytes, st.binary()),
    (datetime, times),
    (timedelta, st.timedeltas()),
    (UUID, st.uuids()),
    (Path, st.text(st.characters(exclude_characters="\0")).map(Path)),
    (Colour, st.sampled_from(Colour)),
    (Rights, st.sampled_from([Rights.READ, Rights.WRITE, Rights.READ | Rights.WRITE])),
    (Literal["a", 1, True], st.sampled_from(["a", 1, True])),
    (Any, json_values),
    (Disk, disks),
    (Network, networks),
    (Login, logins),
    (Tree, trees),
    (Counted, st.builds(Counted, private=st.integers())),
    (Nothing, st.just(Nothing())),
]


def grown(inner):
    """From pairs of a type and its values: types made of them, and values of those."""

    def pairs(draw):
        kind, values = draw(inner)
        other, more = draw(inner)
        hashable = (
            kind not in (Any, Login)
            and "dict" not in str(kind)
            and "list" not in str(kind)
            and "Any" not in str(kind)
        )
        choices = [
            (list[kind], st.lists(values, max_size=3)),
            (tuple[kind, ...], st.lists(values, max_size=3).map(tuple)),
            (tuple[kind, other], st.tuples(values, more)),
            (dict[str, kind], st.dictionaries(st.text() | st.just("$type"), values, max_size=3)),
            (Any, json_values) if kind is Any else (kind | other, values | more),
        ]
        if hashable and "Login" not in str(kind):
            choices.append((frozenset[kind], st.frozensets(values, max_size=3)))
        return draw(st.sampled_from(choices))

    return st.composite(pairs)()


typed = st.recursive(st.sampled_from(leaves), grown, max_leaves=4)


@st.composite
def values_of_types(draw):
    kind, values = draw(typed)
    return kind, draw(values)


@given(values_of_types(), st.sampled_from([None, Fernet(Fernet.generate_key())]))
def test_what_is_stored_comes_back_equal_and_of_the_same_type(pair, cipher):
    kind, value = pair
    assert complaints(kind) == []
    assert misfits(value, kind) == []
    stored = json.dumps(encode(value, cipher=cipher), allow_nan=False)
    back = decode(json.loads(stored), kind, cipher=cipher)
    assert back == value
    assert misfits(back, kind) == []


def stored(value, cipher=None):
    return json.loads(json.dumps(encode(value, cipher=cipher)))


def test_numbers_that_json_does_not_have_are_kept():
    back = decode(stored([math.nan, math.inf, -math.inf]), list[float], cipher=None)
    assert math.isnan(back[0])
    assert back[1:] == [math.inf, -math.inf]


def test_data_that_looks_like_a_mark_of_ours_is_only_data():
    data = {"$secret": "x", "$sealed": True, "$type": "Disk", "$value": 1, "$$": {"$secret": 2}}
    assert decode(stored(data), Any, cipher=None) == data
    assert for_people(stored(data)) == data


def test_a_secret_is_sealed_by_the_cipher_of_the_store():
    cipher = Fernet(Fernet.generate_key())
    login = Login("me", "hunter2", {"old": "hunter1"})
    text = json.dumps(encode(login, cipher=cipher))
    assert "hunter" not in text
    assert decode(json.loads(text), Login, cipher=cipher) == login


@pytest.mark.parametrize("cipher", [None, Fernet(Fernet.generate_key())])
def test_without_its_types_a_value_is_readable_and_its_secrets_are_not(cipher):
    value = [Login("me", "hunter2"), Path("/tmp"), Disk(3), timedelta(seconds=90)]
    assert for_people(stored(value, cipher)) == [
        {"$type": "Login", "user": "me", "password": "[secret hidden]", "spare": "[secret hidden]"},
        "/tmp",
        {"$type": "Disk", "size": 3, "label": None},
        "0 d 90.000000 s",
    ]


def test_what_was_stored_in_clear_is_read_after_the_store_got_a_key():
    login = Login("me", "hunter2")
    assert decode(stored(login), Login, cipher=Fernet(Fernet.generate_key())) == login


@pytest.mark.parametrize(
    ("cipher", "words"),
    [
        (None, "password is sealed: give the store the key that it was sealed with"),
        (Fernet(Fernet.generate_key()), "password was sealed with another key than the store's"),
    ],
)
def test_a_secret_without_its_key_is_an_error_that_says_so(cipher, words):
    data = stored(Login("me", "hunter2"), Fernet(Fernet.generate_key()))
    with pytest.raises(DocumentError, match=words):
        decode(data, Login, cipher=cipher)


@attrs.frozen
class Keyed:
    spare: dict[str, Any] = secret()


def test_not_even_the_keys_in_a_secret_are_told():
    wrong = stored(Keyed({"hunter2": Disk(3)}))
    with pytest.raises(DocumentError, match="spare is a secret of another type"):
        decode(wrong, Keyed, cipher=None)
    assert misfits(Keyed({"hunter2": Disk(3)}), Keyed) == ["spare is of the type Disk, not JSON's own"]


def test_a_field_that_came_later_has_its_default_and_one_that_went_is_left_out():
    assert decode({"$type": "Disk", "size": 3, "colour": "red"}, Disk, cipher=None) == Disk(3)


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        ({"disks": [{"$type": "Disk"}]}, dict[str, list[Disk]], r"disks\[0\] lacks size"),
        ({"$type": "Disk", "size": "3"}, Disk, "size is of the type str, not int"),
        (
            [{"$type": "Network", "name": "a"}],
            list[Disk],
            r"\[0\] is stored as a Network, which is not expected",
        ),
        ({"$type": "datetime", "$value": "noon"}, datetime, "it is refused by datetime: ValueError"),
        ({"$type": "Colour", "$value": "BLUE"}, Colour, "it is refused by Colour: KeyError"),
        ({"$type": ["bytes"]}, bytes, r"it is stored as a \['bytes'\], which is not expected"),
        ({"$type": "bytes"}, bytes, "it is refused by bytes: KeyError"),
        ("1", int | None, r"it is of the type str, not int \| None"),
        ("c", Literal["a", "b"], "it is none of 'a', 'b'"),
    ],
)
def test_what_is_not_of_the_expected_type_is_told_with_its_place(data, kind, words):
    with pytest.raises(DocumentError, match=words):
        decode(data, kind, cipher=None)


class Odd:
    """What is neither of JSON's own types nor of fields."""


@attrs.frozen
class Wrong:
    price: Odd
    api_token: str
    exit_code: int = not_secret()
    parts: dict[int, str] | None = None


@dataclasses.dataclass
class Marked:
    pin_code: str = dataclasses.field(metadata=SECRET)


def test_all_that_cannot_be_stored_of_a_type_is_told_at_once():
    told = complaints(list[Wrong] | Marked)
    assert [text.split(" cannot be stored")[0] for text in told] == [
        "price: Odd",
        "api_token looks like a secret: mark it with secret() or not_secret()",
        "parts: dict[int, str]",
        "pin_code is a secret that whoever logs its object tells: add repr=False",
    ]


@dataclasses.dataclass
class Seeded:
    size: int
    seed: dataclasses.InitVar[int]
    unit: "Unknown" = None  # type: ignore[name-defined]  # noqa: F821


@dataclasses.dataclass
class Grown:
    size: int
    seed: dataclasses.InitVar[int]


def test_a_class_that_cannot_be_made_of_its_fields_is_told():
    assert complaints(Seeded) == ["the annotations of Seeded cannot be read: name 'Unknown' is not defined"]
    assert complaints(Grown) == ["to make a Grown takes seed beside its fields"]


def test_two_classes_of_one_name_cannot_be_told_apart():
    other = attrs.make_class("Disk", {"size": attrs.field(type=int)})
    assert complaints(Disk | other) == ["another class is named Disk as well"]


def test_a_value_of_another_type_is_told_without_quoting_it():
    assert misfits(Login("me", b"hunter2", {"a": 1}), Login) == [  # type: ignore[arg-type,dict-item]
        "password is of the type bytes, not str",
        "spare is of the type int, not str",
    ]
    assert misfits(datetime(2026, 1, 1), datetime) == ["it is a time without a zone: say datetime.now(UTC)"]  # noqa: DTZ001
    assert misfits((1, "a"), tuple[int, int]) == ["[1] is of the type str, not int"]
    assert misfits(True, int) == ["it is of the type bool, not int"]
    assert misfits({1: 2}, Any) == ["it has a key of the type int, not str"]


def nested(times, value=None):
    for _ in range(times):
        value = [value]
    return value


def test_what_is_nested_beyond_reason_is_told_and_what_is_not_comes_back():
    endless = []
    endless.append({"again": endless})
    assert misfits(nested(10_000), Any) == ["[0][0][0] is nested more than 100 deep"]
    assert misfits(endless, Any) == ["[0].again[0] is nested more than 100 deep"]
    assert decode(stored(nested(100)), Any, cipher=None) == nested(100)


def test_a_number_that_python_would_not_read_again_is_told():
    assert misfits({"n": 10**5000}, Any) == ["n is a number of more than 4,000 digits"]
    assert misfits(-(10**5000), int) == ["it is a number of more than 4,000 digits"]
    assert decode(stored(10**4000), int, cipher=None) == 10**4000


class Nowhere(tzinfo):
    def utcoffset(self, when):
        return None


def test_a_zone_that_says_nothing_is_none():
    assert misfits(datetime(2026, 1, 1, tzinfo=Nowhere()), datetime) == misfits(
        datetime(2026, 1, 1),  # noqa: DTZ001
        datetime,
    )


@attrs.frozen
class Shouted:
    text: str = attrs.field(converter=lambda text: f"{text}!")


def test_what_a_constructor_converts_is_not_converted_again():
    assert decode(stored(Shouted("hey")), Shouted, cipher=None).text == "hey!"


@pytest.mark.parametrize("value", [Odd(), {1: 2}, [Odd]])
def test_what_cannot_be_stored_is_refused(value):
    with pytest.raises(DocumentError, match="cannot be stored"):
        encode(value, cipher=None)


def test_a_response_is_of_exactly_the_type_that_its_plugin_says():
    answers = Disk | list[int]
    assert misfits(Disk(3), answers) == misfits([1], answers) == []
    assert misfits(["1"], answers) == ["[0] is of the type str, not int"]
    assert misfits(Disk("3"), answers) == ["size is of the type str, not int"]  # type: ignore[arg-type]
    assert "it is of the type Network, not" in misfits(Network("a"), answers)[0]
