"""dbt, imported once and called many times, each time in a process of its own.

The import of dbt takes two seconds of a processor, more than a call of it. So a process that has
it forks for each call: the call begins as a new dbt does, and leaves nothing behind. The process
lives as long as the one that calls, whose pipe is its standard input; and a call no longer than
both.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import BufferedWriter
from pathlib import Path
from threading import Lock, Thread
from typing import Any, NoReturn, cast

_running: subprocess.Popen[bytes] | None = None
_one_at_a_time = Lock()


def _forget_host() -> None:
    """In a process that was forked: the host is its parent's, and so is the thread that may have
    held the lock."""
    global _running, _one_at_a_time
    _one_at_a_time = Lock()
    if _running is not None:
        for pipe in (_running.stdin, _running.stdout):
            if pipe is not None:
                # not with its buffer, which holds what the parent has begun to write
                cast(BufferedWriter, pipe).raw.close()
        # nobody waits for the child of another process
        _running.returncode = 0
        _running = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_host)


def call(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], output: Path
) -> int:
    """Call ``dbt ARGUMENT...`` in a folder, with this environment alone; what it prints goes to the
    file ``output``. Returns its exit code. When this is interrupted, so is dbt."""
    # here, so that a disk that is full is told as that
    output.touch(0o600)
    if not hasattr(os, "fork"):
        with output.open("wb") as target:
            return subprocess.run(
                [sys.executable, "-P", "-m", "dbt.cli.main", *arguments],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=target,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode
    asked = {
        "arguments": list(arguments),
        "folder": str(folder),
        "environment": dict(environment),
        "output": str(output),
    }
    question = json.dumps(asked).encode() + b"\n"
    with _one_at_a_time:
        try:
            answer = _ask(question)
        except BrokenPipeError:
            # it was killed just before, and has not read the question
            answer = _ask(question)
    return int(answer) if answer else -signal.SIGKILL  # the host was killed, and dbt with it


def _ask(question: bytes) -> bytes:
    """What the host answers; nothing when it was killed meanwhile."""
    host = _host()
    assert host.stdin is not None
    assert host.stdout is not None
    try:
        host.stdin.write(question)
        host.stdin.flush()
        answer = host.stdout.readline()
    except BaseException:
        _end(host)
        raise
    if not answer:
        _end(host)
    return answer


def _host() -> subprocess.Popen[bytes]:
    global _running
    if _running is not None and _running.poll() is not None:
        _end(_running)
    if _running is None:
        _running = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
    return _running


def _end(host: subprocess.Popen[bytes]) -> None:
    global _running
    if _running is host:
        _running = None
        # ends the call that goes on, too
        host.terminate()
        for pipe in (host.stdin, host.stdout):
            if pipe is not None:
                # what it did not read cannot be written any more
                with suppress(OSError):
                    pipe.close()
        host.wait()


@atexit.register
def _end_own() -> None:
    if _running is not None:
        _end(_running)


# ------------------------------------------------------------------------------- in its process


def main() -> None:
    """Answer each line with the exit code of the call, until there are no more."""
    import gc

    # what is imported stays, so looking among it for garbage is a sixth of the import
    gc.disable()
    from dbt.cli.main import cli

    gc.freeze()
    gc.enable()
    # Ctrl-C is for the call, and for who waits for it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers, sys.stdout = sys.stdout, sys.stderr
    watched, held = os.pipe()
    child = 0

    def end(*_: object) -> NoReturn:
        if child:
            with suppress(OSError):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
        os._exit(1)

    signal.signal(signal.SIGTERM, end)
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.close(held)
            _die_with(watched, os.dup(0))
            _dbt(cli, **asked)
        _, status = os.waitpid(child, 0)
        child = 0
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


def _die_with(host: int, caller: int) -> None:
    """Be killed when the other end of either pipe is gone: who waits for this call was killed, and
    the next one must not find it at work."""

    def watch() -> None:
        # neither is written to during a call, so what there is to read is the end
        select.select([host, caller], [], [])
        os.kill(os.getpid(), signal.SIGKILL)

    Thread(target=watch, daemon=True).start()


def _dbt(
    cli: Any, arguments: list[str], folder: str, environment: dict[str, str], output: str
) -> NoReturn:
    """It ends as any Python does, so that DuckDB closes what it has open."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    said = os.open(output, os.O_WRONLY | os.O_TRUNC)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (said, 1), (said, 2)):
        os.dup2(source, target)
    os.chdir(folder)
    sys.argv = ["dbt", *arguments]
    sys.stdout, sys.stderr = (
        os.fdopen(each, "w", encoding="utf-8", errors="backslashreplace") for each in (1, 2)
    )
    sys.exit(cli(args=arguments, prog_name="dbt"))


if __name__ == "__main__":
    main()
