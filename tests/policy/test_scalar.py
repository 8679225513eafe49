"""What a word without quotes is: YAML 1.2's core schema, without what 1.1 takes for something else."""

from __future__ import annotations

import pytest
import yaml

from xds_server.policy.reading.scalar import plain


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("true", True),
        ("False", False),
        ("TRUE", True),
        ("0", 0),
        ("-17", -17),
        ("+17", 17),
        ("0x1F", 31),
        ("1.10", 1.1),
        (".5", 0.5),
        ("-1.", -1.0),
        ("1e3", 1000.0),
        ("1.5e+3", 1500.0),
        ("llama", "llama"),
        ("eu-west-3", "eu-west-3"),
        ("10.0.0.1:8000", "10.0.0.1:8000"),
        ("1.2.3", "1.2.3"),
        ("v1", "v1"),
        ("5s", "5s"),
        ("200-299", "200-299"),
        ("::1", "::1"),
        ("-", "-"),
        ("--", "--"),
        ("+", "+"),
        ("3.1-8b", "3.1-8b"),
        ("1:90", "1:90"),
        ("nope", "nope"),
        ("é", "é"),
    ],
)
def test_words_every_reader_agrees_on(word: str, value: object) -> None:
    found, surprise = plain(word)
    assert (found, type(found), surprise) == (value, type(value), None)


@pytest.mark.parametrize("word", ["", "~", "null", "Null", "NULL"])
def test_no_value(word: str) -> None:
    value, surprise = plain(word)
    assert value is None
    assert surprise is not None
    assert surprise.code == "null-value"


_SURPRISES = (
    "no No NO yes on ON off y n Y N 010 -010 +010 00 0o17 0b101 0x_1 1_000 1_000.5 01.5 .5_ 1:30 12:30:45 "
    "1:30.5 -1:30 2026-01-01 2026-1-1 2026-01-01T10:00:00Z .inf -.INF .nan .NaN = << 1e999"
)


@pytest.mark.parametrize("word", [*_SURPRISES.split(" "), "9" * 40])
def test_words_that_readers_disagree_about(word: str) -> None:
    value, surprise = plain(word)
    assert value == word
    assert surprise is not None
    assert surprise.code == "ambiguous-value"
    assert word in surprise.message or len(word) > 32


def test_what_yaml_1_1_reads_otherwise_is_refused() -> None:
    """Whatever PyYAML, a YAML 1.1 reader, takes for another value than ours must not pass as ours."""
    alphabet = ["", "0", "1", "7", "9", ".", ":", "-", "+", "_", "e", "x", "o", "b", "n", "a"]
    words = {a + b + c for a in alphabet for b in alphabet for c in alphabet} | {
        f"{a}0:{b}0" for a in alphabet for b in alphabet
    }
    for word in sorted(words - {""}):
        value, surprise = plain(word)
        if surprise is not None:
            continue
        try:
            (other,) = yaml.load(f"[{word}]", Loader=yaml.CSafeLoader)
        except (yaml.YAMLError, ValueError):
            continue
        if isinstance(other, dict) or type(other) is list:  # `a: b` and `- a` are no words
            continue
        # 1.1 knows no `1e3`, `1.` and such without a sign or point: numbers here, and text to some.
        if isinstance(value, float) and isinstance(other, str):
            continue
        assert value == other, word
