from __future__ import annotations

from tests.xds.conftest import connect, logged, plane, publish

__all__ = ["connect", "logged", "plane", "publish"]
