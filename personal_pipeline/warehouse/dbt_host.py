"""dbt, imported once and called many times, each time in a new process.

Importing dbt and reading the manifest takes three seconds of CPU time; a call without them takes
half a second. So a process that has done both forks for each call: the call starts like a fresh dbt
and leaves nothing behind. The process lives as long as its caller, whose pipe is its standard
input, and a call lives no longer than either.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from io import BufferedWriter
from pathlib import Path
from threading import Lock, Thread
from typing import Any, NoReturn, cast

QUIET = ("--quiet", "--no-use-colors", "--log-level", "none", "--log-level-file", "none")
"""Arguments for a call of which only results and the exception are read: formatting events would
be an eighth of its work."""
ONCE = "--once"

# dbt creates semaphores, and the process ends without releasing them; the system removes them
_SEMAPHORES = "ignore::UserWarning:multiprocessing.resource_tracker"

_running: subprocess.Popen[bytes] | None = None
_one_at_a_time = Lock()


def _forget_host() -> None:
    """After a fork, in the child: the host belongs to the parent, and so does the thread that may
    have held the lock."""
    global _running, _one_at_a_time
    _one_at_a_time = Lock()
    if _running is not None:
        for pipe in (_running.stdin, _running.stdout):
            if pipe is not None:
                # close without flushing the buffer, which contains what the parent has begun to
                # write
                cast(BufferedWriter, pipe).raw.close()
        # a child of another process cannot be waited for
        _running.returncode = 0
        _running = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_host)


def warm() -> None:
    """Start importing dbt in the background: it takes seconds, and will be needed."""
    if hasattr(os, "fork") and _one_at_a_time.acquire(blocking=False):
        try:
            _host()
        finally:
            _one_at_a_time.release()


@dataclass(frozen=True, slots=True)
class Call:
    """A call of ``dbt ARGUMENT...`` in a folder, with exactly this environment. Its output goes to
    the file ``output``, and the status of each node, with the names of the macros that it compiled,
    to ``results`` as JSON.

    ``project`` are the arguments that select the project. ``manifest`` is the file with the parsed
    project, and ``version`` identifies its content: calls with the same version share what is in
    memory, wherever their manifests lie. Without a manifest, dbt parses.
    """

    arguments: Sequence[str]
    project: Sequence[str]
    manifest: str
    version: str
    folder: str
    environment: Mapping[str, str]
    output: str
    results: str


def call(asked: Call) -> int:
    """Run a call. Returns its exit code. An interrupt also stops dbt."""
    # here, so that a full disk is reported as such
    Path(asked.output).touch(0o600)
    question = json.dumps(asdict(asked)).encode() + b"\n"
    if not hasattr(os, "fork"):
        return subprocess.run(
            [sys.executable, "-P", "-m", __name__, ONCE],
            input=question,
            stdout=subprocess.DEVNULL,
            check=False,
        ).returncode
    with _one_at_a_time:
        try:
            answer = _ask(question)
        except BrokenPipeError:
            # the host was killed just before, and has not read the question
            answer = _ask(question)
    return int(answer) if answer else -signal.SIGKILL  # the host was killed, and dbt with it


def _ask(question: bytes) -> bytes:
    """The host's answer; empty if it was killed meanwhile."""
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
            [sys.executable, "-P", "-W", _SEMAPHORES, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
    return _running


def _end(host: subprocess.Popen[bytes]) -> None:
    global _running
    if _running is host:
        _running = None
        # also ends a running call
        host.terminate()
        for pipe in (host.stdin, host.stdout):
            if pipe is not None:
                # what it has not read can no longer be written
                with suppress(OSError):
                    pipe.close()
        host.wait()


@atexit.register
def _end_own() -> None:
    if _running is not None:
        _end(_running)


# ------------------------------------------------------------------------------- in its process


def main() -> None:
    """Answer each line with the exit code of its call, until the input ends."""
    # imported modules stay, and collecting garbage among them takes a sixth of the import time
    gc.disable()
    from dbt.cli.main import dbtRunner

    from personal_pipeline.warehouse import dbt_private

    dbt_private.spare()
    gc.freeze()
    gc.enable()
    if sys.argv[1:] == [ONCE]:
        once = Call(**json.loads(sys.stdin.readline()))
        _dbt(dbtRunner(manifest=_manifest(once)), once)
    # Ctrl-C is handled by the call, and by whoever waits for it
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
    known = ""
    manifest = None
    for line in sys.stdin:
        asked = Call(**json.loads(line))
        if asked.manifest and (manifest is None or known != asked.version):
            known, manifest = asked.version, _warm(asked)
            gc.freeze()
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.close(held)
            _die_with(watched, os.dup(0))
            _dbt(dbtRunner(manifest=manifest if asked.manifest else None), asked)
        _, status = os.waitpid(child, 0)
        child = 0
        if asked.manifest and manifest is not None:
            _compile_what_was_used(manifest, Path(asked.results))
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


def _manifest(asked: Call) -> Any:
    """The manifest; None if there is no readable one, and then dbt parses."""
    if not asked.manifest:
        return None
    from dbt.contracts.graph.manifest import Manifest

    try:
        manifest: Any = Manifest.from_msgpack(Path(asked.manifest).read_bytes())
        manifest.build_flat_graph()
    except Exception:  # whatever is wrong with it
        return None
    return manifest


def _warm(asked: Call) -> Any:
    """The manifest, after dbt has used it here once: otherwise every call would repeat those
    imports and computations. Nothing is parsed in this process, because dbt's parser starts
    threads, and a process forked while threads run hangs."""
    from dbt.adapters import factory
    from dbt.cli.main import dbtRunner

    manifest = _manifest(asked)
    if manifest is None:
        return None
    folder, environment = Path.cwd(), dict(os.environ)
    try:
        _enter(asked)
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):  # noqa: PTH123
            dbtRunner(manifest=manifest).invoke(
                [*QUIET, "build", "--no-write-json", "--select", "nothing", *asked.project]
            )
        # what a call that selects something imports later
        for late in ("dbt.adapters.duckdb.environments.local", "dbt_common.clients.agate_helper"):
            import_module(late)
        # it holds an interprocess lock, which a killed call would hold for ever
        cast(Any, factory).reset_adapters()
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
    return manifest


def _compile_what_was_used(manifest: Any, results: Path) -> None:
    """Compile the macros that a call has just compiled, so that no later one has to: that is half
    of what a call costs."""
    from dbt_common.clients.jinja import template_cache

    try:
        used = json.loads(results.read_bytes())["macros"]
        for name in used:
            template_cache.get_node_template(manifest.macros[name])
    except (OSError, ValueError, KeyError):  # it ended before it wrote any results
        return
    if used:
        gc.freeze()


def _enter(asked: Call) -> None:
    os.environ.clear()
    os.environ.update(asked.environment)
    os.chdir(asked.folder)


def _die_with(host: int, caller: int) -> None:
    """Kill this process when the other end of either pipe is closed: the caller was killed, and the
    next one must not find this call still running."""

    def watch() -> None:
        # nothing is written to either during a call, so readable means closed
        select.select([host, caller], [], [])
        os.kill(os.getpid(), signal.SIGKILL)

    Thread(target=watch, daemon=True).start()


def _dbt(runner: Any, asked: Call) -> NoReturn:
    """Call dbt, and exit."""
    from dbt_common.clients.jinja import template_cache

    signal.signal(signal.SIGINT, signal.default_int_handler)
    said = os.open(asked.output, os.O_WRONLY | os.O_TRUNC)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (said, 1), (said, 2)):
        os.dup2(source, target)
    sys.stdout, sys.stderr = (
        os.fdopen(each, "w", encoding="utf-8", errors="backslashreplace") for each in (1, 2)
    )
    _enter(asked)
    sys.argv = ["dbt", *asked.arguments]
    known = {*template_cache.file_cache}
    done = runner.invoke([*asked.arguments, *asked.project])
    if done.exception is not None:
        sys.stdout.write(f"{done.exception}\n")
    nodes = getattr(done.result, "results", None)
    if nodes is not None:
        results = {
            "nodes": [
                {
                    "unique_id": each.node.unique_id,
                    "status": each.status.value,
                    "message": each.message,
                }
                for each in nodes
            ],
            "macros": [
                name
                for name, macro in (runner.manifest.macros if runner.manifest else {}).items()
                if macro.macro_sql in template_cache.file_cache.keys() - known
            ],
        }
        Path(asked.results).write_text(json.dumps(results), encoding="utf-8")
    # closes DuckDB's connections; the rest of Python's shutdown aborts after such a fork
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(0 if done.success else 1)


if __name__ == "__main__":
    main()
