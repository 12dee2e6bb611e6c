"""The contract of every space in the table."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from functools import cache

import optuna
import pytest
import torch

from search.proposing.draws import draw
from search.proposing.samplers import make_sampler
from spaces import SPACES
from trainables.config import TrialConfig
from trainables.models.cells import LAYERS
from trainables.models.front_ends import FRONT_ENDS
from trainables.models.hybrids import HYBRIDS
from trainables.models.model import build
from trainables.models.positions import POSITIONS
from trainables.models.readouts import READOUTS
from trainables.models.residuals import RESIDUALS
from trainables.regimes import REGIMES
from trainables.tasks import TASKS

LAG = 64
DRAWS = 400
PARTS = {
    "cell": LAYERS,
    "front_end": FRONT_ENDS,
    "hybrid": HYBRIDS,
    "positions": POSITIONS,
    "readout": READOUTS,
    "residual": RESIDUALS,
}


@cache
def drawn(name: str) -> list[TrialConfig]:
    return draw(SPACES[name], DRAWS)


@cache
def trials(name: str, count: int = DRAWS) -> list[optuna.Trial]:
    """What ``count`` trials suggested, in one study, which refuses choices that change."""
    study = optuna.create_study(sampler=make_sampler("random", 0, 0))
    asked = [study.ask() for _ in range(count)]
    for trial in asked:
        SPACES[name](trial)
    return asked


@pytest.mark.parametrize("draws", [20, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", SPACES)
def test_every_draw_learns_a_batch(name: str, draws: int) -> None:
    """They decode, build, and run forward and backward to finite gradients.

    Of four sequences, since a net whose first outputs are large may be sure of one, and right.
    """
    learn_a_batch(drawn(name)[:draws])


def learn_a_batch(configs: list[TrialConfig]) -> None:
    recall = TASKS["recall"]
    task = recall(recall.Config())
    for number, config in enumerate(configs):
        model = build(config.model, task, seed=number)
        batch = task.sample(LAG, 4, torch.Generator().manual_seed(number))
        loss = task.answer.loss(model(batch.inputs, batch.scored), batch.targets)
        loss.backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        norms = torch.stack(torch._foreach_norm(gradients))
        assert loss.isfinite(), config
        assert norms.isfinite().all(), config
        assert norms.any(), config


@pytest.mark.parametrize("name", SPACES)
def test_every_choice_is_drawn(name: str) -> None:
    """No choice of a list hides behind a condition that is never met."""
    offered: dict[str, set[object]] = {}
    taken: dict[str, set[object]] = {}
    for trial in trials(name, 2 * DRAWS):
        for parameter, distribution in trial.distributions.items():
            if isinstance(distribution, optuna.distributions.CategoricalDistribution):
                offered.setdefault(parameter, set()).update(distribution.choices)
                taken.setdefault(parameter, set()).add(trial.params[parameter])
    assert taken == offered


@pytest.mark.parametrize("part", PARTS)
def test_everything_offers_every_kind(part: str) -> None:
    assert {getattr(c.model, part).kind for c in drawn("everything")} == set(PARTS[part])


def test_everything_offers_every_regime() -> None:
    assert {c.training.regime.kind for c in drawn("everything")} == set(REGIMES)


def test_article_offers_the_classic_remedies_alone() -> None:
    offered = {part: {getattr(c.model, part).kind for c in drawn("article")} for part in PARTS}
    assert offered == {
        "cell": {"lstm", "gru", "transformer", "ntm", "dnc"},
        "front_end": {"none", "conv"},
        "hybrid": {"none"},
        "positions": {"none", "sinusoidal", "learned"},
        "readout": {"last", "attention"},
        "residual": {"none", "add"},
    }


@pytest.mark.parametrize("name", SPACES)
def test_a_categorical_never_changes(name: str) -> None:
    """One list a name, whatever the branch: Optuna refuses a study's second list."""
    lists: dict[str, optuna.distributions.BaseDistribution] = {}
    for trial in trials(name):
        for parameter, distribution in trial.distributions.items():
            kept = lists.setdefault(parameter, distribution)
            optuna.distributions.check_distribution_compatibility(kept, distribution)


@pytest.mark.parametrize("name", SPACES)
def test_choices_are_not_built_from_a_table(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell brought by a plugin changes no list, so that no study under way breaks."""
    before = [trial.distributions for trial in trials(name)[:20]]
    for table in (*PARTS.values(), REGIMES):
        monkeypatch.setitem(table, "newcomer", next(iter(table.values())))
    assert [trial.distributions for trial in trials.__wrapped__(name)[:20]] == before


@pytest.mark.parametrize("name", SPACES)
def test_the_sampler_that_learns_takes_the_space_without_a_warning(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """TPE asks and is told 30 times; it logs to standard error where it falls back."""
    study = optuna.create_study(direction="maximize")
    for number in range(30):
        study.sampler = make_sampler("tpe", 0, number)
        trial = study.ask()
        SPACES[name](trial)
        study.tell(trial, float(number % 5))
    assert "warn" not in capfd.readouterr().err.lower()


@pytest.mark.parametrize("name", SPACES)
def test_spaces_are_picklable(name: str) -> None:
    """A lambda or closure could not be sent or resumed."""
    assert pickle.loads(pickle.dumps(SPACES[name])) is SPACES[name]


def test_a_fresh_process_draws_the_same() -> None:
    code = (
        "from search.proposing.draws import draw; from spaces import SPACES;"
        "print([[c.digest for c in draw(space, 5)] for space in SPACES.values()])"
    )
    fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = [[config.digest for config in drawn(name)[:5]] for name in SPACES]
    assert fresh.stdout.strip() == str(here)


@pytest.mark.parametrize("name", SPACES)
def test_drawing_warns_of_nothing(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw(SPACES[name], 3)
