"""Protocol: requests and views in, responses out: the xDS transport as pure state machines (sans-IO).

Input: `Request`s of a stream, `View`s and the `Diff` between them, and the time. Output: `Response`s, `Event`s
(`Accepted`, `Refused`) for those who watch, and each resource's `Standing` for those who ask. One `Channel` per
type (`DeltaChannel`, `SotwChannel`), a `Subscription` in each, one `Stream` (`DeltaStream`, `SotwStream`) around
them and an `Ordering` between them. What outlives a stream is kept beside it: the `Company` of a node's streams, and
the `Estates` that one leaves to the next.

This room must not import gRPC, read a clock, wait, do I/O, decode a body or know a policy.

https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol
"""

from xds_server.protocol.channel import Channel
from xds_server.protocol.company import Companies, Company
from xds_server.protocol.estate import Estates
from xds_server.protocol.message import Accepted, Event, Node, Refused, Request, Response
from xds_server.protocol.ordering import Ordering
from xds_server.protocol.record import Flight, Mark
from xds_server.protocol.refusal import Refusal
from xds_server.protocol.standing import Standing, State
from xds_server.protocol.stream import Stream
from xds_server.protocol.subscription import Subscription
from xds_server.protocol.timing import Timing
from xds_server.protocol.variant import DeltaStream, SotwStream

__all__ = [
    "Accepted",
    "Channel",
    "Companies",
    "Company",
    "DeltaStream",
    "Estates",
    "Event",
    "Flight",
    "Mark",
    "Node",
    "Ordering",
    "Refusal",
    "Refused",
    "Request",
    "Response",
    "SotwStream",
    "Standing",
    "State",
    "Stream",
    "Subscription",
    "Timing",
]
