"""The gateway's own errors: JSON that says so, with a stable code, for whatever Envoy itself refuses.

A model's answers, errors included, never pass through here.
"""

from __future__ import annotations

from dataclasses import replace

from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    LocalReplyConfig,
)

from xds_server.graph import USE_REVISION_HEADER, USE_REVISION_PARAMETER

from .access import TESTERS
from .authentication import MALFORMED_CREDENTIALS, MANY_CREDENTIALS, NO_ISSUER
from .direct import AMBIGUOUS_REVISION, UNKNOWN_REVISION
from .names import PATH_HEADER
from .reply import Reply, map_reply
from .request import (
    AMBIGUOUS_ENVIRONMENT,
    DOT_SEGMENT,
    ENCODED_PARAMETER,
    OTHER_WORKSPACE,
    REPEATED_REVISION,
    UNKNOWN_HOST,
)
from .residency import FENCE_NOT_OFFERED, RESIDENCY_NOT_OFFERED
from .target import Target
from .waiting import NO_BACKEND, RETRY_AFTER

_RETRY_AFTER_SECONDS = "1"
_NEW_ID = "%UNIQUE_ID%"


def _denied(*policies: str) -> str:
    return " || ".join(
        f"response.code_details == 'rbac_access_denied_matched_policy[{name}]'" for name in policies
    )


def _answered_by(route: str) -> str:
    return f"response.code_details == 'direct_response' && xds.route_name == '{route}'"


def _with_and_without_id(reply: Reply) -> tuple[Reply, Reply]:
    # What is refused before the filters (path, codec) has no id yet, unless the client brought one, which Envoy echoes.
    known = replace(reply, when=f"({reply.when}) && 'x-request-id' in request.headers")
    return known, replace(reply, request_id=_NEW_ID)


_CHALLENGE = ("www-authenticate", 'Bearer realm="fairlead"')
_REFUSAL = ("www-authenticate", 'Bearer realm="fairlead", error="invalid_token"')
_AGAIN = ("retry-after", _RETRY_AFTER_SECONDS)
_NOT_ACCEPTED = "The gateway cannot accept this request: %RESPONSE_CODE_DETAILS%."
_NO_BACKEND = "No allowed backend of this model can be reached right now."

_NAME_ONCE = (
    f"Name the revision once: '{USE_REVISION_PARAMETER}' in the query, not percent-encoded, "
    f"or the header '{USE_REVISION_HEADER}'."
)

# The first that holds wins.
_REPLIES = (
    Reply(
        "response.code_details == 'jwt_authn_access_denied{Jwt_is_missing}'",
        "AUTHENTICATION_REQUIRED",
        "Send a bearer token: 'Authorization: Bearer <token>'.",
        401,
        headers=(_CHALLENGE,),
    ),
    Reply(
        "response.code_details.startsWith('jwt_authn_access_denied{Jwks_remote_fetch')",
        "AUTHENTICATION_UNAVAILABLE",
        "The issuer's keys cannot be fetched right now, so no token of it can be checked.",
        503,
        retryable=True,
        headers=(_AGAIN,),
    ),
    Reply(
        _denied(MANY_CREDENTIALS),
        "AUTHENTICATION_FAILED",
        "Send one token only: more than one header of this request carries one.",
        401,
        headers=(_REFUSAL,),
    ),
    Reply(
        f"response.code_details.startsWith('jwt_authn_access_denied') || {_denied(MALFORMED_CREDENTIALS, NO_ISSUER)}",
        "AUTHENTICATION_FAILED",
        "The token is malformed, expired, or not from an issuer and for an audience that this gateway accepts.",
        401,
        headers=(_REFUSAL,),
    ),
    Reply(
        _denied(AMBIGUOUS_ENVIRONMENT),
        "BAD_REQUEST",
        "The query names 'environment' more than once; name it once.",
        400,
    ),
    Reply(_denied(REPEATED_REVISION), "BAD_REQUEST", _NAME_ONCE, 400),
    Reply(
        _denied(DOT_SEGMENT),
        "BAD_REQUEST",
        "The path hides a dot segment behind ';' or an escaped character.",
        400,
    ),
    Reply(
        _denied(ENCODED_PARAMETER),
        "BAD_REQUEST",
        "Write the query parameter 'environment' without percent-encoding.",
        400,
    ),
    Reply(
        f"response.code_details.startsWith('rbac_access_denied_matched_policy[{OTHER_WORKSPACE}-')",
        "BAD_REQUEST",
        "A header names another workspace than the path does.",
        400,
    ),
    Reply(
        _denied(UNKNOWN_HOST),
        "MISDIRECTED_REQUEST",
        "This gateway does not serve the host that the request names.",
        421,
    ),
    Reply(
        _denied(RESIDENCY_NOT_OFFERED),
        "RESIDENCY_NOT_OFFERED",
        "The model cannot be kept within the residency that the request asks for.",
        403,
    ),
    Reply(
        _denied(FENCE_NOT_OFFERED),
        "RESIDENCY_NOT_OFFERED",
        "The model cannot be kept within the residency that the token is bound to.",
        403,
    ),
    Reply(
        _denied(TESTERS),
        "REVISION_FORBIDDEN",
        "This token does not allow to choose a revision of this model.",
        403,
    ),
    Reply(
        "response.code_details.startsWith('rbac_access_denied')",
        "FORBIDDEN",
        "This token gives no access to this workspace or model.",
        403,
    ),
    Reply(
        ("NR",),
        "MODEL_NOT_FOUND",
        "No model at this path: expected /{workspace}/models/{model}.",
        404,
    ),
    Reply(
        _answered_by(UNKNOWN_REVISION),
        "REVISION_NOT_FOUND",
        "The model has no such revision in this environment.",
        404,
    ),
    Reply(
        _answered_by(AMBIGUOUS_REVISION),
        "BAD_REQUEST",
        _NAME_ONCE,
        400,
    ),
    Reply(
        "response.code_details == 'direct_response' && response.code == 404",
        "DEPLOYMENT_NOT_FOUND",
        "The model is not deployed in this environment.",
        404,
    ),
    # Before the flag of the same timer, which also says that a model is silent: then it is 504.
    *_with_and_without_id(
        Reply(
            "response.code == 408", "REQUEST_TIMEOUT", "The request did not arrive in time.", retryable=True
        ),
    ),
    Reply(
        ("UT", "SI", "DT", "UMSDR"),
        "UPSTREAM_TIMEOUT",
        "The model did not answer in time.",
        504,
        retryable=True,
    ),
    # The limit of the whole sets no flag.
    Reply(
        "response.code_details == 'max_duration_timeout'",
        "UPSTREAM_TIMEOUT",
        "The model did not answer in time.",
        504,
        retryable=True,
    ),
    Reply(
        ("UC", "UR", "UPE"),
        "UPSTREAM_RESET",
        "The model ended the connection before it had answered; it may have run the request.",
        502,
    ),
    # By its details, not the flag UO, which also stands where there was no budget left to try again.
    Reply(
        "response.code_details == 'upstream_reset_before_response_started{overflow}'",
        "OVERLOADED",
        "This model has as many requests in progress as it may have; try again later.",
        503,
        retryable=True,
        headers=(_AGAIN,),
    ),
    Reply(
        NO_BACKEND,
        "SCALING_FROM_ZERO",
        "The model has no backend that is ready; it scales from zero.",
        503,
        retryable=True,
        headers=(("retry-after", RETRY_AFTER),),
    ),
    Reply(
        ("UH", "UF", "UO", "NC", "URX", "LR", "LH"),
        "UPSTREAM_UNAVAILABLE",
        _NO_BACKEND,
        503,
        retryable=True,
        headers=(_AGAIN,),
    ),
    Reply("response.code == 429", "RATE_LIMITED", "Too many requests.", retryable=True, headers=(_AGAIN,)),
    Reply(
        "response.code == 503",
        "OVERLOADED",
        "The gateway is overloaded.",
        retryable=True,
        headers=(_AGAIN,),
    ),
    # 501 is the codec's answer to a transfer coding that it does not know.
    *_with_and_without_id(
        Reply("response.code < 500 || response.code == 501", "BAD_REQUEST", _NOT_ACCEPTED),
    ),
    *_with_and_without_id(
        Reply("true", "INTERNAL", "The gateway failed: %RESPONSE_CODE_DETAILS%.", retryable=True),
    ),
)


# The header is taken out behind the filter that fetches routes: who still has it waited for one.
_COLD = Reply(
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
    return LocalReplyConfig(mappers=[map_reply(reply) for reply in replies])
