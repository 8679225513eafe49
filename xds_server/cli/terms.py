"""The terms on which `fairlead serve` takes clients: who they must be, how many, for how long."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

MAX_STREAMS: Final = 10_000
FIRST_EXCHANGES: Final = 100
LOAD_INTERVAL: Final = "10s"
_OLDEST: Final = 24 * 86400
"""gRPC counts in milliseconds, up to two to the power of 31."""
_RAREST: Final = 86400

Certificate = Annotated[
    Path | None,
    typer.Option(
        "--xds-certificate", help="The certificate of the xDS port, in PEM: turns TLS on.", show_default=False
    ),
]
Key = Annotated[
    Path | None, typer.Option("--xds-key", help="The key of --xds-certificate, in PEM.", show_default=False)
]
ClientCa = Annotated[
    Path | None,
    typer.Option(
        "--xds-client-ca",
        help="The authority of clients' certificates, in PEM: each must show one, of a member of its gateway.",
        show_default=False,
    ),
]
MaxStreams = Annotated[
    int, typer.Option("--max-streams", min=1, help="The most streams at once; one more is refused.")
]
FirstExchanges = Annotated[
    int,
    typer.Option(
        "--first-exchanges",
        min=1,
        help="The most clients at once in their first exchange; in a stampede the others wait.",
    ),
]
MaxStreamAge = Annotated[
    str | None,
    typer.Option(
        "--max-stream-age",
        metavar="DURATION",
        help="Close connections after this time, so that clients spread over replicas.",
        show_default=False,
    ),
]
LoadInterval = Annotated[
    str,
    typer.Option(
        "--load-interval", metavar="DURATION", help="How often nodes report their load, if they do."
    ),
]
Registration = Annotated[
    str | None,
    typer.Option(
        "--registration",
        metavar="HOST:PORT",
        help="Where backends register themselves; over TLS with --xds-certificate.",
        show_default=False,
    ),
]
RegistrationToken = Annotated[
    Path | None,
    typer.Option(
        "--registration-token",
        metavar="FILE",
        help="The file with the token that those who register must show.",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """As said on the command line; times in seconds. Raises ``BadParameter`` for files that belong together."""

    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    max_streams: int = MAX_STREAMS
    first_exchanges: int = FIRST_EXCHANGES
    max_stream_age: float | None = None
    load_interval: float = 10.0
    registration: str | None = None
    registration_token: Path | None = None

    def __post_init__(self) -> None:
        """Check what belongs together."""
        if (self.certificate is None) != (self.key is None):
            raise typer.BadParameter("--xds-certificate and --xds-key belong together")
        if self.client_ca is not None and self.certificate is None:
            raise typer.BadParameter(
                "clients show certificates only over TLS; add --xds-certificate and --xds-key",
                param_hint="--xds-client-ca",
            )
        if (self.registration is None) != (self.registration_token is None):
            raise typer.BadParameter("--registration and --registration-token belong together")
        if self.max_stream_age is not None and self.max_stream_age > _OLDEST:
            raise typer.BadParameter("24d is the longest", param_hint="--max-stream-age")
        if self.load_interval > _RAREST:
            raise typer.BadParameter("1d is the longest", param_hint="--load-interval")

    def options(self) -> dict[str, Any]:
        """Return them as `ControlPlane` takes them."""
        from xds_server.server import Limits, Tls

        tls = None
        if self.certificate is not None and self.key is not None:
            tls = Tls(self.certificate, self.key, self.client_ca)
        return {
            "tls": tls,
            "limits": Limits(streams=self.max_streams, first_exchanges=self.first_exchanges),
            "max_stream_age": self.max_stream_age,
            "load_interval": self.load_interval,
        }
