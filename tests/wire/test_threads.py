"""The first use of message classes may come from several threads at once: a server that starts while clients wait."""

from __future__ import annotations

import subprocess
import sys

_ALL_AT_ONCE = """
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from xds_server.wire import descriptor_pool, message_class

sys.setswitchinterval(1e-6)
THREADS = 6
ready = Barrier(THREADS)
SOURCE = {"ads": {}, "resource_api_version": "V3"}


def use(number):
    ready.wait()
    if number % 2:
        message_class("envoy.service.discovery.v3.DeltaDiscoveryRequest")().ParseFromString(b"")
    context = message_class("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext")(
        common_tls_context={"validation_context_sds_secret_config": {"name": "a", "sds_config": SOURCE}}
    )
    return id(descriptor_pool()), type(context), context.SerializeToString(deterministic=True)


with ThreadPoolExecutor(THREADS) as pool:
    found = set(pool.map(use, range(THREADS)))
print(len(found))
"""


def test_a_first_use_in_several_threads_gives_one_class_of_each_message() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ALL_AT_ONCE], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
