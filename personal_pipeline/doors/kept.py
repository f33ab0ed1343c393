"""Runs a module for as long as the process that started it lives.

``python -m personal_pipeline.doors.kept MODULE ARGUMENT...`` is ``python -m MODULE ARGUMENT...``,
interrupted as by Ctrl-C when its standard input ends: its parent closed the pipe or died, however
that happened. If it does not exit then, it is killed with everything that it started.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

import psutil

GRACE_SECONDS = 20.0


def main() -> None:
    """Never returns before the module does."""
    module, *arguments = sys.argv[1:]
    # sockets and files of this process are private
    os.umask(0o077)
    threading.Thread(target=_end_with_input, daemon=True).start()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with_input() -> None:
    while os.read(0, 1024):
        pass
    if os.name == "posix":
        # to the main thread, which may be waiting
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        signal.raise_signal(signal.SIGINT)
    time.sleep(GRACE_SECONDS)
    me = psutil.Process()
    for each in [*me.children(recursive=True), me]:
        each.kill()


if __name__ == "__main__":
    main()
