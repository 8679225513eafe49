"""What a dockerd changes on the machine it runs on and leaves behind, put back as it was.

In and out: nothing but this machine. A dockerd writes netfilter rules (with a FORWARD policy of DROP), switches
forwarding on, and makes a bridge. A rule that somebody else adds in the meantime is lost with Docker's own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

# Where Debian keeps what administrators run, which is not on everybody's path.
PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])
SETTINGS = (Path("/proc/sys/net/ipv4/ip_forward"), Path("/proc/sys/net/ipv6/conf/all/forwarding"))
TABLES = ("filter", "nat", "raw")
BRIDGE = Path("/sys/class/net/docker0")


@contextlib.contextmanager
def put_back() -> Iterator[None]:
    """Put back, when the block ends, what was before: netfilter's rules, forwarding, and no bridge if none was."""
    rules = {command: _rules(command) for command in ("iptables", "ip6tables")}
    settings = {path: path.read_text() for path in SETTINGS if path.exists()}
    bridge = BRIDGE.exists()
    try:
        yield
    finally:
        for command, saved in rules.items():
            if saved is not None:
                subprocess.run([f"{command}-restore"], input=saved, check=True, env={"PATH": PATH})
        for path, value in settings.items():
            if path.read_text() != value:
                path.write_text(value)
        ip = shutil.which("ip", path=PATH)
        if ip and BRIDGE.exists() and not bridge:
            subprocess.run([ip, "link", "delete", BRIDGE.name], check=True)


def _rules(command: str) -> bytes | None:
    """All of netfilter's rules of a family; None where it can't be asked, and so dockerd can't change them."""
    if shutil.which(f"{command}-save", path=PATH) is None:
        return None
    for table in TABLES:  # one that nobody has used yet is not saved, and so would not be put back
        subprocess.run([command, "-t", table, "-S"], capture_output=True, check=False, env={"PATH": PATH})
    saved = subprocess.run([f"{command}-save"], capture_output=True, check=False, env={"PATH": PATH})
    return saved.stdout if saved.returncode == 0 else None
