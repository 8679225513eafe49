"""A real Envoy for tests. Any test may use it:

    with EnvoyProcess(bootstrap, tmp_path) as envoy:
        envoy.wait_ready()
        envoy.get("/stats")

`bootstrap` is the static configuration as a dictionary (or YAML/JSON text); its `admin` address is put in. The admin
port is a free one that Envoy picks; `free_port()` gives one for a listener. `binary` is another Envoy than the one
that `fairlead` would run. Everything Envoy wrote is in `envoy.log`, and is shown when a wait fails. On leaving the
block the process is ended by its pid and waited for.

Waits are for conditions (`wait_until`), with one generous limit. From a coroutine call the waits through
`asyncio.to_thread`, or Envoy waits for a control plane that waits for Envoy.
"""

from __future__ import annotations

import json
import random
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import yaml

from xds_server.cli.binary import find

PATIENCE = 40.0
"""Seconds after which a condition that does not come true fails the test."""

Found = TypeVar("Found")
_given: set[int] = set()


def free_port() -> int:
    """Return a port of the loopback address that was free a moment ago, another one each time.

    It lies below the ports that the kernel gives to outgoing connections (32768 and up unless told otherwise), any of
    which may be in use before Envoy has bound it.
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port


def wait_until(condition: Callable[[], Found], what: str = "", patience: float = PATIENCE) -> Found:
    """Return the first true value of `condition`, asked some fifty times a second, and once when patience is over:
    on a busy machine the time may have passed while nobody could ask.
    """
    limit = time.monotonic() + patience
    while True:
        late = time.monotonic() > limit
        found = condition()
        if found:
            return found
        if late:
            raise AssertionError(f"never came true: {what or condition}")
        time.sleep(0.02)


class EnvoyProcess:
    """One Envoy, from its start to its end."""

    def __init__(
        self,
        bootstrap: dict[str, Any] | str,
        directory: Path,
        arguments: Iterable[str] = (),
        binary: Path | None = None,
    ) -> None:
        config = yaml.safe_load(bootstrap) if isinstance(bootstrap, str) else dict(bootstrap)
        config["admin"] = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}}
        directory.mkdir(parents=True, exist_ok=True)
        self._config = directory / "bootstrap.json"
        self._config.write_text(json.dumps(config))
        self._admin = directory / "admin"
        self._output = directory / "envoy.log"
        self._arguments = tuple(arguments)
        self._binary = binary
        self._process: subprocess.Popen[bytes] | None = None
        self._client = httpx.Client(timeout=PATIENCE, trust_env=False)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def log(self) -> str:
        """All that Envoy wrote."""
        return self._output.read_text(errors="replace")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process, and wait until its admin address is known. It may be started again after `stop`."""
        self._client = httpx.Client(timeout=PATIENCE, trust_env=False)
        self._admin.unlink(missing_ok=True)
        command = [
            *(self._binary or find(), "-c", self._config, "--admin-address-path", self._admin),
            *("--disable-hot-restart", "--concurrency", "1", "--log-level", "info", *self._arguments),
        ]
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            wait_until(self._admin_known, "Envoy's admin address")
        except BaseException:
            self.stop()
            raise

    def _admin_known(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"Envoy ended with {self._process.returncode}:\n{self.log[-4000:]}")
        return self._admin.exists() and bool(self._admin.read_text().strip())

    def stop(self, grace: float = 10.0) -> int | None:
        """End the process and return its exit code (`None`: it never ran)."""
        self._client.close()
        if self._process is None:
            return None
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    @property
    def admin_url(self) -> str:
        return f"http://{self._admin.read_text().strip()}"

    def get(self, path: str) -> httpx.Response:
        """Ask the admin interface."""
        return self._client.get(self.admin_url + path)

    def wait(self, condition: Callable[[], Found], what: str = "", patience: float = PATIENCE) -> Found:
        """As `wait_until`; shows Envoy's log when the condition does not come true or Envoy has ended."""

        def check() -> Found:
            if not self.running:
                raise AssertionError("Envoy has ended")
            return condition()

        try:
            return wait_until(check, what, patience)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log[-4000:]}") from error

    def wait_ready(self, patience: float = PATIENCE) -> None:
        """Wait until Envoy says `LIVE`: it has all of its first configuration."""
        self.wait(lambda: self.get("/ready").status_code == 200, "Envoy is live", patience)

    def stats(self, pattern: str = "") -> dict[str, int]:
        """Return counters and gauges by name; `pattern` is a regular expression."""
        text = self.get(f"/stats?format=json&filter={pattern}").json()
        return {each["name"]: each["value"] for each in text["stats"] if "value" in each}

    def config(self) -> list[dict[str, Any]]:
        """Return the parts of `/config_dump`, endpoints included."""
        parts: list[dict[str, Any]] = self.get("/config_dump?include_eds").json()["configs"]
        return parts

    def stalls(self) -> dict[str, int]:
        """Return the subscriptions whose first answer did not come in time; there should be none.

        What requests wait for is another matter: it comes when it comes.
        """
        return {
            name: value
            for name, value in self.stats("init_fetch_timeout").items()
            if value and not name.startswith("cluster_manager.odcds.")
        }


def delta_ads(port: int, *, gateway: str, region: str, node: str = "node-1") -> dict[str, Any]:
    """Return a bootstrap that takes listeners and clusters from an ADS server on the loopback address."""
    return ads(port, "DELTA_GRPC", gateway=gateway, region=region, node=node)


def sotw_ads(port: int, *, gateway: str, region: str, node: str = "node-1") -> dict[str, Any]:
    """As `delta_ads`, in the state-of-the-world variant."""
    return ads(port, "GRPC", gateway=gateway, region=region, node=node)


def ads(port: int, api_type: str, *, gateway: str, region: str, node: str) -> dict[str, Any]:
    """Return a bootstrap with ADS of the given `api_type`."""
    here = {"ads": {}, "resource_api_version": "V3"}
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    http2 = {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    return {
        "node": {"id": node, "cluster": gateway, "locality": {"region": region}},
        "dynamic_resources": {
            "lds_config": here,
            "cds_config": here,
            "ads_config": {
                "api_type": api_type,
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}],
            },
        },
        "static_resources": {
            "clusters": [
                {
                    "name": "xds",
                    "type": "STATIC",
                    "connect_timeout": "1s",
                    "typed_extension_protocol_options": {
                        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2
                    },
                    "load_assignment": {
                        "cluster_name": "xds",
                        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
                    },
                }
            ]
        },
    }
