"""The ``fairlead`` command: ``argv`` in; calls on the rooms, data on stdout, words on stderr, an exit code
out.

Must not hold logic: what a policy means is ``policy`` and ``graph``, what Envoy gets is ``compiler``, what
runs is ``server``. Must start fast: a command imports what it needs inside its own body, so that ``fairlead
token create`` never pays for gRPC or Envoy's schema.

Exit codes: 0 it worked, 1 the work failed, 64 the command was used wrongly (``EX_USAGE`` of ``sysexits.h``).
"""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit; the entry point that packaging installs as ``fairlead``.

    A Ctrl-C while the commands are still being loaded ends it without a word.
    """
    import signal

    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:  # not so where Ctrl-C is ignored, as behind nohup
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from xds_server.cli.app import run

    signal.signal(signal.SIGINT, handler)
    run()
