"""Where the time goes between a saved file and the first 200: what happens in the control plane meanwhile, and when.

Run: python -m bench.timeline [--models 1000] [--changes 100]

The control plane is the product's, with a mark set at each step (`python -m bench.timeline serve …` is how it is
started); a mark costs about a microsecond. Printed are milliseconds since the save began: the median and the 90th
percentile.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from bench import bare
from bench.client import Client
from bench.freshness import BETWEEN_SECONDS, WARM_UP
from bench.peer import ROOT, Peer
from bench.policies import save_model, write_policies
from bench.process import Processes, free_port
from bench.row import pick
from bench.setting import Setting
from bench.stack import Stack

_OUT = "FAIRLEAD_TIMELINE"
_SHOWN = 0.25
"""Share of the changes in which a step must come up to be shown."""

Mark = tuple[float, str]


def _serve() -> None:
    """Be `fairlead serve` with marks; they are written once a second to the file that the environment names."""
    marks: list[Mark] = []
    _set_marks(lambda name: marks.append((time.perf_counter(), name)))
    target = Path(os.environ[_OUT])

    def write() -> None:
        while True:
            time.sleep(1)
            draft = target.with_suffix(".tmp")
            draft.write_text(json.dumps(marks))
            draft.replace(target)

    threading.Thread(target=write, daemon=True).start()
    sys.argv = ["fairlead", *sys.argv[1:]]
    from xds_server.cli import main

    main()


def _set_marks(mark: Callable[[str], None]) -> None:
    from xds_server.server.metrics import label
    from xds_server.server.pipeline import Pipeline
    from xds_server.server.publisher import Publisher
    from xds_server.server.session import Session
    from xds_server.sources.folder import FolderSource
    from xds_server.sources.inotify import InotifyNotices

    def around(owner: Any, name: str, before: str, after: str) -> None:
        plain = getattr(owner, name)

        @wraps(plain)
        def marked(*given: Any, **more: Any) -> Any:
            if before:
                mark(before)
            result = plain(*given, **more)
            if after:
                mark(after)
            return result

        setattr(owner, name, marked)

    around(InotifyNotices, "_take", "", "the kernel tells of the file")
    around(FolderSource, "read", "the pipeline begins", "the file is read")
    around(Pipeline, "refresh", "", "loaded, built, compared")
    around(Publisher, "prepare", "", "what the Envoy sees is encoded")
    around(Session, "show", "", "the stream knows of it")
    send, decode = Session._send, Session._decode

    async def sent(self: Session, response: Any, sink: Any) -> None:
        mark(f"{label(response.type_url)} is sent")
        await send(self, response, sink)

    def decoded(self: Session, message: bytes) -> Any:
        request = decode(self, message)
        answers = getattr(request, "nonce", "")
        mark(f"{label(request.type_url)}: {'acknowledgement' if answers else 'asked for'}")
        return request

    Session._send, Session._decode = sent, decoded  # type: ignore[method-assign]


class _MarkedStack(Stack):
    """A stack whose control plane sets marks."""

    out: Path

    def start_plane(self) -> None:
        ports = ("--xds", f"127.0.0.1:{self.xds}", "--admin", f"127.0.0.1:{self.admin}")
        command = [sys.executable, "-m", "bench.timeline", "serve", str(self._policies), *ports]
        environment = {**self._environment, _OUT: str(self.out)}
        self.plane = self.processes.start("serve", command, environment=environment, directory=ROOT)


def _measure(models: int, changes: int) -> list[tuple[float, float, str]]:
    """Medians and 90th percentiles in ms, by step, in the order in which they come."""
    setting = Setting(False, Peer("sovereign"), Peer("litellm"))
    steps: dict[str, list[float]] = defaultdict(list)
    with setting.folder() as work, Processes(work) as others:
        listener, policies = free_port(), work / "policies"
        backend = bare.start_upstream(others)
        write_policies(policies, listener=listener, backend=backend, models=models)
        _MarkedStack.out = work / "marks.json"
        with _MarkedStack(policies, work) as stack:
            stack.wait_until_open(listener)
            client = Client(listener, stack.token())
            client.wait_for(f"/acme/models/m{models - 1}")
            spans = []
            for index in range(WARM_UP + changes):
                time.sleep(BETWEEN_SECONDS)
                began = time.perf_counter()
                save_model(policies, f"new{index}", backend)
                saved = time.perf_counter()
                client.wait_for(f"/acme/models/new{index}")
                spans.append((began, saved, time.perf_counter()))
            client.close()
            time.sleep(2)
            marks: list[Mark] = [(at, name) for at, name in json.loads(_MarkedStack.out.read_text())]
    for began, saved, seen in spans[WARM_UP:]:
        steps["the file is saved"].append((saved - began) * 1000)
        met: Counter[str] = Counter()
        for at, name in marks:
            if began <= at <= seen:
                met[name] += 1
                if met[name] == 1:
                    steps[name].append((at - began) * 1000)
        steps["the client has its 200"].append((seen - began) * 1000)
    shown = [(sorted(each), name) for name, each in steps.items() if len(each) > _SHOWN * changes]
    return sorted((pick(each, 50), pick(each, 90), name) for each, name in shown)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.timeline",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--changes", type=int, default=100)
    options = parser.parse_args()
    print("  p50    p90")
    for middle, high, name in _measure(options.models, options.changes):
        print(f"{middle:5.1f}  {high:5.1f}  {name}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        _serve()
    else:
        main()
