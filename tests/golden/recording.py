"""What the golden tests hold the public formats against, and how it is recorded anew.

A recorded document is a file in `recorded/`. Where a document has a sentence for people it has `§` and the
sentence's name; the sentence itself stands once in `recorded/sentences.json`. So a sentence that is reworded
on purpose is one changed line there, and nothing else. Whatever else differs is a changed public format.
(Histories in the recorded store keep the sentences of their time; a new one then stands beside the old one.)

To record anew what the program does now, in one process, and then read the difference:

    GOLDEN_RECORD=1 .venv/bin/pytest -p no:randomly tests/golden && git diff tests/golden/recorded

`recorded/store.db.sql`, `state-1.1.1.json` and `keys.json` are given to the program: they are never recorded.
"""

import json
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

RECORDED = Path(__file__).parent / "recorded"
RECORDING = bool(os.environ.get("GOLDEN_RECORD"))
SENTENCES = RECORDED / "sentences.json"
SENTENCE_KEYS = {"advice", "blocked", "error", "meaning", "problems", "text", "unknown", "what", "why"}
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)")
_UNCERTAIN = [
    (re.compile(r"http://127\.0\.0\.1:\d+"), "http://LOOPBACK"),
    (re.compile(r"\b(app|orga|user)_[0-9a-f]{8}-[0-9a-f-]{27}"), r"\1_ID"),
]
_LIVE = [
    (re.compile(r"\bafter \d+(\.\d+)? s\b"), "after N s"),
    (re.compile(r"\b[0-9a-f]{16}\b"), "INSTALLATION"),
    (re.compile(r"\bprocess \d+"), "process N"),
    (re.compile(r"^\d+(\.\d+){2}\S*$"), "A VERSION"),
]
"""What is fixed in the recorded store, and another time each time where jobs are run."""

_ANY = {"age_seconds": "A NUMBER", "phase_seconds": "A NUMBER", "pid": "A NUMBER", "version": "A VERSION"}
"""Fields of which the value is another one each time."""


def normalised(value, *places, live=False, under=""):
    """`value` without what differs from run to run; `places` are pairs of a text and its stand-in."""
    if isinstance(value, dict):
        return {key: normalised(each, *places, live=live, under=key) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [normalised(each, *places, live=live, under=under) for each in value]
    if under in _ANY and value is not None:
        return _ANY[under]
    if live and under == "times":
        return "A NUMBER"
    return _text(value, places, live=live) if isinstance(value, str) else value


def _text(text, places, *, live):
    for found, stand_in in places:
        text = text.replace(str(found), stand_in)
    for pattern, stand_in in (*_UNCERTAIN, *(_LIVE if live else ())):
        text = pattern.sub(stand_in, text)
    return _MOMENT.sub(_unless_fixed, text)


def _unless_fixed(match):
    """A moment about now is another one each time; those of recorded documents are long ago or far ahead."""
    moment = datetime.fromisoformat(match[0])
    return "NOW" if abs(moment - datetime.now(UTC)) < timedelta(hours=12) else match[0]


def held(name, found):
    """Hold a document against the recorded one: the same fields, the same values; record it if told to."""
    path = RECORDED / f"{name}.json"
    if RECORDING:
        _record(path, found)
    expected = _with_sentences(json.loads(path.read_text()), json.loads(SENTENCES.read_text()))
    assert _lines(found) == _lines(expected)


def held_text(name, found):
    """Hold a text against the recorded one, byte for byte."""
    path = RECORDED / name
    if RECORDING:
        path.write_bytes(found.encode())
    assert found == path.read_bytes().decode()


def _lines(document):
    """As text: for programs, to which 1 is 1.0 but not true, and which look for fields by their names."""
    return json.dumps(_whole(document), indent=1, ensure_ascii=False, sort_keys=True).splitlines()


def _whole(value):
    if isinstance(value, dict):
        return {key: _whole(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _with_sentences(value, sentences):
    if isinstance(value, dict):
        return {key: _with_sentences(each, sentences) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_sentences(each, sentences) for each in value]
    return sentences[value[1:]] if isinstance(value, str) and value[:1] == "§" else value


def _record(path, found):
    sentences = json.loads(SENTENCES.read_text()) if SENTENCES.exists() else {}
    named = _named(found, sentences, under="")
    path.write_text(json.dumps(named, indent=1, ensure_ascii=False) + "\n")
    SENTENCES.write_text(json.dumps(sentences, indent=1, ensure_ascii=False, sort_keys=True) + "\n")


def _named(value, sentences, under):
    if isinstance(value, dict):
        about = under if under == "meaning" else ""
        return {key: _named(each, sentences, about or key) for key, each in value.items()}
    if isinstance(value, list):
        return [_named(each, sentences, under) for each in value]
    if under not in SENTENCE_KEYS or not isinstance(value, str) or not value:
        return value
    known = next((name for name, sentence in sentences.items() if sentence == value), None)
    if known is None:
        words = "-".join(re.findall(r"[a-z0-9]+", value.lower())[:9]) or "sentence"
        known = next(
            name
            for name in (words, *(f"{words}-{number}" for number in range(2, 99)))
            if name not in sentences
        )
        sentences[known] = value
    return f"§{known}"
