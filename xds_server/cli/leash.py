"""A program between us and a child: it ties the child's life to ours, then becomes the child.

Run as ``python -I -S leash.py PARENT_PID PROGRAM [ARGUMENT...]``. Linux sends the child SIGKILL when the
thread that started it ends, however it ends (``PR_SET_PDEATHSIG`` of prctl(2), which survives ``execve``), so
a ``kill -9`` of ``fairlead up`` leaves no Envoy behind. A program of its own rather than ``preexec_fn``,
which may deadlock in a process with threads, and gRPC has threads. It imports nothing but the standard
library, so that it costs a few milliseconds.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
PARENT_IS_GONE = 1
NOT_STARTED = 127


def main() -> None:
    """Tie this process to its parent and become the program named in ``argv``."""
    parent, program, arguments = int(sys.argv[1]), sys.argv[2], sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the leash was on
        sys.exit(PARENT_IS_GONE)
    try:
        os.execv(program, arguments)  # noqa: S606 - becoming the program is the point
    except OSError as error:
        sys.stderr.write(f"cannot start {program}: {error.strerror}\n")
        sys.exit(NOT_STARTED)


if __name__ == "__main__":
    main()
