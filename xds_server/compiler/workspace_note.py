"""The path's workspace as metadata, for Envoys whose conditions can't cut it out of the path themselves."""

from __future__ import annotations

from envoy_data_plane.envoy.extensions.filters.http.header_to_metadata.v3 import (
    Config,
    ConfigKeyValuePair,
    ConfigRule,
    ConfigValueType,
)
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatchAndSubstitute, RegexMatcher

from .names import PATH_HEADER, PATH_METADATA, PATH_WORKSPACE

# Of what is no path at all nothing is left, and nothing is noted: conditions that look at it fail, and deny.
_WORKSPACE = "^(?:/([^/]*))?.*$"


def compile_workspace_note() -> Config:
    """The filter that notes the workspace of the normalised path, from the header that the scope key is cut from."""
    rewrite = RegexMatchAndSubstitute(pattern=RegexMatcher(regex=_WORKSPACE), substitution=r"\1")
    pair = ConfigKeyValuePair(
        metadata_namespace=PATH_METADATA,
        key=PATH_WORKSPACE,
        type=ConfigValueType.STRING,
        regex_value_rewrite=rewrite,
    )
    return Config(request_rules=[ConfigRule(header=PATH_HEADER, on_header_present=pair)])
