"""Plain scalars: what YAML 1.2's core schema makes of a word without quotes, and which words are refused.

Words that YAML 1.1 readers (most of them) and 1.2 readers take for different things are refused: their author
may have meant either. Spec: https://yaml.org/spec/1.2.2/#1032-tag-resolution and https://yaml.org/type/
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

Scalar = str | int | float | bool | None


class Surprise(NamedTuple):
    """Why a word is refused."""

    code: str
    message: str
    hint: str


_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLS = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_YES_OR_NO = {
    word: meaning
    for meaning, words in ((True, ("yes", "on", "y")), (False, ("no", "off", "n")))
    for each in words
    for word in (each, each.capitalize(), each.upper())
}
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_TO_SOME = "to some YAML readers and text to others"
_SURPRISES = tuple(
    (re.compile(pattern, re.ASCII | re.DOTALL), meaning)
    for pattern, meaning in (
        (r"[-+]?0[0-9_]+", "a number in base 8 to some YAML readers and in base 10 to others"),
        (r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?", f"a number in base 60 {_TO_SOME}"),
        (r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t].*)?", f"a date {_TO_SOME}"),
        (r"[-+]?0[xob][0-9a-fA-F_]+", f"a number {_TO_SOME}"),
        (r"[-+]?\.?[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?", f"a number {_TO_SOME}"),
        (r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "not a finite number"),
        (r"=|<<", f"a special word {_TO_SOME}"),
    )
)
_NEVER_TEXT_ALONE = frozenset("0123456789+-.=<~")


@lru_cache(maxsize=4096)
def plain(text: str) -> tuple[Scalar, Surprise | None]:
    """The value of a word without quotes, and why it is refused, if it is.

    A refused word still has a value, the text itself, so that whoever reads on does not stumble again.
    """
    if text in _NULLS:
        hint = 'leave the key out, or write a value; the empty text is ""'
        return None, Surprise("null-value", "there is no value here", hint)
    if text in _BOOLS:
        return _BOOLS[text], None
    if text in _YES_OR_NO:
        boolean = "true" if _YES_OR_NO[text] else "false"
        message = f"`{text}` is {boolean} to some YAML readers and text to others"
        return text, Surprise(
            "ambiguous-value", message, f'write {boolean}, or "{text}" in quotes for the text'
        )
    if text[0] not in _NEVER_TEXT_ALONE:
        return text, None
    if _INT.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        return _number(text)
    for pattern, message in _SURPRISES:
        if pattern.fullmatch(text):
            return text, Surprise(
                "ambiguous-value", f"`{text}` is {message}", f'for the text, write "{text}" in quotes'
            )
    return text, None


def _integer(text: str) -> tuple[Scalar, Surprise | None]:
    if len(text) > 32:
        return text, Surprise(
            "ambiguous-value", "this number is too long", "for the text, write it in quotes"
        )
    return int(text, 16 if text.startswith("0x") else 10), None


def _number(text: str) -> tuple[Scalar, Surprise | None]:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        return text, Surprise(
            "ambiguous-value", f"`{text}` is too large a number", "for the text, write it in quotes"
        )
    return number, None
