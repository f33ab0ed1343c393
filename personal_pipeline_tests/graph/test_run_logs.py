"""What a run prints, and what its page shows."""

import dagster as dg
import pytest

from personal_pipeline.graph.instance import instance_of
from personal_pipeline.graph.telling import page
from personal_pipeline.home import Home


@dg.op
def speaks(context: dg.OpExecutionContext) -> None:
    page(context).info("three records")
    page(context).warning("one of them cannot be read")
    raise dg.Failure("The disk is full.")


@dg.job
def speaking() -> None:
    speaks()


def test_a_run_prints_warnings_and_failures_and_its_page_shows_all(
    home: Home, capfd: pytest.CaptureFixture[str]
) -> None:
    with instance_of(home) as instance:
        result = speaking.execute_in_process(instance=instance, raise_on_error=False)
        shown = {each.user_message for each in instance.all_logs(result.run_id)}
    said = capfd.readouterr()
    assert {"three records", "one of them cannot be read"} <= shown
    assert said.out == ""
    assert said.err.splitlines() == [
        "warning: speaking: one of them cannot be read",
        "error: speaking: The disk is full.",
    ]
