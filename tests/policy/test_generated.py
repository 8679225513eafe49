"""Documents made at random: a manifest says all that its document says, and nothing that it does not."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from xds_server.policy import Loaded, load

# As PyYAML writes them: it takes words such as `y` and `1e3` for text, and puts no quotes around them.
_NAMES = st.from_regex(r"[a-z][a-z0-9-]{1,8}[a-z0-9]", fullmatch=True)
_WORDS = st.from_regex(r"x[A-Za-z0-9 .:#'\"{},-]{0,12}", fullmatch=True)
_ADDRESSES = st.builds("http://10.{}.{}.1:{}".format, *[st.integers(0, 255)] * 2, st.integers(1, 65535))
_DURATIONS = st.builds("{}{}".format, st.integers(1, 59), st.sampled_from(["ms", "s", "m"]))


def _optional(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional)


_BACKENDS = _optional(
    {"location": _NAMES, "address": _ADDRESSES},
    {
        "flavor": _NAMES,
        "weight": st.integers(1, 1000),
        "standby": st.booleans(),
        "pathPrefix": st.just("/v1"),
        "healthCheck": _optional({}, {"port": st.integers(1, 65535), "enabled": st.booleans()}),
    },
)
_REVISIONS = _optional(
    {
        "name": _NAMES,
        "weight": st.integers(1, 1000),
        "backends": st.lists(_BACKENDS, min_size=1, max_size=3, unique_by=lambda each: each["address"]),
    },
    {"healthCheck": _optional({"interval": st.just("1h")}, {"timeout": _DURATIONS, "path": st.just("/up")})},
)
_DEPLOYMENTS = _optional(
    {
        "environment": _NAMES,
        "revisions": st.lists(_REVISIONS, min_size=1, max_size=3, unique_by=lambda each: each["name"]),
    },
    {"enabled": st.booleans(), "policies": st.lists(_NAMES, unique=True, max_size=2)},
)
_RULES = _optional({"claim": _NAMES, "anyOf": st.lists(_NAMES, max_size=2)}, {})
_MODELS = _optional(
    {
        "apiVersion": st.just("fairlead/v1"),
        "kind": st.just("Model"),
        "metadata": _optional(
            {"name": _NAMES, "workspace": _NAMES}, {"labels": st.dictionaries(_NAMES, _WORDS, max_size=2)}
        ),
        "spec": _optional(
            {
                "deployments": st.lists(
                    _DEPLOYMENTS, min_size=1, max_size=2, unique_by=lambda each: each["environment"]
                )
            },
            {
                "displayName": _WORDS,
                "enabled": st.booleans(),
                "access": _optional({}, {"claims": st.lists(_RULES, max_size=2)}),
            },
        ),
    },
    {},
)


def _says(found: Any, written: Any) -> bool:
    if isinstance(written, dict):
        return all(key in found and _says(found[key], value) for key, value in written.items())
    if isinstance(written, list):
        return len(found) == len(written) and all(map(_says, found, written))
    return bool(found == written or (found,) == written or found == (written,))


def _load(document: dict[str, Any], **style: Any) -> Loaded:
    return load({"a.yaml": yaml.safe_dump(document, sort_keys=False, **style)}, {})


class _Quoting(yaml.SafeDumper):
    """Puts texts in quotes, and nothing else: a number in quotes would be another value."""

    def represent_scalar(self, tag: str, value: str, style: str | None = None) -> yaml.ScalarNode:
        return super().represent_scalar(tag, value, "'" if tag.endswith(":str") else style)


def _load(document: dict[str, Any], dumper: type[yaml.SafeDumper] = yaml.SafeDumper, **style: Any) -> Loaded:
    return load({"a.yaml": yaml.dump(document, Dumper=dumper, sort_keys=False, **style)}, {})


@settings(max_examples=50, deadline=None)
@given(_MODELS)
def test_a_manifest_says_what_its_document_says_however_that_is_written(document: dict[str, Any]) -> None:
    loaded = _load(document)
    assert loaded.diagnostics == ()
    (manifest,) = loaded.manifests
    assert _says(manifest.values(), {key: document[key] for key in ("metadata", "spec")})
    for other in (_load(document, default_flow_style=True), _load(document, _Quoting, indent=4)):
        assert [*other.manifests, *other.diagnostics] == [manifest]
