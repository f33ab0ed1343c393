"""Four months of an invented life in a small house, judged every morning against ``definition``.

What is real: the sensor that asks what is stale, with its cursor, on an instance of Dagster;
``build.build``, ``build.reconcile`` and ``passes.build_tables`` whole, with the batches, the
windows, changed SQL, failures and giving up; ``tell_work`` and ``log_contents``, with the file in
which they remember what was told, and what Dagster then knows. In place of dbt and of DuckDB there
are ``_dbt`` and ``stand_ins.Warehouse``, put where those modules look for them: a call of dbt takes
six seconds, and a life makes hundreds of them. A seam in ``build`` itself would be carried by
everybody who reads it, and would leave less of it under the proof.

What is said otherwise than in life:

- No op is executed: the simulation takes the steps of the job's body, and logs the events that it
  logs. Of a run the sensor asks only whether it is under way, so one run record serves all those
  that begin and end between two ticks: in SQLite each has a file of its own, which takes 0.2 s.
- Ticks are not every five seconds but when something may have changed: after arrivals, while runs
  go on, after runs; on most days the computer is closed after two of them, and on others it is only
  opened for a `personal-pipeline refresh`, or stays closed.
- Whether anything changed since the last tick is told by the contents of the stand-ins and not by
  the times of files (``signature_of``).
- Nine tables in place of sixty, with every kind of edge that the real ones have; a number for the
  rows of a partition; three weeks of history and ten days that are fetched again.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import dagster as dg
from dagster._core.events import DagsterEventType

from personal_pipeline import passes
from personal_pipeline.graph import building as sensing
from personal_pipeline.graph import telling
from personal_pipeline.graph.building import JOB, build_sensor
from personal_pipeline.graph.contents import known_contents, log_contents
from personal_pipeline.graph.instance import instance_of
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.ingest.contract import Grain
from personal_pipeline.settings import Settings
from personal_pipeline.warehouse import build as building
from personal_pipeline.warehouse.dbt_project import DbtFailed, NodeResult
from personal_pipeline.warehouse.lake import Lake
from personal_pipeline.warehouse.reconcile import EMPTY, in_order
from personal_pipeline.warehouse.tables import Table, partitions_between
from personal_pipeline_tests.warehouse.oracle.definition import (
    Contents,
    Read,
    content_of,
    everything_read,
    wanted,
)
from personal_pipeline_tests.warehouse.oracle.definition import in_order as contents_in_order
from personal_pipeline_tests.warehouse.oracle.house import (
    FILE,
    SALES,
    START,
    SUBSCRIPTIONS,
    TABLES,
)
from personal_pipeline_tests.warehouse.oracle.judge import (
    Judge,
    Judged,
    Partition,
    held_back,
    wrong_contents,
)
from personal_pipeline_tests.warehouse.oracle.stand_ins import Context, Warehouse

HISTORY = timedelta(days=21)
"""So old is the life when the house is first set up."""

REFETCHED = 10
"""Days that a service still revises, and that every fetch brings again."""

TICKS_OF_A_WAVE = 12
"""More than a change needs to get from one end of the house to the other."""

TICKS_OF_A_SHORT_DAY = 2
"""Then the computer was closed, and the morning finds the rest."""


class Killed(Exception):
    """The process ended between the work of dbt and what is recorded of it."""


@dataclass(slots=True)
class Run:
    """A run that was asked for: of the job, or of what a person wanted. It has a ``run_id`` when a
    tick sees it before it begins, and a ``lake`` when it had begun by then: the lake as it was."""

    wanted: dict[str, list[str]] | None = None
    run_id: str | None = None
    lake: dict[str, dict[str, int]] | None = None


class Life:
    """One life from its seed. ``folder`` is for the few files that the real parts write."""

    def __init__(
        self,
        seed: int,
        instance: dg.DagsterInstance,
        folder: Path,
        *,
        days: int = 120,
    ) -> None:
        self.judged = Judged(seed)
        self._judge = Judge(self.judged)
        self._dice = random.Random(seed)
        self._instance = instance
        self._days = days
        self._tables = dict(TABLES)
        self._cursor: str | None = None
        self._minutes = 0
        self._today = START + HISTORY
        self._looked_on = START
        self._house = House(Settings(), Home(folder).ensure(), sources=(), clock=self._now)
        self._sensor = build_sensor([], self._house)
        # what the services hold, what the lake holds, what the tables hold
        self._truth: dict[str, dict[str, int]] = {SALES: {}, SUBSCRIPTIONS: {}}
        self._lake: dict[str, dict[str, int]] = {SALES: {}, SUBSCRIPTIONS: {}, FILE: {}}
        self._warehouse = Warehouse(self._built, self._failed, self._forgotten)
        # by table, what its SQL says; and what cannot be built, until when, and how it fails
        self._variants: dict[str, int] = {}
        self._broken: dict[str, tuple[date, str]] = {}
        self._mistaken: tuple[str, int] | None = None
        self._queue: list[Run] = []
        self._quiet_run = ""
        self._at_rest = False
        self._by_person = False
        self._calm = False
        self._begun_with: dict[str, dict[str, int]] | None = None
        self._seen: dict[str, dict[str, int]] = {}
        self._dbt_ran = False

    # the days

    def live(self) -> Judged:
        """Live all the days, and judge every morning."""
        with self._stand_ins():
            self._quiet_run = self._new_run(dg.DagsterRunStatus.SUCCESS)
            day = START
            while day < self._today:
                self._happen_at_the_services(day)
                day += timedelta(days=1)
            off_from = self._today + timedelta(
                days=self._days // 4 + self._dice.randrange(self._days // 2)
            )
            self._tick()
            for _ in range(self._days):
                self._minutes = 0
                self._happen_at_the_services(self._today)
                off = off_from <= self._today < off_from + timedelta(days=7)
                if not off and self._dice.random() < 0.35:
                    self._day_with_daemon()
                elif self._dice.random() < (0.2 if off else 0.7):
                    # `personal-pipeline refresh`, with no daemon there
                    self._fetch()
                    self._morning()
                self._today += timedelta(days=1)
            self._last_day()
        return self.judged

    @contextmanager
    def _stand_ins(self) -> Iterator[None]:
        dbt = SimpleNamespace(load_manifest=self._manifest, run=self._dbt, DbtFailed=DbtFailed)
        with (
            patch.multiple(
                building,
                store=self._warehouse,
                dbt_project=dbt,
                all_tables=lambda house, manifest=None: self._tables,
                read_lake=self._read_lake,
            ),
            patch.multiple(passes, store=self._warehouse, count_left_out=lambda *_: None),
            patch.multiple(telling, store=self._warehouse),
            patch.multiple(sensing, signature_of=lambda house: self._signature()),
        ):
            yield

    def _signature(self) -> str:
        code = {name: table.code_version for name, table in self._tables.items()}
        ledger, failures = self._warehouse.ledger, self._warehouse.failures
        return repr((self._today, code, self._lake, ledger, failures))

    def _day_with_daemon(self) -> None:
        self._code_changes()
        if self._dice.random() > 0.05:  # else the service is down
            self._fetch()
        if self._dice.random() < 0.15:
            self._drop()
        self._automation()
        if self._dice.random() < 0.25:
            self._by_hand()
            self._automation()
        if self._at_rest:
            self.judged.settled += 1
            held = self._held_back()
            self.judged.lost += sum(name not in held for name, _ in self._wrong())
        self._morning()

    def _last_day(self) -> None:
        """Everything is mended and tried again: nothing may be held back by then."""
        self._today -= timedelta(days=1)
        self._broken.clear()
        self._automation()
        self._calm = True
        self._reconcile(retry=True)
        self._judge.morning(self._today, self._wrong(), ())

    def _morning(self) -> None:
        """What the report schedule runs, and ``personal-pipeline refresh``. A run that holds the
        warehouse is waited for; those that have not begun are done after it or before it."""
        if self._queue and self._dice.random() < 0.5:
            self._work_off(len(self._queue))
        elif self._queue and self._queue[0].lake is not None:
            self._work_off(1)
        if self._mistaken and self._dice.random() < 0.5:
            self._put_right()
        self._reconcile()
        self._judge.morning(self._today, self._wrong(), self._held_back())
        self.judged.untold += self._untold()

    def _held_back(self) -> set[str]:
        """The tables that failed or could not be made at all, which is told in every pass, and what
        reads them."""
        return held_back(self._tables, self._warehouse.failures.keys())

    def _now(self) -> datetime:
        return datetime.combine(self._today, time(6), UTC) + timedelta(minutes=self._minutes)

    # what happens outside

    def _happen_at_the_services(self, today: date) -> None:
        dice = self._dice
        for stream, empty in ((SALES, 0.3), (SUBSCRIPTIONS, 0.6)):
            truth = self._truth[stream]
            for back in range(REFETCHED):
                day = (today - timedelta(days=back)).isoformat()
                if back == 0 or dice.random() < 0.02:
                    truth[day] = 0 if dice.random() < empty else dice.randint(1, 9)

    def _fetch(self) -> None:
        """The days that were never looked at, and those still revised. Most come as they were."""
        first = min(self._looked_on, self._today - timedelta(days=REFETCHED - 1))
        for stream in (SALES, SUBSCRIPTIONS):
            fetched = partitions_between(
                Grain.DAY, max(first, START), self._today + timedelta(days=1)
            )
            self._lake[stream] |= {day: self._truth[stream][day] for day in fetched}
            self._tell_raw(stream, fetched[-1:])
        self._looked_on = self._today

    def _drop(self) -> None:
        """An export: on time, late, the same once more, or with the rows of a wrong month."""
        dice, lake = self._dice, self._lake[FILE]
        months = partitions_between(Grain.MONTH, START, self._today + timedelta(days=1))
        month = months[-2:][0] if dice.random() < 0.5 else dice.choice(months)
        if dice.random() < 0.15:  # named after this month, with another one inside
            month = dice.choice(months)
        if month not in lake or dice.random() < 0.6:
            if month in lake and dice.random() < 0.5:
                self._mistaken = (month, lake[month])
            lake[month] = dice.randint(0, 9)
        self._lake[FILE] = dict(sorted(lake.items()))
        self._tell_raw(FILE, [month])

    def _put_right(self) -> None:
        """The last file was a wrong one: the one before it is dropped once more."""
        if self._mistaken:
            month, content = self._mistaken
            self._mistaken = None
            self._lake[FILE][month] = content
            self._tell_raw(FILE, [month])

    def _correct_an_old_day(self) -> None:
        """A service changed what no refetch reaches: a person fetches a range of days again."""
        stream = self._dice.choice((SALES, SUBSCRIPTIONS))
        days = sorted(self._lake[stream])
        if not days:
            return
        first = self._dice.randrange(len(days))
        chosen = days[first : first + self._dice.randint(1, 5)]
        if self._dice.random() < 0.8:
            self._truth[stream][self._dice.choice(chosen)] = self._dice.randint(0, 9)
        self._lake[stream] |= {day: self._truth[stream][day] for day in chosen}
        self._tell_raw(stream, chosen)

    def _revise_and_fetch(self) -> None:
        stream = self._dice.choice((SALES, SUBSCRIPTIONS))
        self._truth[stream][self._today.isoformat()] = self._dice.randint(0, 9)
        self._fetch()

    def _something_arrives(self) -> None:
        """While a run goes on."""
        arrivals = [self._drop, self._correct_an_old_day, self._revise_and_fetch]
        self._dice.choice([self._put_right] if self._mistaken else arrivals)()

    def _code_changes(self) -> None:
        """SQL is changed, or only written otherwise; broken SQL is put in, and mended."""
        dice = self._dice
        models = [table for table in self._tables.values() if table.model]
        changed: set[str] = set()
        for name in [name for name, (until, _) in self._broken.items() if until <= self._today]:
            del self._broken[name]
            if dice.random() < 0.7:
                changed.add(name)
            else:
                self._reconcile(retry=True)  # `personal-pipeline refresh --retry`
        if dice.random() < 0.03:
            changed.add(dice.choice(models).name)
        if dice.random() < 0.02:
            name = dice.choice(models).name
            changed.add(name)
            until = self._today + timedelta(days=dice.randint(1, 4))
            self._broken[name] = (until, dice.choice(("error", "test")))
        for name in sorted(changed):
            table = self._tables[name]
            self._tables[name] = replace(table, code_version=str(int(table.code_version) + 1))
            if dice.random() < 0.6:
                self._variants[name] = self._variants.get(name, 0) + 1

    def _by_hand(self) -> None:
        """A person asks: for days of a service, or for partitions of a table, stale or not."""
        ledger = {name: parts for name, parts in self._warehouse.ledger.items() if parts}
        if not ledger or self._dice.random() < 0.5:
            self._correct_an_old_day()
            return
        name = self._dice.choice(sorted(ledger))
        partitions = sorted(ledger[name])
        first = self._dice.randrange(len(partitions))
        chosen = partitions[first : first + self._dice.randint(1, 6)]
        self._queue.append(Run({name: chosen}))
        self._work_off(len(self._queue))

    # the automation

    def _automation(self) -> None:
        """Ticks and runs until nothing moves. Runs may go on over a tick, and things arrive."""
        most = TICKS_OF_A_WAVE if self._dice.random() < 0.25 else TICKS_OF_A_SHORT_DAY
        self._at_rest = False
        for _ in range(most):
            self._tick()
            if self._at_rest:
                return
            number = len(self._queue)
            if self._dice.random() < 0.15:
                number = self._dice.randint(0, number)
            self._work_off(number)
            if self._queue:
                self._go_on_over_a_tick()
                if self._dice.random() < 0.3:
                    self._something_arrives()

    def _tick(self) -> None:
        """The sensor looks, and perhaps asks for a run. Sometimes the last tick was long ago."""
        self._minutes += 20 if self._dice.random() < 0.3 else 1
        self.judged.evaluations += 1
        context = dg.build_sensor_context(instance=self._instance, cursor=self._cursor)
        done = self._sensor.evaluate_tick(context)
        self._cursor = done.cursor
        self._at_rest = done.skip_message == sensing.ALL_IS_BUILT and not self._queue
        if done.run_requests:
            self._queue.append(Run())

    def _work_off(self, number: int) -> None:
        runs, self._queue = self._queue[:number], self._queue[number:]
        for run in runs:
            self._execute(run)

    def _go_on_over_a_tick(self) -> None:
        """Let the next tick see the queue: the first run has perhaps begun, the others wait."""
        for run in self._queue:
            if run.run_id is None:
                run.run_id = self._new_run(dg.DagsterRunStatus.STARTED)
        if self._queue[0].lake is None and self._dice.random() < 0.7:
            self._queue[0].lake = _copy(self._lake)

    def _execute(self, run: Run) -> None:
        """A run, with the steps of the job or of ``derived_assets``."""
        if run.lake is None and self._dice.random() < 0.05:
            self._something_arrives()
        self._begun_with = run.lake
        self._by_person = run.wanted is not None
        self.judged.runs += run.wanted is None
        failed = False
        try:
            if run.wanted is None:
                work = passes.build_tables(self._house, again=True)
                self.judged.empty_runs += not work.built
            else:
                work = building.build(self._house, run.wanted)
            failed = any(each.failure and not each.waits for each in work.built)
            self._tell(work, run.wanted, run.run_id)
        except Killed:
            failed = True
        self._by_person = False
        if run.run_id is not None:
            kind = DagsterEventType.RUN_FAILURE if failed else DagsterEventType.RUN_SUCCESS
            self._instance.handle_run_event(run.run_id, dg.DagsterEvent(kind.value, JOB))

    def _reconcile(self, *, retry: bool = False) -> None:
        """What the body of the job does; started again when it was killed."""
        self._begun_with = None
        self._by_person = retry
        while True:
            try:
                work = building.reconcile(self._house, retry=retry)
                break
            except Killed:
                continue
        self._by_person = False
        self._tell(work)

    # in place of dbt, and of the lake

    def _read_lake(self, house: House) -> Lake:
        lake, self._begun_with = self._begun_with or _copy(self._lake), None
        if self._dbt_ran:  # the look after a call, which is held against the one before it
            self._dbt_ran = False
        else:
            self._seen = lake
        return Lake(
            {
                name: {partition: str(content) for partition, content in sorted(parts.items())}
                for name, parts in lake.items()
            },
            damaged={},
        )

    def _manifest(self, home: Home) -> dict[str, Any]:
        nodes: dict[str, Any] = {}
        for table in self._tables.values():
            if table.model:
                schema, name = table.name.split("/")
                nodes[f"model.{name}"] = {
                    "resource_type": "model",
                    "schema": schema,
                    "name": name,
                    "config": {"materialized": "incremental"},
                }
                nodes[f"test.{name}"] = {
                    "resource_type": "test",
                    "attached_node": f"model.{name}",
                    "depends_on": {"nodes": [f"model.{name}"]},
                    "config": {"severity": "error"},
                }
        return {"nodes": nodes}

    def _dbt(
        self,
        home: Home,
        models: Sequence[str],
        windows: Mapping[str, Sequence[tuple[str, str]]],
        currency: str,
        *,
        anew: bool = False,
    ) -> list[NodeResult]:
        """Build models for their windows, inputs first; what reads a failed one is skipped."""
        results: list[NodeResult] = []
        bad: set[str] = set()
        for table in in_order(self._tables):
            if table.model is None or table.model not in models:
                continue
            if not self._calm and self._dice.random() < 0.03:
                self._something_arrives()
            kind = self._broken.get(table.name, (self._today, ""))[1]
            if not kind and not self._calm and self._dice.random() < 0.01:
                kind = self._dice.choice(("error", "test"))
            if any(edge.table in bad for edge in table.inputs):
                bad.add(table.name)
                results.append(_result("model", table.model, "skipped"))
            elif kind == "error":
                bad.add(table.name)
                results.append(_result("model", table.model, "error"))
            else:
                self._write(table, windows[table.model], anew=anew)
                results.append(_result("model", table.model, "success"))
                results.append(_result("test", table.model, "fail" if kind else "pass"))
                if kind:
                    bad.add(table.name)
        if not self._calm and self._dice.random() < 0.005:
            self.judged.killed += 1
            raise Killed
        self._dbt_ran = True
        return results

    def _write(self, table: Table, windows: Sequence[tuple[str, str]], *, anew: bool) -> None:
        """What the SQL of a table does: from what is there now, for windows of days or for all."""
        there = contents_in_order({**self._lake, **self._warehouse.contents})
        wished = wanted(self._tables, table, there, START, self._today)
        if table.grain is not Grain.WHOLE and not anew:
            wished = [each for each in wished if any(first <= each < end for first, end in windows)]
        elif not windows:
            wished = []
        before = {} if anew else self._warehouse.contents.get(table.name, {})
        variant = self._variants.get(table.name, 0)
        self._warehouse.contents[table.name] = before | {
            each: content_of(table, variant, everything_read(self._tables, table, each, there))
            for each in wished
        }

    # what is recorded

    def _built(self, table: Table, partitions: Collection[str]) -> None:
        read = self._read_by(table, partitions, self._lake)
        for each, seen in self._read_by(table, partitions, self._seen).items():
            self.judged.on_failed += any(self._has_bad_rows(edge.table) for edge in table.inputs)
            self._judge.build(self._today, table, each, seen, read[each], by_hand=self._by_person)

    def _has_bad_rows(self, name: str) -> bool:
        failed = self._warehouse.failures.get(name, {}).keys()
        return bool(failed - self._warehouse.ledger.get(name, {}).keys())

    def _failed(self, table: Table, partitions: Collection[str]) -> None:
        for each, seen in self._read_by(table, partitions, self._seen).items():
            self._judge.failure(self._today, table, each, seen, by_hand=self._by_person)

    def _forgotten(self, table: str, partitions: Collection[str]) -> None:
        for each in partitions:
            self._judge.forgotten(table, each)

    def _read_by(
        self, table: Table, partitions: Collection[str], lake: Contents
    ) -> dict[str, Read]:
        """What there is for partitions to read: a lake, and of derived tables what is vouched for.
        A partition without rows is none."""
        there = {
            edge.table: lake[edge.table]
            if edge.table in lake
            else {
                each: int(built.digest)
                for each, built in self._warehouse.ledger.get(edge.table, {}).items()
                if built.digest != EMPTY
            }
            for edge in table.inputs
        }
        there = contents_in_order(there)
        return {each: everything_read(self._tables, table, each, there) for each in partitions}

    def _wrong(self) -> dict[Partition, str]:
        return wrong_contents(
            self._tables,
            self._lake,
            self._warehouse.contents,
            self._variants,
            START,
            self._today,
        )

    # events

    def _tell(
        self,
        work: building.BuildResult,
        asked: Mapping[str, Sequence[str]] | None = None,
        run_id: str | None = None,
    ) -> None:
        context: Any = Context(self._instance, run_id or self._quiet_run)
        telling.tell_work(context, self._house, work, asked)

    def _tell_raw(self, stream: str, asked: Sequence[str]) -> None:
        """As the raw assets tell what the lake holds of a stream."""
        contents = {each: str(content) for each, content in sorted(self._lake[stream].items())}
        context: Any = Context(self._instance, self._quiet_run)
        log_contents(context, self._house, {stream: contents}, lambda *_: {}, {stream: asked})

    def _untold(self) -> int:
        """Partitions of which Dagster has heard something else than what readers have."""
        versions: dict[str, dict[str, str]] = {
            name: {each: built.digest for each, built in partitions.items()}
            for name, partitions in self._warehouse.ledger.items()
        }
        for name, lake in self._lake.items():
            versions[name] = {each: str(content) for each, content in lake.items()}
        untold = 0
        for name, partitions in versions.items():
            known = known_contents(self._instance, dg.AssetKey(name.split("/")))
            untold += sum(known.get(each) != digest for each, digest in partitions.items())
        return untold

    def _new_run(self, status: dg.DagsterRunStatus) -> str:
        run = dg.DagsterRun(job_name=JOB, run_id=str(uuid4()), status=status)
        self._instance.add_run(run)
        return run.run_id


def life(seed: int, instance: str, *, days: int = 120) -> Judged:
    """One life on an instance of its own, ``ephemeral`` or ``sqlite``: the same life on both."""
    started = process_time()
    with TemporaryDirectory() as folder, ThreadPoolExecutor(1) as thread:
        home = Home(Path(folder) / "home")
        opened = dg.DagsterInstance.ephemeral() if instance == "ephemeral" else instance_of(home)
        with opened as there:
            lived = Life(seed, there, home.root, days=days)
            # on the main thread asyncio handles signals anew for every tick, a tenth of its time
            judged = thread.submit(lived.live).result()
    judged.seconds = process_time() - started
    return judged


def _copy(contents: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    return {name: dict(partitions) for name, partitions in contents.items()}


def _result(kind: str, model: str, status: str) -> NodeResult:
    return NodeResult(f"{kind}.{model}", model, kind, status, "" if status == "success" else status)


def _ranges(grain: Grain, partitions: Sequence[str]) -> list[list[str]]:
    """Neighbouring partitions together."""
    if grain is Grain.WHOLE:
        return [list(partitions)]
    every = partitions_between(
        grain,
        date.fromisoformat(partitions[0]),
        date.fromisoformat(partitions[-1]) + timedelta(days=1),
    )
    ranges: list[list[str]] = [[]]
    for each in every:
        if each in partitions:
            ranges[-1].append(each)
        elif ranges[-1]:
            ranges.append([])
    return [each for each in ranges if each]
