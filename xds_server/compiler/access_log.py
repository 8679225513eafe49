"""The access log: one JSON line per request on Envoy's standard output, with the decision in it."""

from __future__ import annotations

from envoy_data_plane.envoy.config.accesslog.v3 import AccessLog, AccessLogFilter, LogTypeFilter
from envoy_data_plane.envoy.config.core.v3 import DataSource, SubstitutionFormatString
from envoy_data_plane.envoy.data.accesslog.v3 import AccessLogType
from envoy_data_plane.envoy.extensions.access_loggers.stream.v3 import StdoutAccessLog
from envoy_data_plane.envoy.extensions.filters.common.set_filter_state.v3 import FilterStateValue
from envoy_data_plane.envoy.extensions.filters.http.set_filter_state.v3 import Config
from envoy_data_plane.google.protobuf import Any

from .encode import struct
from .names import ENVIRONMENT_HEADER, ERROR_HEADER, PATH_HEADER, PATH_STATE, REVISION_HEADER
from .waiting import compile_wait_log

# No header that may hold a credential, and no query string: prompts end up there.
_FIELDS = {
    "time": "%START_TIME%",
    "request_id": "%RESP(X-REQUEST-ID)%",
    "method": "%REQ(:METHOD)%",
    "path": f"%FILTER_STATE({PATH_STATE}:PLAIN)%",
    "protocol": "%PROTOCOL%",
    "status": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "error": f"%RESP({ERROR_HEADER})%",
    "environment": f"%REQ({ENVIRONMENT_HEADER})%",
    "revision": f"%REQ({REVISION_HEADER})%",
    "cluster": "%UPSTREAM_CLUSTER%",
    "region": "%UPSTREAM_METADATA(fairlead:region)%",
    "upstream": "%UPSTREAM_HOST%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "duration_ms": "%DURATION%",
    "first_byte_ms": "%RESPONSE_DURATION%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
}


def compile_access_log() -> list[AccessLog]:
    """The connection manager's access loggers: the one for people, and what tells of requests that wait."""
    text = SubstitutionFormatString(json_format=struct(_FIELDS), omit_empty_values=True)
    return [
        AccessLog(
            name="envoy.access_loggers.stdout",
            filter=AccessLogFilter(
                log_type_filter=LogTypeFilter(types=[AccessLogType.DownstreamPeriodic], exclude=True)
            ),
            typed_config=Any.pack(StdoutAccessLog(log_format=text)),
        ),
        compile_wait_log(),
    ]


def compile_path_note() -> Config:
    """The filter that notes the path as the client asked for it, normalised: the route rewrites what the log sees."""
    path = SubstitutionFormatString(text_format_source=DataSource(inline_string=f"%REQ({PATH_HEADER})%"))
    value = FilterStateValue(object_key=PATH_STATE, factory_key="envoy.string", format_string=path)
    return Config(on_request_headers=[value])
