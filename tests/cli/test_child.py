from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from xds_server.cli.child import TAIL_LINES, Child, ending

from .conftest import PATIENCE, wait_for_end

PARENT = """
import asyncio, sys
from xds_server.cli.child import Child

async def main():
    code = "import time; print('up', flush=True); time.sleep(600)"
    child = await Child.start("sleeper", [sys.executable, "-c", code])
    while not child.tail:
        await asyncio.sleep(0.01)
    print(child.pid, flush=True)
    await child.wait()

asyncio.run(main())
"""


def python(code: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(code)]


def test_a_killed_parent_takes_its_child_along() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    child = int(parent.stdout.readline())
    os.kill(child, 0)
    parent.kill()
    parent.wait(PATIENCE)
    wait_for_end(child)


async def test_the_last_lines_and_the_exit_code_are_kept() -> None:
    child = await Child.start("talker", python("for n in range(100): print(n)\nraise SystemExit(3)"))
    assert await child.wait() == 3
    assert list(child.tail) == [str(n) for n in range(100 - TAIL_LINES, 100)]
    assert not child.running


async def test_each_line_is_told_at_once_and_an_endless_one_is_cut() -> None:
    lines: list[str] = []
    code = "import sys; sys.stdout.write('a\\n' + 'x' * 1_000_000 + '\\nend')"
    child = await Child.start("talker", python(code), on_line=lines.append)
    await child.wait()
    assert [lines[0], lines[-1]] == ["a", "end"]
    assert max(map(len, lines)) < 5000


async def test_stop_asks_first() -> None:
    code = """
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: (print("bye", flush=True), sys.exit(0)))
        print("up", flush=True)
        time.sleep(600)
    """
    up = asyncio.Event()
    child = await Child.start("polite", python(code), on_line=lambda _: up.set())
    await asyncio.wait_for(up.wait(), PATIENCE)
    await child.stop(PATIENCE)
    assert child.tail[-1] == "bye"
    assert await child.wait() == 0


async def test_stop_kills_what_does_not_listen_grandchildren_included() -> None:
    code = """
        import signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print(grandchild.pid, flush=True)
        time.sleep(600)
    """
    up = asyncio.Event()
    child = await Child.start("stubborn", python(code), on_line=lambda _: up.set())
    await asyncio.wait_for(up.wait(), PATIENCE)
    await child.stop(0.1)
    assert await child.wait() == -signal.SIGKILL
    wait_for_end(int(child.tail[0]))


async def test_a_program_that_is_not_there_says_so() -> None:
    child = await Child.start("nobody", ["/nonexistent/program"])
    assert await child.wait() == 127
    assert child.tail[-1] == "cannot start /nonexistent/program: No such file or directory"


async def test_a_ctrl_c_does_not_reach_the_child_by_itself() -> None:
    child = await Child.start("apart", python("import time; time.sleep(600)"))
    assert os.getpgid(child.pid) == child.pid != os.getpgid(0)
    await child.stop(PATIENCE)


@pytest.mark.parametrize(
    ("code", "words"), [(0, "exit code 0"), (2, "exit code 2"), (-9, "killed by SIGKILL")]
)
def test_an_ending_is_put_into_words(code: int, words: str) -> None:
    assert ending(code) == words
