"""A reply of the gateway's own: when, and how Envoy is told to write it."""

from __future__ import annotations

from dataclasses import dataclass

from envoy_data_plane.envoy.config.accesslog.v3 import AccessLogFilter, ExtensionFilter, ResponseFlagFilter
from envoy_data_plane.envoy.config.core.v3 import (
    HeaderValue,
    HeaderValueOption,
    HeaderValueOptionHeaderAppendAction,
    SubstitutionFormatString,
)
from envoy_data_plane.envoy.extensions.access_loggers.filters.cel.v3 import ExpressionFilter
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import ResponseMapper
from envoy_data_plane.google.protobuf import Any

from .encode import struct
from .names import ERROR_HEADER

_CONTENT_TYPE = "application/json; charset=utf-8"
_KNOWN_ID = "%REQ(X-REQUEST-ID)%"
_SET = HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD


@dataclass(frozen=True, slots=True)
class Reply:
    """One error: when (a CEL expression or Envoy's response flags), and what the client is told.

    ``status`` of ``None`` keeps Envoy's.
    """

    when: str | tuple[str, ...]
    code: str
    message: str
    status: int | None = None
    retryable: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    request_id: str = _KNOWN_ID


def map_reply(reply: Reply) -> ResponseMapper:
    """The mapper that has Envoy answer so."""
    return ResponseMapper(
        filter=_filter(reply.when),
        status_code=reply.status,
        body_format_override=_format(reply),
        headers_to_add=[
            # The body repeats this header: a new id would be another one each time it is asked for.
            _header("x-request-id", reply.request_id),
            _header(ERROR_HEADER, reply.code),
            *(_header(name, value) for name, value in reply.headers),
        ],
    )


def _filter(when: str | tuple[str, ...]) -> AccessLogFilter:
    if isinstance(when, tuple):
        return AccessLogFilter(response_flag_filter=ResponseFlagFilter(flags=list(when)))
    expression = Any.pack(ExpressionFilter(expression=when))
    return AccessLogFilter(extension_filter=ExtensionFilter(name="cel", typed_config=expression))


def _format(reply: Reply) -> SubstitutionFormatString:
    error = {
        "code": reply.code,
        "message": reply.message,
        "status": "%RESPONSE_CODE%",
        "retryable": reply.retryable,
        "origin": "gateway",
        "request_id": "%RESP(X-REQUEST-ID)%",
    }
    return SubstitutionFormatString(json_format=struct({"error": error}), content_type=_CONTENT_TYPE)


def _header(name: str, value: str) -> HeaderValueOption:
    return HeaderValueOption(header=HeaderValue(key=name, value=value), append_action=_SET)
