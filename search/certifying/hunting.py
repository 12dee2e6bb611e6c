"""Certifying a search's candidates as they appear, until one is certified: ``search.until``.

Each is tried once, at the one lag that is asked for, by a plan of its own: the one whose turn is i
has the part 1 / (i (i + 1)) of the error, so that all claims of the search together err with no
more than the whole (`trainables.measure.certificate.Plan`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from search.certifying.candidates import Candidate, of_trial
from search.certifying.certificate import conclude
from search.certifying.climbing import Certification, Pool, run_members
from search.certifying.members import Climbed, Job
from search.certifying.store import Store, stores
from search.disk.folder import SearchFolder
from search.disk.kept_tasks import kept_tasks
from search.disk.ranking import rank
from search.disk.record import Record
from search.spec import ResourcesConfig, Spec
from trainables.measure.certificate import Plan, plan_for

FIRST_SEED = 1000
"""Of the first candidate's members; those below are left to ``longspan certify``."""


class OverError(Exception):
    """The search's budget was used up while members climbed; they go on if it is resumed."""


@dataclass(frozen=True)
class Attempt:
    """A candidate on every task, and where what comes of its members is kept."""

    store: Store
    plan: Plan
    candidates: Sequence[Candidate]

    @property
    def lag(self) -> int | None:
        """That its certificates claim on every task, 0 if they do not; None while undecided."""
        lags = []
        for candidate in self.candidates:
            certificate = self.store.certificate(candidate.label)
            if certificate is None:
                return None
            lags.append(int(certificate["lag"]))
        return min(lags)


class Hunt:
    """What a search has certified on its way, and what waits to be; a listener of its ledger.

    A candidate is a configuration of which a trial has passed the lag on every task.

    Attributes:
        found: one line once a candidate is certified
        gflop: training cost of all members so far
    """

    def __init__(self, spec: Spec, folder: SearchFolder) -> None:
        self._spec, self._folder = spec, folder
        self._lag = spec.search.until.certified if spec.search.until else 0
        self._waiting: dict[str, Record] = {}
        self._tried: set[str] = set()
        self._open: Attempt | None = None
        self.found: str | None = None
        self.gflop = 0.0

    def start(self, records: Iterable[Record]) -> None:
        """Take up what an earlier run of the search left."""
        if not self._lag:
            return
        of = {record.number: record for record in records}
        for store in self._stores():
            fixed = store.fixed or {}
            record = of.get(fixed["candidates"][0]["trial"])
            if record is None:  # damaged: its trial runs again, and is tried anew
                continue
            attempt = Attempt(store, Plan(**fixed["plan"]), self._candidates(record))
            self._tried.add(record.digest)
            for candidate in attempt.candidates:
                for member in store.members(candidate):
                    self.gflop += sum(row.training_gflop for row in member.rows)
            self._note(attempt)
        for record in of.values():
            self(record)

    def __call__(self, record: Record) -> None:
        """A trial measured something: it may be a candidate now."""
        if self._lag and record.reach >= self._lag and record.digest not in self._tried:
            self._waiting.setdefault(record.digest, record)

    def waits(self) -> bool:
        """Whether there is a candidate to be decided, and none is certified."""
        return self.found is None and (self._open is not None or bool(self._waiting))

    def try_next(
        self,
        resources: ResourcesConfig,
        pool: Pool,
        over: Callable[[], bool],
        said: Callable[[str], None],
    ) -> None:
        """Decide the candidate that was begun, or else the best of those that wait.

        Raises:
            OverError: if it is ``over`` before that; the members that have ended are kept.
        """
        attempt = self._open or self._begin()
        self._open = attempt
        store, plan, candidates = attempt.store, attempt.plan, attempt.candidates
        trial = candidates[0].trial

        def keep(job: Job, climbed: Climbed) -> None:
            store.keep(job, climbed)
            self.gflop += sum(row.training_gflop for row in climbed.rows)
            counted = store.reached(candidates)
            learned = sum(lag >= self._lag for of in counted.values() for lag in of.values())
            done = sum(map(len, counted.values()))
            said(f"certifying trial {trial}: {learned} of {done} members learned {self._lag}")
            if over():
                raise OverError

        with store.locked():
            if store.fixed is None:
                store.fix(self._spec.certify, candidates, plan)
            said(f"certifying trial {trial} at lag {self._lag}: {plan.members} fresh members")
            members = Certification(candidates, plan, store.seed, resources, store.folder)
            run_members(members, store.reached(candidates), pool, keep)
            conclude(store, candidates, plan)
        self._note(attempt)

    def _begin(self) -> Attempt:
        record = rank(self._waiting.values())[0]
        del self._waiting[record.digest]
        self._tried.add(record.digest)
        known, ours = stores(self._folder.path), self._stores()
        seed = max([FIRST_SEED, *(store.seed for store in known)]) + 1
        config, candidates = self._spec.certify, self._candidates(record)
        plan = plan_for(config.reliability, config.confidence, config.failures,
                        len(candidates), turn=len(ours) + 1)  # fmt: skip
        return Attempt(Store(self._folder.path, seed), plan, candidates)

    def _note(self, attempt: Attempt) -> None:
        lag = attempt.lag
        self._open = attempt if lag is None else None
        if lag:
            trial = attempt.candidates[0].trial
            self.found = f"search.until: lag {lag} is certified of trial {trial}"

    def _stores(self) -> list[Store]:
        return [store for store in stores(self._folder.path) if store.is_of_hunt]

    def _candidates(self, record: Record) -> list[Candidate]:
        kept = kept_tasks(self._folder, self._spec.tasks_by_name)
        return [
            replace(of_trial(self._spec, record, task, kept), to=self._lag, only=True)
            for task in record.report.reaches
        ]
