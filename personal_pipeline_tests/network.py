"""Processes that can only reach this machine, and the addresses that they tried beyond it."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

LAYER = Path(__file__).with_name("only_loopback")


@dataclass(frozen=True)
class Watched:
    """What was asked of the network by the processes that got ``environment()``."""

    folder: Path

    def environment(self) -> dict[str, str]:
        """With it a Python denies, and writes down, every address that is not this machine."""
        return {"PYTHONPATH": str(LAYER), "DENIED": str(self.folder / "denied")}

    def denied(self) -> str:
        path = self.folder / "denied"
        return path.read_text() if path.exists() else ""

    def processes(self) -> int:
        """How many processes were watched."""
        return len(set((self.folder / "denied.loaded").read_text().split()))

    def strace(self) -> list[str]:
        """To put before a command, so that the system notes each address, also those that libraries
        use below Python; empty where there is no strace."""
        if not shutil.which("strace"):
            return []
        return [
            *("strace", "-f", "--seccomp-bpf", "-qq", "-A", "-o", str(self.folder / "calls")),
            *("-e", "trace=connect,sendto,sendmsg,sendmmsg", "-e", "signal=none"),
        ]

    def addresses(self) -> set[str]:
        """The addresses that the system noted."""
        text = (self.folder / "calls").read_text(errors="replace")
        found = re.findall(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"', text)
        return {"".join(each) for each in found}


def let_it_try(patched: pytest.MonkeyPatch) -> None:
    """Take away what keeps libraries from sending something."""
    for name in ("DO_NOT_TRACK", "DBT_SEND_ANONYMOUS_USAGE_STATS", "DAGSTER_DISABLE_TELEMETRY"):
        patched.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        patched.delenv(name, raising=False)
