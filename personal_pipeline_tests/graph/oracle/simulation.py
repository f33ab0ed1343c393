"""Four months of an invented life in a small house, judged every morning against ``definition``.

What is real: the condition and its evaluation by Dagster on an instance, with its cursor; the
partitions and their mapping; the data versions of the events; which partitions are stale, in which
order they are built, what counts as having been read, and when a failure is given up
(``graph.reconcile``). ``_build``, ``_reconcile`` and ``_tell`` take the steps of ``build.build``,
``build.reconcile`` and ``contents.log_contents``, with numbers in place of dbt and DuckDB.

What is said otherwise than in life, and why the conditions cannot tell:

- No op is executed: the simulation logs the events that the body would log. A condition asks of a
  run whether it is under way, whether it failed, and whether one run wrote both a table and its
  input. The last never happens (the assets yield nothing, so Dagster would skip the step), and
  quiet runs, which begin and end between two ticks, may therefore share a run record.
- Planned events are logged for runs that a tick can see: those still going on, and those that
  failed; and always for tables that are not cut, of which Dagster asks the latest plan.
- What Dagster calls a backfill (a tick that asks for more than one partition of a table) is run here
  as its daemon does: a run for each range of neighbouring partitions, inputs first, and what reads
  a partition that the backfill did not materialize is left out. Between its runs the instance does
  not know that it goes on.
- Ticks are not every 15 seconds but when something may have changed: after arrivals, while runs go
  on, after runs.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from uuid import uuid4

import dagster as dg
from dagster._core.events import (
    AssetMaterializationPlannedData,
    DagsterEventType,
    StepMaterializationData,
)

from personal_pipeline.graph.automation import inputs_changed
from personal_pipeline.graph.contents import materialization
from personal_pipeline.graph.event_log import batched
from personal_pipeline.graph.reconcile import (
    Built,
    Failed,
    Inputs,
    Reason,
    Stale,
    all_versions,
    find_stale,
    given_up,
    in_order,
    next_batch,
)
from personal_pipeline.graph.tables import (
    WHOLE,
    Table,
    downstream_of,
    partitions_between,
)
from personal_pipeline.ingest.contract import Grain
from personal_pipeline_tests.graph.oracle.definition import (
    Read,
    content_of,
    everything_read,
    from_scratch,
    reads,
)
from personal_pipeline_tests.graph.oracle.definition import in_order as contents_in_order
from personal_pipeline_tests.graph.oracle.house import (
    FILE,
    SALES,
    START,
    SUBSCRIPTIONS,
    TABLES,
    Condition,
    asset_key,
    definitions_of,
    op_of,
)

HISTORY = timedelta(days=45)
"""So old is the life when the house is first set up."""

REFETCHED = 10
"""Days that a service still revises, and that every fetch brings again."""

TICKS_OF_A_WAVE = 12
"""More than a change needs to get from one end of the house to the other."""

TICKS_OF_A_SHORT_DAY = 2
"""Then the computer was closed, and the morning finds the rest."""

JOB = "__ASSET_JOB"
SETTLED = "personal_pipeline/settled"

Partition = tuple[str, str]
"""A table and one of its partitions."""


@dataclass(slots=True)
class Judged:
    """What came of one life. Builds of a partition count once each; ``built`` is the sum of
    ``needed``, ``needless``, ``by_code`` and ``by_hand``."""

    seed: int
    needed: int = 0
    built: int = 0
    missed: int = 0
    needless: int = 0
    by_code: int = 0
    by_hand: int = 0
    retried: int = 0
    held: int = 0
    """Partition mornings that waited for a failed table, visibly."""
    lost: int = 0
    """Partitions that the automation, come to rest, had left to the reconcile."""
    settled: int = 0
    """Mornings before which the automation had come to rest."""
    mornings: int = 0
    runs: int = 0
    empty_runs: int = 0
    """Started by the automation, only to find everything up to date."""
    left_out: int = 0
    """Partitions that a backfill of Dagster left out, because it takes one without an event for
    a failed one."""
    evaluations: int = 0
    seconds: float = 0.0
    examples: list[str] = field(default_factory=list)
    """Of what was missed or needless, the first few."""


@dataclass(slots=True)
class Run:
    """A run that was asked for. ``seen`` lists what was planned before it began."""

    wanted: dict[str, list[str]]
    automatic: bool
    level: int = 0
    backfill: Backfill | None = None
    run_id: str | None = None
    lake: Mapping[str, Mapping[str, int]] | None = None
    """The lake as the run saw it when it began, if that was before a tick."""


@dataclass(slots=True)
class Backfill:
    """What a tick asked for together, and what of it has an event."""

    target: dict[str, set[str]]
    materialized: dict[str, set[str]] = field(default_factory=dict)


class Life:
    """One life from its seed."""

    def __init__(
        self,
        seed: int,
        instance: dg.DagsterInstance,
        *,
        days: int = 120,
        condition: Condition = inputs_changed,
        tells_what_was_asked: bool = False,
        guard: bool = True,
    ) -> None:
        self.judged = Judged(seed)
        self._dice = random.Random(seed)
        self._instance = instance
        self._days = days
        self._condition = condition
        self._tells_what_was_asked = tells_what_was_asked
        self._guard = guard
        self._tables = dict(TABLES)
        self._variants: dict[str, int] = {}
        self._definitions, self._partitions = definitions_of(self._tables, condition)
        self._cursor: object = None
        self._minutes = 0
        self._today = START + HISTORY
        self._looked_on = START
        # what the services hold, what the lake holds, what the tables hold
        self._truth: dict[str, dict[str, int]] = {SALES: {}, SUBSCRIPTIONS: {}}
        self._lake: dict[str, dict[str, int]] = {SALES: {}, SUBSCRIPTIONS: {}, FILE: {}}
        self._contents: dict[str, dict[str, int]] = {}
        self._ledger: dict[str, dict[str, Built]] = {}
        self._failures: dict[str, dict[str, Failed]] = {}
        self._broken: dict[str, date] = {}
        self._told: dict[str, dict[str, str]] = {}
        self._last: dict[Partition, tuple[Read, str]] = {}
        self._queue: list[Run] = []
        self._quiet_run: str | None = None
        self._at_rest = False

    # the days

    def live(self) -> Judged:
        """Live all the days, and judge every morning."""
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
            self._quiet_run = None
            self._happen_at_the_services(self._today)
            if off_from <= self._today < off_from + timedelta(days=7):
                # somebody may still call `personal-pipeline refresh`, with no daemon there
                if self._dice.random() < 0.2:
                    self._fetch()
                    self._morning()
            else:
                self._day_with_daemon()
            self._today += timedelta(days=1)
        self._last_day()
        return self.judged

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
            self.judged.lost += len(self._wrong()[0])
        self._morning()

    def _last_day(self) -> None:
        """Everything is mended and tried again: nothing may be held back by then."""
        self._today -= timedelta(days=1)
        self._broken.clear()
        self._automation()
        self._reconcile(retry=True, calm=True)
        assert not self._failures, "a failure outlived its cure"
        self._judge()

    def _morning(self) -> None:
        """What the report schedule runs, and ``personal-pipeline refresh``. A run that holds the
        warehouse is waited for; those that have not begun are done after it or before it."""
        if self._queue and self._dice.random() < 0.5:
            self._work_off(len(self._queue))
        elif self._queue and self._queue[0].lake is not None:
            self._work_off(1)
        self._reconcile()
        self._judge()

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
            self._tell({stream: self._lake[stream]}, {stream: [fetched[-1]]})
        self._looked_on = self._today

    def _drop(self) -> None:
        """An export: on time, late, the same once more, or with the rows of a wrong month."""
        dice, lake = self._dice, self._lake[FILE]
        months = partitions_between(Grain.MONTH, START, self._today + timedelta(days=1))
        month = months[-2] if dice.random() < 0.5 else dice.choice(months)
        same = month in lake and dice.random() < 0.4
        changed = {month: lake[month] if same else dice.randint(0, 9)}
        if dice.random() < 0.15:  # named after this month, with another one inside
            changed = {dice.choice(months): dice.randint(0, 9)}
        lake |= changed
        self._tell({FILE: dict(sorted(lake.items()))}, {FILE: [max(changed)]})

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
        self._tell({stream: self._lake[stream]}, {stream: chosen})

    def _something_arrives(self) -> None:
        """While a run goes on."""
        self._dice.choice((self._drop, self._correct_an_old_day, self._revise_and_fetch))()

    def _revise_and_fetch(self) -> None:
        stream = self._dice.choice((SALES, SUBSCRIPTIONS))
        self._truth[stream][self._today.isoformat()] = self._dice.randint(0, 9)
        self._fetch()

    def _code_changes(self) -> None:
        """SQL is changed, or only written otherwise; broken SQL is put in, and mended."""
        dice = self._dice
        models = [table for table in self._tables.values() if table.model]
        changed: set[str] = set()
        for name in [name for name, until in self._broken.items() if until <= self._today]:
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
            self._broken[name] = self._today + timedelta(days=dice.randint(1, 4))
        for name in changed:
            table = self._tables[name]
            self._tables[name] = replace(table, code_version=str(int(table.code_version) + 1))
            if dice.random() < 0.6:
                self._variants[name] = self._variants.get(name, 0) + 1
        if changed:
            self._definitions, self._partitions = definitions_of(self._tables, self._condition)

    def _by_hand(self) -> None:
        """A person asks: for days of a service, or for partitions of a table, stale or not."""
        if self._dice.random() < 0.5:
            self._correct_an_old_day()
            return
        name = self._dice.choice([name for name, parts in self._ledger.items() if parts])
        partitions = sorted(self._ledger[name])
        first = self._dice.randrange(len(partitions))
        chosen = partitions[first : first + self._dice.randint(1, 6)]
        self._queue.append(Run({name: chosen}, automatic=False))
        self._work_off(len(self._queue))

    # the automation

    def _automation(self) -> None:
        """Ticks and runs until nothing moves. Runs may go on over a tick, and things arrive."""
        most = TICKS_OF_A_WAVE if self._dice.random() < 0.25 else TICKS_OF_A_SHORT_DAY
        self._at_rest = False
        for _ in range(most):
            requested = self._tick()
            self._queue += self._runs_for(requested)
            if not self._queue:
                self._at_rest = True
                return
            number = len(self._queue)
            if self._dice.random() < 0.15:
                number = self._dice.randrange(number)
            self._work_off(number)
            if self._queue:
                self._go_on_over_a_tick()
                if self._dice.random() < 0.3:
                    self._something_arrives()

    def _tick(self) -> dict[str, set[str]]:
        self._minutes += 1
        self.judged.evaluations += 1
        now = datetime.combine(self._today, time(6), UTC) + timedelta(minutes=self._minutes)
        result = dg.evaluate_automation_conditions(
            self._definitions,
            self._instance,
            cursor=self._cursor,  # type: ignore[arg-type]
            evaluation_time=now,
        )
        self._cursor = result.cursor
        requested = {
            name: {each or WHOLE for each in result.get_requested_partitions(asset_key(name))}
            for name, table in self._tables.items()
            if table.model
        }
        return {name: partitions for name, partitions in requested.items() if partitions}

    def _runs_for(self, requested: Mapping[str, set[str]]) -> list[Run]:
        """The runs that Dagster makes of what a tick asked for."""
        together = self._backfilled(requested)
        runs: list[Run] = []
        backfill = Backfill({name: requested[name] for name in together})
        level = {table.name: n for n, table in enumerate(in_order(self._tables))}
        alike: dict[tuple[Grain, tuple[str, ...]], list[str]] = {}
        single: dict[tuple[Grain, str], list[str]] = {}
        for name, partitions in requested.items():
            grain = self._tables[name].grain
            if name in together:
                alike.setdefault((grain, tuple(sorted(partitions))), []).append(name)
            else:
                single.setdefault((grain, *partitions), []).append(name)  # type: ignore[arg-type]
        for (grain, keys), names in alike.items():
            for neighbours in _ranges(grain, keys):
                # tables of one run start when the inputs of all of them are there
                last = max(level[name] for name in names)
                wanted = {name: list(neighbours) for name in names}
                runs.append(Run(wanted, automatic=True, level=last, backfill=backfill))
        runs += [
            Run({name: [key] for name in names}, automatic=True)
            for (_, key), names in single.items()
        ]
        self._dice.shuffle(runs)
        runs.sort(key=lambda run: run.level)
        return runs

    def _backfilled(self, requested: Mapping[str, set[str]]) -> set[str]:
        """Tables of which more than one partition is asked for, and what is connected to them."""
        found: set[str] = set()
        pending = [name for name, partitions in requested.items() if len(partitions) > 1]
        while pending:
            name = pending.pop()
            if name in found:
                continue
            found.add(name)
            inputs = {edge.table for edge in self._tables[name].inputs}
            readers = {
                table.name
                for table in self._tables.values()
                if name in {edge.table for edge in table.inputs}
            }
            pending += [each for each in inputs | readers if each in requested]
        return found

    def _work_off(self, number: int) -> None:
        for run in self._queue[:number]:
            self._execute(run)
        del self._queue[:number]

    def _go_on_over_a_tick(self) -> None:
        """Let the next tick see the queue: the first run has perhaps begun, the others wait."""
        for run in self._queue:
            if run.run_id is None:
                self._leave_out_of_backfill(run)
                run.run_id = self._new_run(dg.DagsterRunStatus.STARTED)
                self._plan(run.run_id, run.wanted)
        if self._dice.random() < 0.7:
            self._queue[0].lake = {name: dict(parts) for name, parts in self._lake.items()}

    def _execute(self, run: Run) -> None:
        """The body of a run: an op for each definition, each with its guard, its build, its
        events."""
        self._leave_out_of_backfill(run)
        if not any(run.wanted.values()):
            return
        failed: set[str] = set()
        built: set[str] = set()
        lake = run.lake or {name: dict(parts) for name, parts in self._lake.items()}
        if run.lake is None and self._dice.random() < 0.05:
            self._something_arrives()
        if run.automatic:
            self.judged.runs += 1
        ops: dict[str, dict[str, list[str]]] = {}
        for table in in_order(self._tables):
            if run.wanted.get(table.name):
                ops.setdefault(op_of(table), {})[table.name] = run.wanted[table.name]
        for wanted in ops.values():
            done, broken = self._build(wanted, lake, only_stale=run.automatic and self._guard)
            built |= done
            failed |= broken
        if run.automatic and not built and not failed:
            self.judged.empty_runs += 1
        run_id = run.run_id
        if run_id is None and failed:
            run_id = self._new_run(dg.DagsterRunStatus.STARTED)
            self._plan(run_id, run.wanted)
        elif run_id is None and any(self._tables[n].grain is Grain.WHOLE for n in run.wanted):
            run_id = self._new_run(dg.DagsterRunStatus.STARTED)
            self._plan(run_id, run.wanted)
        asked = {
            name: partitions
            for name, partitions in run.wanted.items()
            if name not in failed and not (run.automatic and not self._tells_what_was_asked)
        }
        told = self._tell(self._contents, asked, run_id)
        if run.backfill is not None:
            for name, partitions in told.items():
                run.backfill.materialized.setdefault(name, set()).update(partitions)
        if run_id is not None:
            self._end(run_id, failed=bool(failed))

    def _leave_out_of_backfill(self, run: Run) -> None:
        """What reads a partition of the same backfill that got no event is not run by Dagster."""
        if run.backfill is None or run.run_id is not None:
            return
        for name, partitions in run.wanted.items():
            table = self._tables[name]
            kept = []
            for partition in partitions:
                waits = any(
                    reads(
                        edge,
                        self._tables,
                        table,
                        partition,
                        run.backfill.target.get(edge.table, set())
                        - run.backfill.materialized.get(edge.table, set()),
                    )
                    for edge in table.inputs
                )
                if not waits:
                    kept.append(partition)
            self.judged.left_out += len(partitions) - len(kept)
            run.wanted[name] = kept
        run.wanted = {name: partitions for name, partitions in run.wanted.items() if partitions}

    # the steps of build.py

    def _build(
        self,
        wanted: Mapping[str, Sequence[str]],
        lake: Mapping[str, Mapping[str, int]],
        *,
        only_stale: bool,
    ) -> tuple[set[str], set[str]]:
        """``build.build``: names of the tables that were built, and of those that failed."""
        stale = find_stale(self._tables, _digests(lake), self._ledger, self._today)
        asked: dict[str, dict[str, Reason]] = {
            name: {
                **dict.fromkeys(partitions, Reason.ASKED),
                **(stale[name] if _has_other_code(stale, name) else {}),
            }
            for name, partitions in wanted.items()
        }
        if only_stale:
            waiting = given_up(
                self._tables, _digests(lake), self._ledger, self._failures, stale
            )
            asked = {
                name: reasons
                for name, partitions in asked.items()
                if (
                    reasons := {
                        each: stale[name][each]
                        for each in partitions
                        if each in stale.get(name, {}) and each not in waiting.get(name, {})
                    }
                )
            }
        failed: set[str] = set()
        built: set[str] = set()
        while batch := next_batch(self._tables, asked, failed):
            done, broken = self._build_batch(batch.partitions, lake, by_hand=not only_stale)
            failed |= broken
            built |= done
            asked = {name: p for name, p in asked.items() if name not in batch.partitions}
        return built, failed | asked.keys()

    def _reconcile(self, *, retry: bool = False, calm: bool = False) -> None:
        """``build.reconcile``; things arrive while it works, unless it is ``calm``."""
        failed: set[str] = set()
        while True:
            lake = {name: dict(parts) for name, parts in self._lake.items()}
            raw = _digests(lake)
            stale = find_stale(self._tables, raw, self._ledger, self._today)
            waiting = given_up(
                self._tables, raw, self._ledger, {} if retry else self._failures, stale
            )
            batch = next_batch(self._tables, stale, failed, waiting)
            if batch is None:
                break
            if not calm and self._dice.random() < 0.03:
                self._something_arrives()
            _, broken = self._build_batch(batch.partitions, lake)
            failed |= broken
        run_id = self._new_run(dg.DagsterRunStatus.SUCCESS, {SETTLED: "true"})
        self._tell(self._contents, {}, run_id)

    def _build_batch(
        self,
        wanted: Mapping[str, Sequence[str]],
        lake: Mapping[str, Mapping[str, int]],
        *,
        by_hand: bool = False,
    ) -> tuple[set[str], set[str]]:
        """``build._build_batch``. ``lake`` is what was there when the versions were taken; the SQL
        reads what is there now."""
        inputs = Inputs(self._tables, all_versions(_digests(lake), self._ledger))
        built: set[str] = set()
        failed: set[str] = set()
        for table in in_order(self._tables):
            name, partitions = table.name, wanted.get(table.name)
            if partitions is None:
                continue
            if any(edge.table in failed for edge in table.inputs):
                failed.add(name)  # dbt skips it
                continue
            digests = {each: inputs.digests(table, each) for each in partitions}
            if name in self._broken or self._dice.random() < 0.01:
                self._fail(table, digests)
                failed.add(name)
                continue
            found: dict[str, int] = {}
            seen_by_it = contents_in_order({**lake, **self._contents})
            there_now = contents_in_order({**self._lake, **self._contents})
            for each in partitions:
                seen = everything_read(self._tables, table, each, seen_by_it)
                now = everything_read(self._tables, table, each, there_now)
                self._judge_build(table, each, seen, by_hand=by_hand)
                found[each] = content_of(table, self._variants.get(name, 0), now)
            self._contents.setdefault(name, {}).update(found)
            self._ledger.setdefault(name, {}).update(
                {
                    each: Built(str(found[each]), digests[each], table.code_version)
                    for each in partitions
                }
            )
            for each in partitions:
                self._failures.get(name, {}).pop(each, None)
            self._failures = {n: parts for n, parts in self._failures.items() if parts}
            inputs.update(name, {each: str(content) for each, content in found.items()})
            built.add(name)
        return built, failed

    def _fail(self, table: Table, digests: Mapping[str, Mapping[str, str]]) -> None:
        failures = self._failures.setdefault(table.name, {})
        for each, read in digests.items():
            before = failures.get(each)
            again = (
                before is not None
                and before.inputs == read
                and before.code_version == table.code_version
            )
            attempts = before.attempts + 1 if before and again else 1
            failures[each] = Failed(read, table.code_version, attempts, "dbt says no")

    # events

    def _tell(
        self,
        contents: Mapping[str, Mapping[str, int]],
        asked: Mapping[str, Iterable[str]],
        run_id: str | None = None,
    ) -> dict[str, set[str]]:
        """``contents.log_contents``: what Dagster does not know, and what was asked for."""
        told: dict[str, set[str]] = {}
        events: list[tuple[str, str, str]] = []
        for name, partitions in contents.items():
            known = self._told.setdefault(name, {})
            for partition, content in partitions.items():
                digest = str(content)
                if known.get(partition) != digest or partition in asked.get(name, ()):
                    events.append((name, partition, digest))
                    known[partition] = digest
                    told.setdefault(name, set()).add(partition)
        if events:
            if run_id is None:
                self._quiet_run = self._quiet_run or self._new_run(dg.DagsterRunStatus.SUCCESS)
                run_id = self._quiet_run
            with batched(self._instance):
                for name, partition, digest in events:
                    where = None if partition == WHOLE else partition
                    event = materialization(asset_key(name), where, digest, {})
                    self._log(
                        run_id,
                        DagsterEventType.ASSET_MATERIALIZATION,
                        StepMaterializationData(event),
                    )
        return told

    def _new_run(
        self, status: dg.DagsterRunStatus, tags: Mapping[str, str] | None = None
    ) -> str:
        run = dg.DagsterRun(job_name=JOB, run_id=str(uuid4()), status=status, tags=tags or {})
        self._instance.add_run(run)
        return run.run_id

    def _plan(self, run_id: str, wanted: Mapping[str, Sequence[str]]) -> None:
        for name, partitions in wanted.items():
            for each in partitions:
                planned = AssetMaterializationPlannedData(
                    asset_key(name), None if each == WHOLE else each
                )
                self._log(run_id, DagsterEventType.ASSET_MATERIALIZATION_PLANNED, planned)

    def _end(self, run_id: str, *, failed: bool) -> None:
        kind = DagsterEventType.RUN_FAILURE if failed else DagsterEventType.RUN_SUCCESS
        self._instance.handle_run_event(run_id, dg.DagsterEvent(kind.value, JOB))

    def _log(self, run_id: str, kind: DagsterEventType, data: object) -> None:
        self._instance.report_dagster_event(
            dg.DagsterEvent(kind.value, JOB, event_specific_data=data),  # type: ignore[arg-type]
            run_id,
        )

    # the oracle

    def _judge_build(self, table: Table, partition: str, seen: Read, *, by_hand: bool) -> None:
        """Whether this build had to be: against what the last one read when it began."""
        judged = self.judged
        judged.built += 1
        if partition in self._failures.get(table.name, {}):
            judged.retried += 1
        before = self._last.get((table.name, partition))
        self._last[table.name, partition] = (seen, table.code_version)
        if before is None or before[0] != seen:
            judged.needed += 1
        elif before[1] != table.code_version:
            judged.by_code += 1
        elif by_hand:
            judged.by_hand += 1
        else:
            judged.needless += 1
            self._note(f"{self._today} needless: {table.name} {partition}")

    def _wrong(self) -> tuple[dict[Partition, str], set[Partition]]:
        """The partitions whose content is not what it has to be; apart from them those that wait
        for a failed table."""
        truth = from_scratch(
            list(self._tables.values()),
            self._tables,
            self._lake,
            self._variants,
            START,
            self._today,
        )
        held = downstream_of(self._tables, self._failures)
        wrong = {
            (name, partition): "missing" if partition not in self._contents.get(name, {}) else "old"
            for name, partitions in truth.items()
            for partition, content in partitions.items()
            if self._contents.get(name, {}).get(partition) != content
        }
        return {each: why for each, why in wrong.items() if each[0] not in held}, {
            each for each in wrong if each[0] in held
        }

    def _judge(self) -> None:
        self.judged.mornings += 1
        wrong, held = self._wrong()
        self.judged.held += len(held)
        self.judged.missed += len(wrong)
        for (name, partition), why in wrong.items():
            self._note(f"{self._today} missed ({why}): {name} {partition}")

    def _note(self, text: str) -> None:
        if len(self.judged.examples) < 5:
            self.judged.examples.append(text)


def _digests(contents: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, str]]:
    return {
        name: {partition: str(content) for partition, content in sorted(partitions.items())}
        for name, partitions in contents.items()
    }


def _has_other_code(stale: Stale, name: str) -> bool:
    return Reason.CODE_CHANGED in stale.get(name, {}).values()


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


def life(seed: int, instance: dg.DagsterInstance, **options: object) -> Judged:
    """One life on one instance."""
    return Life(seed, instance, **options).live()  # type: ignore[arg-type]


_: Callable[..., Judged] = life
