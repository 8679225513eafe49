"""Sources: where policy text comes from. In: a folder (or one file). Out: its texts, and word of changes.

A source reads and watches; it does not validate, and does not know what a manifest is. What it cannot read it
reports, so that whoever loads the rest can be careful.
"""

from __future__ import annotations

from xds_server.sources.folder import FolderSource
from xds_server.sources.text import SourceText

__all__ = ["FolderSource", "SourceText"]
