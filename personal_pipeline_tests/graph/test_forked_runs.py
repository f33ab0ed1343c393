"""How the code server starts runs: as forks of a process that has imported everything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

STARTS = """
import multiprocessing
import sys


def imported(found):
    found.put("personal_pipeline.house" in sys.modules)


if __name__ == "__main__":
    import personal_pipeline.house
    from personal_pipeline.graph.forked_runs import fork_runs

    fork_runs()
    spawn = multiprocessing.get_context("spawn")
    found = spawn.Queue()
    process = spawn.Process(target=imported, args=[found])
    process.start()
    print(found.get(timeout=60))
    process.join()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="runs are forks on Linux only")
@pytest.mark.parametrize(
    ("arguments", "imported"), [(["api", "grpc"], "True"), (["api", "execute_run"], "False")]
)
def test_only_what_the_code_server_starts_has_imported_everything(
    arguments: list[str], imported: str, tmp_path: Path
) -> None:
    script = tmp_path / "dagster.py"
    script.write_text(STARTS)
    done = subprocess.run(
        [sys.executable, "-P", str(script), *arguments], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.split() == [imported]
