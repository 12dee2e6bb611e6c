"""The sections of a spec, and its outline: all but the tasks, which know torch."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from search.spec.names import NAME
from trainables.learning.precision import Precision
from trainables.measure.ladder_config import LONGEST, LadderConfig
from trainables.parts import Config

SAMPLERS = ("tpe", "gp", "nsga2", "qmc", "cmaes", "random")
LESSER = ("parameters", "state_bytes", "flops_per_step", "latency", "gflop_to_reach")
"""Of what a trial takes, what an objective may be."""

SCHEDULERS = ("asha", "hyperband", "median", "none")


class UntilConfig(Config):
    """What ends a search before all of its trials have ended.

    Attributes:
        certified: a lag, a rung of the ladder: candidates are certified as they appear until one
            claims it, on every task
    """

    certified: int = Field(ge=2, le=LONGEST)


MOST_PRIORS = 8
"""Configurations from elsewhere that a search starts with, from all sources together."""


class Prior(Config):
    """A configuration that was found elsewhere, to be tried first.

    Attributes:
        origin: where it was found, in words
        parameters: as of ``start_with``
    """

    origin: str
    parameters: dict[str, str | bool | int | float | None]


class SearchConfig(Config):
    """How architectures are proposed and how long trials are given.

    Attributes:
        trials: how many trials to run to an end
        sampler: who proposes: one of `SAMPLERS`, or a function from a seed to a sampler of
            Optuna's, as ``module:function``
        scheduler: who stops a trial: ``asha``, ``hyperband`` and ``median`` those that progress
            less than others for the same training cost; ``none`` lets each trial climb to its end
        scheduler_cost: that cost: ``gflop``, operations of training in 10^9, or ``seconds``, wall
            time on rungs, looks included
        objectives: progress, and what else a trial is to be good in: less of each of `LESSER` is
            better
        hours: wall time after which a run of the search ends; null for no limit
        gflop: training cost of all trials, in 10^9 operations, after which the search ends; null
            for no limit
        warm_start: earlier searches, outcome files, exported folders and Optuna studies, whose best
            configurations are tried next
        portfolio: so many of the shipped configurations that the space offers are tried after
            those; null for eight, or a quarter of the trials if that is fewer, where neither
            ``start_with`` nor ``warm_start`` says what to begin with, and else for none
        priors: those; filled in when a search starts
        until: what ends the search once it is there; null for nothing
        seed: everything random derives from it
        concurrency: trials side by side; null for as many as the machine holds
        start_with: configurations to try first, each a mapping from parameters of the space, by
            path, to values; what one leaves out is proposed by the sampler
    """

    trials: int = Field(default=64, ge=1, le=10**7)
    sampler: str = "tpe"
    scheduler: str = "asha"
    scheduler_cost: Literal["gflop", "seconds"] = "gflop"
    objectives: list[str] = ["progress"]
    seed: int = Field(default=0, ge=0, lt=2**63)
    hours: float | None = Field(default=None, gt=0)
    gflop: float | None = Field(default=None, gt=0)
    concurrency: int | None = Field(default=None, ge=1, le=10**5)
    start_with: list[dict[str, str | int | float]] = []
    until: UntilConfig | None = None
    warm_start: list[str] = []
    portfolio: int | None = Field(default=None, ge=0, le=MOST_PRIORS)
    priors: list[Prior] = []

    later: ClassVar[frozenset[str]] = frozenset(
        {"until", "warm_start", "portfolio", "priors", "scheduler_cost"}
    )

    @property
    def of_portfolio(self) -> int:
        """How many configurations of the portfolio are tried first, at most."""
        if self.portfolio is not None:
            return self.portfolio
        return 0 if self.start_with or self.warm_start else min(MOST_PRIORS, self.trials // 4)

    @property
    def first(self) -> list[dict[str, Any]]:
        """Parameters of the trials to begin with, in the order of their numbers."""
        return [*self.start_with, *(prior.parameters for prior in self.priors)]

    @property
    def first_from(self) -> list[str]:
        """Where each of the `first` was found."""
        given = len(self.start_with)
        own = [f"search.start_with, {number} of {given}" for number in range(1, given + 1)]
        return own + [prior.origin for prior in self.priors]

    def origin_of(self, number: int) -> str:
        """Where the configuration of a trial was found; empty if it was proposed here."""
        place = number - len(self.start_with)
        return self.priors[place].origin if 0 <= place < len(self.priors) else ""

    @field_validator("sampler")
    @classmethod
    def _sampler_known(cls, sampler: str) -> str:
        if sampler in SAMPLERS or re.fullmatch(r"[\w.]+:\w+", sampler):
            return sampler
        raise ValueError(
            f"{sampler!r} is not known; allowed: {', '.join(SAMPLERS)}, or module:function"
        )

    @field_validator("objectives")
    @classmethod
    def _objectives_known(cls, objectives: list[str]) -> list[str]:
        if objectives[:1] != ["progress"]:
            raise ValueError(f"{objectives} is not allowed; progress comes first")
        for objective in objectives[1:]:
            if objective not in LESSER:
                raise ValueError(
                    f"{objective!r} is not known; allowed after progress: {', '.join(LESSER)}"
                )
        if len(set(objectives)) < len(objectives):
            raise ValueError(f"{objectives}: the same stands there twice")
        return objectives

    @field_validator("scheduler")
    @classmethod
    def _scheduler_known(cls, scheduler: str) -> str:
        if scheduler not in SCHEDULERS:
            raise ValueError(f"{scheduler!r} is not known; allowed: {', '.join(SCHEDULERS)}")
        return scheduler

    @model_validator(mode="after")
    def _cost_compared_by(self) -> Self:
        if self.scheduler == "none" and self.scheduler_cost != "gflop":
            others = ", ".join(name for name in SCHEDULERS if name != "none")
            raise ValueError(
                f"scheduler_cost: {self.scheduler_cost!r} is not allowed with scheduler 'none', "
                f"which compares nobody; allowed with {others}"
            )
        return self


class ConstraintsConfig(Config):
    """What a proposal must keep to be trained, at the ladder's top; null for no limit.

    Attributes:
        max_parameters: trainable numbers of the model
        max_state_bytes: bytes that one sequence carries from step to step, in float32
        max_flops_per_step: floating-point operations of answering, a step
    """

    max_parameters: int | None = Field(default=None, ge=1)
    max_state_bytes: int | None = Field(default=None, ge=1)
    max_flops_per_step: float | None = Field(default=None, gt=0)

    @property
    def limits(self) -> dict[str, float]:
        """The limits there are, by key."""
        return {key: value for key, value in self if value is not None}


class ResourcesConfig(Config):
    """What one trial is given, and how it computes.

    Attributes:
        gpus: CUDA devices, or a part of one; ``auto`` for what the largest configuration needs
        memory: of the host, in GiB; ``auto`` likewise, null for no account of it
        accelerator: the type of device to train on, as Ray names it
        precision: of matrix products and attention; weights are float32 either way
    """

    cpus: float = Field(default=1, gt=0, le=10**4)
    gpus: Annotated[float, Field(ge=0, le=10**4)] | Literal["auto"] = 0.0
    memory: Annotated[float, Field(gt=0, le=10**6)] | Literal["auto"] | None = None
    accelerator: str | None = None
    precision: Precision = "float32"

    @property
    def gpus_at_least(self) -> float:
        """Devices, before a probe has said how many."""
        return 0.0 if self.gpus == "auto" else self.gpus

    @property
    def memory_at_least(self) -> float:
        """GiB, before a probe has said how many."""
        return 0.0 if self.memory in ("auto", None) else float(self.memory)


class TrackingConfig(Config):
    """Where MLflow records.

    Attributes:
        uri: null for what ``MLFLOW_TRACKING_URI`` says, or else SQLite under the runs folder
        experiment: null for ``longspan``
        tensorboard: whether TensorBoard's event files are written too, under the search's folder
        ray_dashboard: whether Ray's own pages are up while the search runs on this machine
    """

    later: ClassVar[frozenset[str]] = frozenset({"tensorboard", "ray_dashboard"})

    uri: str | None = None
    experiment: str | None = None
    tensorboard: bool = False
    ray_dashboard: bool = False

    @property
    def experiment_name(self) -> str:
        """Of MLflow's experiment."""
        return self.experiment or "longspan"


class CertifyConfig(Config):
    """What a certificate is to establish, on members that the search never used.

    Attributes:
        top: how many of the best configurations are certified; they share the error
        reliability: the probability with which a fresh member learns the lag
        confidence: of all the claims together
        failures: members that may fail; more of them ask for more members and forgive more
        to: the longest lag that is tried; null for the search's estimate
    """

    later: ClassVar[frozenset[str]] = frozenset({"to"})

    top: int = Field(default=1, ge=1, le=1000)
    reliability: float = Field(default=0.8, gt=0, le=0.9999)
    confidence: float = Field(default=0.95, gt=0, le=0.9999)
    failures: int = Field(default=1, ge=0, le=1000)
    to: int | None = Field(default=None, ge=2, le=LONGEST)


class Outline(Config):
    """A spec whose tasks are not looked into, so that nothing heavy is imported.

    Attributes:
        choices: what a YAML space says; kept here, since a study's choices must not change
        import_from: folders where modules are looked for, besides where Python does
        plugins: modules that bring layers, tasks or spaces
        controls: of the tasks, before the first search on them: ``refuse`` a task that fails one,
            ``warn`` of it, or ``off``
    """

    name: str = Field(pattern=f"^{NAME.pattern}$")
    space: str
    choices: dict[Any, Any] | None = None
    import_from: list[str] = []
    plugins: list[str] = []
    tasks: list[Any] = Field(min_length=1)
    ladder: LadderConfig = LadderConfig()
    search: SearchConfig = SearchConfig()
    resources: ResourcesConfig = ResourcesConfig()
    tracking: TrackingConfig = TrackingConfig()
    controls: Literal["refuse", "warn", "off"] = "refuse"
    certify: CertifyConfig = CertifyConfig()
    constraints: ConstraintsConfig = ConstraintsConfig()

    @model_validator(mode="after")
    def _ahead_to_a_rung(self) -> Self:
        ahead = self.ladder.ahead
        if ahead is not None and ahead not in self.ladder.rungs:
            rungs = ", ".join(map(str, self.ladder.rungs))
            raise ValueError(f"ladder.ahead: {ahead} is no rung of the ladder; allowed: {rungs}")
        return self

    @model_validator(mode="after")
    def _until_a_rung(self) -> Self:
        until = self.search.until
        if until is not None and until.certified not in self.ladder.rungs:
            rungs = ", ".join(map(str, self.ladder.rungs))
            raise ValueError(
                f"search.until.certified: {until.certified} is no rung of the ladder; allowed: "
                f"{rungs}"
            )
        return self

    @property
    def as_begun(self) -> Self:
        """The same for a search that begins now: what it leaves open is as searches do it today.

        One that was begun keeps what it was begun with, which an earlier version did not write.
        """
        looks = self.ladder.looks or "sequential"
        return self.model_copy(update={"ladder": self.ladder.model_copy(update={"looks": looks})})

    @field_validator("controls", mode="before")
    @classmethod
    def _off(cls, controls: Any) -> Any:
        """YAML reads a bare ``off`` as false."""
        return "off" if controls is False else controls
