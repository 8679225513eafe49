"""The gateway's own errors: JSON that says so, with a stable code, for whatever Envoy itself refuses.

A model's answers, errors included, never pass through here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from envoy_data_plane.envoy.config.accesslog.v3 import AccessLogFilter, ExtensionFilter, ResponseFlagFilter
from envoy_data_plane.envoy.config.core.v3 import (
    HeaderValue,
    HeaderValueOption,
    HeaderValueOptionHeaderAppendAction,
    SubstitutionFormatString,
)
from envoy_data_plane.envoy.extensions.access_loggers.filters.cel.v3 import ExpressionFilter
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    LocalReplyConfig,
    ResponseMapper,
)
from envoy_data_plane.google.protobuf import Any

from xds_server.graph import USE_REVISION_HEADER, USE_REVISION_PARAMETER

from .access import TESTERS
from .authentication import MALFORMED_CREDENTIALS, MANY_CREDENTIALS, NO_ISSUER
from .direct import AMBIGUOUS_REVISION, UNKNOWN_REVISION
from .encode import struct
from .names import ERROR_HEADER, PATH_HEADER
from .request import AMBIGUOUS_ENVIRONMENT, DOT_SEGMENT, ENCODED_PARAMETER, OTHER_WORKSPACE, UNKNOWN_HOST
from .residency import FENCE_NOT_OFFERED, RESIDENCY_NOT_OFFERED
from .target import Target

_CONTENT_TYPE = "application/json; charset=utf-8"
_RETRY_AFTER_SECONDS = "1"
_KNOWN_ID = "%REQ(X-REQUEST-ID)%"
_NEW_ID = "%UNIQUE_ID%"
_SET = HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD


def _denied(*policies: str) -> str:
    return " || ".join(
        f"response.code_details == 'rbac_access_denied_matched_policy[{name}]'" for name in policies
    )


def _answered_by(route: str) -> str:
    return f"response.code_details == 'direct_response' && xds.route_name == '{route}'"


@dataclass(frozen=True, slots=True)
class _Reply:
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


def _with_and_without_id(reply: _Reply) -> tuple[_Reply, _Reply]:
    # What is refused before the filters (path, codec) has no id yet, unless the client brought one, which Envoy echoes.
    known = replace(reply, when=f"({reply.when}) && 'x-request-id' in request.headers")
    return known, replace(reply, request_id=_NEW_ID)


_CHALLENGE = ("www-authenticate", 'Bearer realm="fairlead"')
_REFUSAL = ("www-authenticate", 'Bearer realm="fairlead", error="invalid_token"')
_AGAIN = ("retry-after", _RETRY_AFTER_SECONDS)
_NOT_ACCEPTED = "The gateway cannot accept this request: %RESPONSE_CODE_DETAILS%."
_NO_BACKEND = "No allowed backend of this model can be reached right now."

# The first that holds wins.
_REPLIES = (
    _Reply(
        "response.code_details == 'jwt_authn_access_denied{Jwt_is_missing}'",
        "AUTHENTICATION_REQUIRED",
        "Send a bearer token: 'Authorization: Bearer <token>'.",
        401,
        headers=(_CHALLENGE,),
    ),
    _Reply(
        "response.code_details.startsWith('jwt_authn_access_denied{Jwks_remote_fetch')",
        "AUTHENTICATION_UNAVAILABLE",
        "The issuer's keys cannot be fetched right now, so no token of it can be checked.",
        503,
        retryable=True,
        headers=(_AGAIN,),
    ),
    _Reply(
        _denied(MANY_CREDENTIALS),
        "AUTHENTICATION_FAILED",
        "Send one token only: more than one header of this request carries one.",
        401,
        headers=(_REFUSAL,),
    ),
    _Reply(
        f"response.code_details.startsWith('jwt_authn_access_denied') || {_denied(MALFORMED_CREDENTIALS, NO_ISSUER)}",
        "AUTHENTICATION_FAILED",
        "The token is malformed, expired, or not from an issuer and for an audience that this gateway accepts.",
        401,
        headers=(_REFUSAL,),
    ),
    _Reply(
        _denied(AMBIGUOUS_ENVIRONMENT),
        "BAD_REQUEST",
        "The query names 'environment' more than once; name it once.",
        400,
    ),
    _Reply(
        _denied(DOT_SEGMENT),
        "BAD_REQUEST",
        "The path hides a dot segment behind ';' or an escaped character.",
        400,
    ),
    _Reply(
        _denied(ENCODED_PARAMETER),
        "BAD_REQUEST",
        "Write the query parameter 'environment' without percent-encoding.",
        400,
    ),
    _Reply(
        f"response.code_details.startsWith('rbac_access_denied_matched_policy[{OTHER_WORKSPACE}-')",
        "BAD_REQUEST",
        "A header names another workspace than the path does.",
        400,
    ),
    _Reply(
        _denied(UNKNOWN_HOST),
        "MISDIRECTED_REQUEST",
        "This gateway does not serve the host that the request names.",
        421,
    ),
    _Reply(
        _denied(RESIDENCY_NOT_OFFERED),
        "RESIDENCY_NOT_OFFERED",
        "The model cannot be kept within the residency that the request asks for.",
        403,
    ),
    _Reply(
        _denied(FENCE_NOT_OFFERED),
        "RESIDENCY_NOT_OFFERED",
        "The model cannot be kept within the residency that the token is bound to.",
        403,
    ),
    _Reply(
        _denied(TESTERS),
        "REVISION_FORBIDDEN",
        "This token does not allow to choose a revision of this model.",
        403,
    ),
    _Reply(
        "response.code_details.startsWith('rbac_access_denied')",
        "FORBIDDEN",
        "This token gives no access to this workspace or model.",
        403,
    ),
    _Reply(
        ("NR",),
        "MODEL_NOT_FOUND",
        "No model at this path: expected /{workspace}/models/{model}.",
        404,
    ),
    _Reply(
        _answered_by(UNKNOWN_REVISION),
        "REVISION_NOT_FOUND",
        "The model has no such revision in this environment.",
        404,
    ),
    _Reply(
        _answered_by(AMBIGUOUS_REVISION),
        "BAD_REQUEST",
        f"Name the revision once: '{USE_REVISION_PARAMETER}' in the query, not percent-encoded, "
        f"or the header '{USE_REVISION_HEADER}'.",
        400,
    ),
    _Reply(
        "response.code_details == 'direct_response' && response.code == 404",
        "DEPLOYMENT_NOT_FOUND",
        "The model is not deployed in this environment.",
        404,
    ),
    # Before the flag of the same timer, which also says that a model is silent: then it is 504.
    *_with_and_without_id(
        _Reply(
            "response.code == 408", "REQUEST_TIMEOUT", "The request did not arrive in time.", retryable=True
        ),
    ),
    _Reply(
        ("UT", "SI", "DT", "UMSDR"),
        "UPSTREAM_TIMEOUT",
        "The model did not answer in time.",
        504,
        retryable=True,
    ),
    # The limit of the whole sets no flag.
    _Reply(
        "response.code_details == 'max_duration_timeout'",
        "UPSTREAM_TIMEOUT",
        "The model did not answer in time.",
        504,
        retryable=True,
    ),
    _Reply(
        ("UC", "UR", "UPE"),
        "UPSTREAM_RESET",
        "The model ended the connection before it had answered; it may have run the request.",
        502,
    ),
    # By its details, not the flag UO, which also stands where there was no budget left to try again.
    _Reply(
        "response.code_details == 'upstream_reset_before_response_started{overflow}'",
        "OVERLOADED",
        "This model has as many requests in progress as it may have; try again later.",
        503,
        retryable=True,
        headers=(_AGAIN,),
    ),
    _Reply(
        ("UH", "UF", "UO", "NC", "URX", "LR", "LH"),
        "UPSTREAM_UNAVAILABLE",
        _NO_BACKEND,
        503,
        retryable=True,
        headers=(_AGAIN,),
    ),
    _Reply("response.code == 429", "RATE_LIMITED", "Too many requests.", retryable=True, headers=(_AGAIN,)),
    _Reply(
        "response.code == 503",
        "OVERLOADED",
        "The gateway is overloaded.",
        retryable=True,
        headers=(_AGAIN,),
    ),
    # 501 is the codec's answer to a transfer coding that it does not know.
    *_with_and_without_id(
        _Reply("response.code < 500 || response.code == 501", "BAD_REQUEST", _NOT_ACCEPTED),
    ),
    *_with_and_without_id(
        _Reply("true", "INTERNAL", "The gateway failed: %RESPONSE_CODE_DETAILS%.", retryable=True),
    ),
)


# The header is taken out behind the filter that fetches routes: who still has it waited for one.
_COLD = _Reply(
    f"response.code_details == 'max_duration_timeout' && '{PATH_HEADER}' in request.headers",
    "CONTROL_PLANE_UNAVAILABLE",
    "The model's configuration is not here yet, and cannot be fetched right now.",
    503,
    retryable=True,
    headers=(_AGAIN,),
)


def compile_local_reply(target: Target) -> LocalReplyConfig:
    """The connection manager's mapping from what Envoy refuses to the answer that a client can act on."""
    replies = _REPLIES if target.fetching is None else (_COLD, *_REPLIES)
    return LocalReplyConfig(mappers=[_map(reply) for reply in replies])


def _map(reply: _Reply) -> ResponseMapper:
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


def _format(reply: _Reply) -> SubstitutionFormatString:
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
