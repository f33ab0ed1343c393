"""localstripe as a second process: a Stripe that keeps what it is told, on this machine only.

Started by its own command, localstripe listens on every interface and keeps its state in one fixed
file under /tmp. Here it gets 127.0.0.1 and a file of the test's own, and is otherwise untouched.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from personal_pipeline_tests.loopback import free_port

START = """
import builtins, sys
from aiohttp import web
from localstripe import resources
from localstripe.server import app, store
state = sys.argv[2]
resources.open = lambda path, mode: builtins.open(state, mode)
store.try_load_from_disk()
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""
KEY = "sk_test_12345"


@dataclass
class LocalStripe:
    """A server that can be stopped, and started again with all that it knew."""

    state: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", START, str(self.port), str(self.state)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def wait(self) -> None:
        """Until it answers."""
        for _ in range(600):
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return
            except OSError:
                assert self.process is not None
                assert self.process.poll() is None, "localstripe did not start"
                time.sleep(0.05)
        raise TimeoutError("localstripe does not answer")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def create(self, kind: str, **fields: Any) -> dict[str, Any]:
        response = requests.post(
            f"{self.base}/v1/{kind}",
            json=fields,
            headers={"Authorization": f"Bearer {KEY}"},
            timeout=10,
        )
        response.raise_for_status()
        created: dict[str, Any] = response.json()
        return created

    def cancel(self, subscription: str) -> None:
        requests.delete(
            f"{self.base}/v1/subscriptions/{subscription}",
            headers={"Authorization": f"Bearer {KEY}"},
            timeout=10,
        ).raise_for_status()
