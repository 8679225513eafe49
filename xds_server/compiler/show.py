"""Resources as people read them: the JSON form of Envoy's API, with what is packed inside unpacked."""

from __future__ import annotations

import json
from typing import Any

from google.protobuf.json_format import MessageToDict

from xds_server.snapshot import Resource
from xds_server.wire import descriptor_pool, message_class


def show(resource: Resource) -> dict[str, Any]:
    """A resource's message as a JSON object with Envoy's field names.

    Raises ``google.protobuf.message.DecodeError`` if the bytes are not a message of the resource's type.
    """
    message = message_class(resource.type_url.rpartition("/")[2])()
    message.ParseFromString(resource.body)
    plain = MessageToDict(message, preserving_proto_field_name=True, descriptor_pool=descriptor_pool())
    # The content of an `Any` comes as a dict of another class; a trip through JSON leaves plain ones.
    shown: dict[str, Any] = json.loads(json.dumps(plain))
    return shown
