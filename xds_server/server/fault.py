"""What ends a stream."""

from __future__ import annotations

import grpc


class StreamFaultError(Exception):
    """A fault of the stream as a whole: it is closed with this status. Anything less leaves it open."""

    def __init__(self, status: grpc.StatusCode, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words
