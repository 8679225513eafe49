"""Ends that are waited for, but not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

log = structlog.get_logger("fairlead.server")


async def end(part: str, ending: Coroutine[Any, Any, None], seconds: float) -> bool:
    """Run an ending; if it takes longer than `seconds` it is left to itself, with a warning that names the part.

    Returns whether it ended. What it raises, in time, is raised.
    """
    task = asyncio.create_task(ending, name=f"end of {part}")
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if done:
        task.result()
        return True
    log.warning("a part does not end; it is left", part=part, seconds=seconds)
    # An error that comes later has nobody to tell, but must not be reported as lost.
    task.add_done_callback(lambda late: late.cancelled() or late.exception())
    return False
