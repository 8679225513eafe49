"""Scale from zero: what becomes of requests while no backend is there, and who is told that they wait."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from xds_server.policy.kinds.base import Part, part
from xds_server.policy.kinds.duration import Duration
from xds_server.policy.kinds.names import FileName, Shown

Url = Annotated[str, StringConstraints(min_length=1, max_length=2048), Shown("URL")]


@part
class Wake(Part):
    """Who is told that requests wait: the control plane sends him a POST."""

    url: Url = Field(
        description="Where to: http or https, without credentials and query.",
        examples=["https://autoscaler.internal/wake"],
    )
    token: FileName | None = Field(
        default=None,
        description="A bearer token to show: a file of the policy folder with one line, that ends like a key or lies "
        "in a folder called `secrets`. Only with an `https` URL.",
        examples=["secrets/autoscaler"],
    )
    ca: FileName | None = Field(
        default=None,
        description="The CA certificates to trust, in PEM, from a file of the policy folder. Without it, the public "
        "ones.",
        examples=["certs/ca.pem"],
    )
    every: Duration = Field(
        default=30.0,
        description="As long as somebody waits, he is told again after this time, and not before.",
        examples=["30s"],
    )
    timeout: Duration = Field(
        default=5.0, description="How long he may take to answer before he is asked again.", examples=["5s"]
    )


@part
class ScaleFromZero(Part):
    """Requests to a revision without a backend wait for one, and somebody is told. For revisions with
    `registration`."""

    wake: Wake = Field(description="Who is told that requests wait.")
    hold: Duration = Field(
        default=30.0,
        description="How long a request waits at most. Then, and at once where an Envoy cannot let it wait, the answer "
        "is 503 `SCALING_FROM_ZERO`.",
        examples=["30s"],
    )
    retry_after: Duration = Field(
        default=10.0,
        description="What that answer says in `Retry-After`, in whole seconds.",
        examples=["10s"],
    )
