"""Languages: which one a visitor gets, and that each has all its words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.challenge.words import LANGUAGES, choose, read_words

WORDS = read_words()


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        (b"de-AT,de;q=0.9,en;q=0.8", "de"),
        (b"en;q=0.2, fr;q=0.9", "fr"),
        (b"fr, de", "fr"),
        (b"de, fr", "de"),
        (b"nl, pt-BR;q=0.5", "pt"),
        (b"zh-Hant-TW", "zh"),
        (b"JA", "ja"),
        (b"ar;q=0, es;q=0.001", "es"),
        (b"de;q=0", "en"),
        (b"*", "en"),
        (b"nl", "en"),
        (b"", "en"),
        (b"de;q=2, fr;level=1, es ;\tq=0.3", "es"),
        (b"deutsch, d-e", "en"),
        (b"x" * 300 + b", de", "en"),
    ],
)
def test_the_language_is_the_one_liked_best(accepted: bytes, language: str) -> None:
    assert choose(accepted, WORDS, "en") == language


def test_the_default_is_for_those_who_read_no_other() -> None:
    assert choose(b"nl", WORDS, "de") == "de"


@given(st.binary(max_size=300))
def test_any_field_chooses_one(accepted: bytes) -> None:
    assert choose(accepted, WORDS, "en") in LANGUAGES


def test_there_are_as_many_as_are_promised() -> None:
    assert tuple(sorted(WORDS)) == LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_every_phrase_without_markup(language: str) -> None:
    words = WORDS[language]
    assert words.keys() == WORDS["en"].keys()
    assert all(isinstance(phrase, str) and phrase.strip() for phrase in words.values())
    assert not re.search(r"[<>&{}]", "".join(words.values()))
    assert words["lang"].partition("-")[0] == language
    assert words["dir"] == ("rtl" if language == "ar" else "ltr")
    same = [name for name in words.keys() - {"dir"} if words[name] == WORDS["en"][name]]
    assert language == "en" or not same, "left in English"
