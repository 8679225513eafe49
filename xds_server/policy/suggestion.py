"""Did you mean: the nearest of the words that would have been right."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def closest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that `word` most likely stands for, or None when nothing is near; case is not counted."""
    by_fold = {choice.casefold(): choice for choice in choices}
    found = get_close_matches(word.casefold(), by_fold, n=1, cutoff=0.6)
    return by_fold[found[0]] if found else None


def did_you_mean(word: str, choices: Iterable[str]) -> str | None:
    """The hint for a word that is none of `choices`: the nearest, or else all of them when they are few."""
    known = sorted(choices)
    near = closest(word, known)
    if near is not None:
        return f"did you mean `{near}`?"
    if known and len(known) <= 12:
        return "one of: " + ", ".join(known)
    return None
