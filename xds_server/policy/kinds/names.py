"""The words of the language: names, labels, hosts, headers, claims. Each is a constrained string.

`Shown` gives a type the name under which the reference and the editors' schema show it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, StringConstraints, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

_SEGMENT = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_LOOSE_SEGMENT = "[a-z0-9]([a-z0-9_-]*[a-z0-9])?"
_LABEL = "[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"

NAME = f"^{_SEGMENT}$"
WORKLOAD_NAME = rf"^{_LOOSE_SEGMENT}(\.{_LOOSE_SEGMENT})*$"
LABEL_KEY = f"^({_LABEL}/)?{_LABEL}$"
POLICY_NAME = f"^{_SEGMENT}(/{_SEGMENT})?$"
HOSTNAME = rf"^(\*\.)?{_SEGMENT}(\.{_SEGMENT})*$"
HEADER = "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"
URL_PATH = r"^/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*$"
WORD = r"^\S+$"
NODE_ID = r"^[^\s*]+\*?$"
RUNTIME_KEY = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$"
CREDENTIAL_PREFIX = "^[!-~][ -~]*$|^$"
COOKIE_NAME = "^[A-Za-z0-9_.-]+$"
STATUSES = "^[1-5][0-9]{2}(-[1-5][0-9]{2})?$"
SERVER_NAME = rf"^{_LOOSE_SEGMENT}(\.{_LOOSE_SEGMENT})*$"

MEANINGS: dict[str, str] = {
    NAME: "lower-case letters, digits and `-`, beginning and ending with a letter or digit",
    WORKLOAD_NAME: "lower-case letters, digits, `-`, and inside also `.` and `_`, each part beginning and "
    "ending with a letter or digit",
    LABEL_KEY: "letters, digits, `-`, `_` and `.`, with an optional prefix before one `/`",
    POLICY_NAME: "lower-case letters, digits and `-`, beginning and ending with a letter or digit; or two such names "
    "with a `/` between them, for a policy of a PolicySource",
    HOSTNAME: "a lower-case host name such as `run.example.com`, or `*.example.com` for all below it",
    HEADER: "an HTTP header name such as `x-fairlead-workspace`",
    URL_PATH: "a path that begins with `/`, without query, fragment or spaces",
    NODE_ID: "the id of a node, or its beginning and a `*`",
    RUNTIME_KEY: "a key of Envoy's runtime such as `envoy.reloadable_features.some_feature`",
    WORD: "one word without spaces",
    CREDENTIAL_PREFIX: "one line of printable ASCII that does not begin with a space",
    COOKIE_NAME: "letters, digits, `-`, `_` and `.`",
    STATUSES: 'an HTTP status such as "200", or a range such as "200-299"',
}


@dataclass(frozen=True)
class Shown:
    """The name under which a type is shown to people."""

    name: str

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Add the name to the type's JSON Schema, as `x-type`."""
        return {**handler(core_schema), "x-type": self.name}


Name = Annotated[str, StringConstraints(pattern=NAME, max_length=63), Shown("name")]
PolicyName = Annotated[
    str, StringConstraints(pattern=POLICY_NAME, max_length=127), Shown("name, or `source/name`")
]
WorkloadName = Annotated[str, StringConstraints(pattern=WORKLOAD_NAME, max_length=63), Shown("name with `.`")]
LabelKey = Annotated[str, StringConstraints(pattern=LABEL_KEY, max_length=253)]
LabelValue = Annotated[str, StringConstraints(max_length=256)]
DisplayName = Annotated[str, StringConstraints(min_length=1, max_length=256), Shown("text")]
Hostname = Annotated[str, StringConstraints(pattern=HOSTNAME, max_length=253), Shown("host name")]
ServerName = Annotated[str, StringConstraints(pattern=SERVER_NAME, max_length=253), Shown("host name")]
HeaderName = Annotated[str, StringConstraints(pattern=HEADER, max_length=128), Shown("header name")]
CookieName = Annotated[str, StringConstraints(pattern=COOKIE_NAME, max_length=128), Shown("cookie name")]
UrlPath = Annotated[str, StringConstraints(pattern=URL_PATH, max_length=1024), Shown("path")]
Word = Annotated[str, StringConstraints(pattern=WORD, max_length=1024), Shown("word")]
Statuses = Annotated[str, StringConstraints(pattern=STATUSES), Shown("status or range")]
FileName = Annotated[
    str, StringConstraints(min_length=1, max_length=1024), Shown("file, relative to this one")
]
Port = Annotated[int, Field(ge=1, le=65535), Shown("port")]
Weight = Annotated[int, Field(ge=0, le=2**32 - 1), Shown("whole number, 0 or more")]


def _claim_path(value: Any) -> Any:
    path = (value,) if isinstance(value, str) else value
    if not isinstance(path, tuple) or not path or not all(isinstance(step, str) and step for step in path):
        raise PydanticCustomError(
            "bad-claim",
            "{message}",
            {
                "message": "must be the name of a claim, or a list of names that leads to it",
                "hint": "for example `role`, or `[realm_access, roles]` for a claim inside another",
            },
        )
    return path


ClaimPath = Annotated[
    tuple[str, ...],
    BeforeValidator(_claim_path),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
            ],
            "x-type": "claim, or list of claims leading to it",
        }
    ),
]
"""Where a claim stands in a token: its name, or the names that lead to it, always kept as a tuple."""
