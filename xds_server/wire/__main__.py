"""`python -m xds_server.wire` derives the messages' definitions anew and keeps them."""

from __future__ import annotations

from xds_server.wire.derivation import write

if __name__ == "__main__":
    write()
