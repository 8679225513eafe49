"""Syntax: what cannot be read at all, said in words that help."""

from __future__ import annotations

import re

import yaml

from xds_server.policy.reading.fault import Fault, Mark, MarkedFault

# Control characters, line ends that only some readers know, characters that make text look other than it is
# (https://trojansource.codes), and the surrogates by which `sources` hands on bytes that are not UTF-8.
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
_HINTS: tuple[tuple[str, str, str | None], ...] = (
    ("did not find expected node content", "a value misses, or a bracket is not closed", None),
    (
        "mapping values are not allowed",
        "a `:` stands where no key can be",
        "check the indentation; text that holds `: ` needs quotes",
    ),
    ("could not find expected ':'", "a key without its `:`", "check the indentation and the line before"),
    ("did not find expected key", "the indentation does not fit the lines before", None),
    ("did not find expected '-' indicator", "the indentation does not fit the list before", None),
    ("did not find expected ',' or", "a `[` or `{` is not closed, or a comma misses", None),
    ("found unexpected end of stream", "a quote is not closed", None),
    ("found unexpected document indicator", "a quote is not closed before the document ends", None),
    (
        "did not find expected alphabetic",
        "`*` and `&` begin an alias or anchor",
        'put text such as "*.example.com" in quotes',
    ),
    (
        "found character that cannot start any token",
        "this character cannot begin a value",
        "put the text in quotes",
    ),
    ("found unknown escape character", "not an escape sequence", "use single quotes where `\\` means itself"),
    (
        "did not find expected <document start>",
        "there is text where a document must begin",
        "begin each document with a `---` line",
    ),
)


def character_fault(text: str) -> MarkedFault | None:
    """The first character that no policy file may hold, if there is one."""
    match = _FORBIDDEN.search(text)
    if match is None:
        return None
    start = match.start()
    mark = Mark(text.count("\n", 0, start), start - (text.rfind("\n", 0, start) + 1))
    character = match.group()
    if 0xDC80 <= ord(character) <= 0xDCFF:
        byte = ord(character) - 0xDC00
        return MarkedFault(
            mark, Fault("not-utf8", (), f"the byte 0x{byte:02x} is not UTF-8", "save the file as UTF-8")
        )
    message = f"the character U+{ord(character):04X} is not allowed"
    return MarkedFault(
        mark, Fault("bad-character", (), message, 'in quotes, write it as an escape such as "\\u200e"')
    )


def only_directives(text: str) -> bool:
    """Whether a text holds nothing but directives such as `%YAML 1.2`, and comments."""
    lines = [line for line in text.split("\n") if line.strip() and not line.lstrip().startswith("#")]
    return bool(lines) and all(line.startswith("%") for line in lines)


def syntax_fault(error: yaml.YAMLError, text: str) -> MarkedFault:
    """What libyaml says about a text it cannot read, in clearer words where there are some."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return MarkedFault(Mark(0, 0), Fault("syntax", (), f"not YAML: {error}"))
    problem = str(error.problem or error.context or "not YAML")
    at = error.problem_mark or error.context_mark
    if "unexpected end of stream" in problem or "unexpected document indicator" in problem:
        at = error.context_mark or at  # where the quote is opened says more than where the text ends
    mark = Mark(at.line, at.column) if at is not None else Mark(0, 0)
    if _is_tab(text, mark):
        return MarkedFault(
            mark, Fault("syntax", (), "a tab stands where only spaces may", "indent with spaces")
        )
    if only_directives(text):
        return MarkedFault(
            Mark(0, 0), Fault("syntax", (), "directives are not part of the language", "leave them out")
        )
    for found, message, hint in _HINTS:
        if found in problem:
            return MarkedFault(mark, Fault("syntax", (), message, hint))
    return MarkedFault(mark, Fault("syntax", (), problem))


def _is_tab(text: str, mark: Mark) -> bool:
    lines = text.split("\n")
    return mark.line < len(lines) and lines[mark.line][mark.column : mark.column + 1] == "\t"
