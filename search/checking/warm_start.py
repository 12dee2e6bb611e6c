"""What others have found, to be tried first: ``search.warm_start``.

The best configurations of earlier searches, outcome files, exports and an Optuna study of the
user's own are put into the spec as priors, as far as the space offers their parameters. Only what
to try is taken from there, nothing of what was measured: on another task, ladder or budget that is
another number, and a sampler that is told both learns which search a trial is of. So what they
are worth here is measured here, by trials that say where they come from.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any

import optuna
import pyarrow as pa
import pyarrow.parquet as pq
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import make_url

from search.checking.answered import answered
from search.checking.portfolio import of_portfolio
from search.disk import outcomes
from search.disk.folder import SearchFolder
from search.disk.ledger import Ledger
from search.disk.ranking import rank
from search.errors import UserError
from search.proposing.study import contains
from search.spec import MOST_PRIORS, Prior, Spec
from search.spec.spaces import find_space
from spaces import Space
from trainables.exports import exported
from trainables.files.bounded import require_file
from trainables.files.whole_files import DamagedFileError
from trainables.messages import named, one_line

STUDY = "optuna:"

Found = tuple[str, Mapping[str, Any]]
"""Where a configuration comes from, and its parameters, by their paths."""


def with_priors(spec: Spec, runs: Path) -> Spec:
    """The spec with the best of what its ``warm_start`` names, source by source in turns.

    Then those of the portfolio that are in its space.

    Raises:
        UserError: in one line, if a source is none, or has nothing that the space offers, or if a
            portfolio is asked for that has nothing in it.
    """
    space = find_space(spec)
    sources = [_taken(source, runs, space) for source in spec.search.warm_start]
    priors: list[Prior] = []
    found = filter(None, chain.from_iterable(zip_longest(*sources)))
    shipped = list(islice(of_portfolio(space), spec.search.of_portfolio))
    if spec.search.portfolio and not shipped:
        raise UserError(
            f"search.portfolio: {spec.search.portfolio}: none of its configurations is in the "
            f"space {spec.space!r}; allowed there: 0"
        )
    for prior in chain(found, shipped):
        if all(prior.parameters != other.parameters for other in priors):
            priors.append(prior)
    changed = spec.search.model_copy(update={"priors": priors[:MOST_PRIORS]})
    return spec.model_copy(update={"search": changed})


def _taken(source: str, runs: Path, space: Space) -> list[Prior]:
    """At most so many of a source as there may be in all, the best first."""
    taken: list[Prior] = []
    for origin, parameters in _of(source, runs):
        offered, asked = _offered(parameters, space)
        if 2 * len(offered) < asked or any(offered == prior.parameters for prior in taken):
            continue
        part = f"{len(offered)} of {asked} parameters"
        taken.append(Prior(origin=f"{origin}; {part}", parameters=offered))
        if len(taken) == MOST_PRIORS:
            break
    if not taken:
        raise UserError(
            f"search.warm_start: {source!r} has no trial that gives half of what the space asks for"
        )
    return taken


def _of(source: str, runs: Path) -> Iterator[Found]:
    """What a source has found, the best first.

    Raises:
        UserError: in one line, if it is none.
    """
    if source.startswith(STUDY):
        return _of_study(source.removeprefix(STUDY))
    folder = Path(source)
    try:
        folder.stat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise UserError(f"search.warm_start: {one_line(error, 200)}") from None
    except ValueError:  # a zero byte: found nowhere below
        pass
    if (folder / exported.CONFIG).exists() and (folder / exported.OUTCOME).exists():
        return _of_export(folder)
    if folder.suffix == ".parquet" or (folder.is_dir() and any(folder.glob("*.parquet"))):
        return _of_outcomes(folder)
    return _of_search(source, runs)


def _of_search(source: str, runs: Path) -> Iterator[Found]:
    path = Path(source)
    folder = SearchFolder(runs if len(path.parts) == 1 else path.parent, path.name)
    if not folder.exists:
        raise UserError(
            f"search.warm_start: {source!r} is no search under {folder.runs}, no exported folder "
            f"and no {STUDY}URL"
        )
    tasks = folder.outline().tasks
    on = ", ".join(str(t["kind"] if isinstance(t, Mapping) else t) for t in tasks)
    for record in rank(Ledger(folder).records.values()):
        if record.reach:
            yield (
                f"{folder.name}, trial {record.number}: reach {record.reach_text} on {on}",
                record.parameters,
            )


def _of_export(folder: Path) -> Iterator[Found]:
    try:
        claim = exported.read(folder)
    except ValueError as error:
        raise UserError(f"search.warm_start: {one_line(error)}") from None
    configuration = claim.config.configuration.model_dump(mode="json")
    yield f"{folder}: lag {claim.lag} on {claim.config.task.kind}", dict(_flat(configuration))


def _of_outcomes(path: Path) -> Iterator[Found]:
    """The trials of an outcome file, or of a folder of them, the best first.

    A file does not say how many members had to solve a rung: counted is the longest lag that more
    than half of those who tried it solved, on the task of which it is the shortest.
    """
    trials: dict[int, list[dict[str, Any]]] = {}
    for row in _rows(path):
        trials.setdefault(row["trial"], []).append(row)
    best = sorted(trials.items(), key=lambda item: (-_solved(item[1]), item[0]))
    for number, measured in best:
        if lag := _solved(measured):
            on = ", ".join(dict.fromkeys(row["task"] for row in measured))
            own = {name: value for name, value in measured[0].items()
                   if name not in outcomes.SCHEMA.names and value is not None}  # fmt: skip
            yield f"{path}, trial {number}: lag {lag} on {on}", own


def _rows(path: Path) -> list[dict[str, Any]]:
    """The rows of outcome files.

    Raises:
        UserError: in one line, if they are none, or hold what no Python value can be.
    """
    try:
        if not all(map(_may_hold_outcomes, path.glob("*.parquet") if path.is_dir() else [path])):
            raise UserError(f"search.warm_start: {str(path)!r} holds other rows than outcomes")
        table = outcomes.read(path) if path.is_dir() else outcomes.read_part(path)
        if any(table[name].null_count for name in (*outcomes.KEY, "solved")):
            raise UserError(f"search.warm_start: {str(path)!r} holds other rows than outcomes")
        return table.to_pylist()
    except FileNotFoundError:
        raise UserError(f"search.warm_start: {str(path)!r}: no such file") from None
    except DamagedFileError as error:
        raise UserError(f"search.warm_start: {one_line(error)}") from None
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        reason = one_line(error, 200)
        raise UserError(f"search.warm_start: {str(path)!r} cannot be read: {reason}") from None


def _may_hold_outcomes(file: Path) -> bool:
    """Whether a file has the columns at all: somebody's data of any size is not read for it."""
    try:
        require_file(file)  # a pipe would never be read to its end
        return {*outcomes.KEY, "solved"} <= set(pq.read_schema(file).names)
    except (pa.ArrowException, ValueError):  # no Parquet: who reads it says so
        return True


def _solved(rows: Iterable[Mapping[str, Any]]) -> int:
    """The longest lag that most members solved who tried it; the least over the tasks."""
    tried: dict[str, dict[int, list[bool]]] = {}
    for row in rows:
        tried.setdefault(row["task"], {}).setdefault(row["lag"], []).append(row["solved"])
    return min(
        max((lag for lag, solved in lags.items() if 2 * sum(solved) > len(solved)), default=0)
        for lags in tried.values()
    )


def _flat(nested: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a nested configuration, by their paths."""
    for key, value in nested.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}/")
        else:
            yield f"{above}{key}", value


def _of_study(url: str) -> Iterator[Found]:
    """The trials of an Optuna study that are complete, the best first; ``URL#NAME`` of several."""
    where, _, name = url.partition("#")
    try:
        storage = _storage(where)
        names = optuna.get_all_study_names(storage)
        if not name and len(names) != 1:
            raise UserError(
                f"search.warm_start: {STUDY}{where} holds {len(names)} studies; give one as "
                f"{STUDY}{where}#NAME: {', '.join(map(repr, names))}"
            )
        study = optuna.load_study(study_name=name or names[0], storage=storage)
        trials = _best_first(study)
    except UserError:
        raise
    except Exception as error:  # of whichever database it is
        raise UserError(f"search.warm_start: {STUDY}{url} cannot be read: {named(error)}") from None
    for trial in trials:
        values = ", ".join(f"{value:g}" for value in trial.values)
        yield f"study {study.study_name!r}, trial {trial.number}: {values}", trial.params


def _storage(where: str) -> BaseStorage:
    """A study's storage that is there: none is made."""
    file = make_url(where).database if "://" in where else where
    local = "://" not in where or where.startswith("sqlite")
    if local and not Path(file or "").is_file():
        raise UserError(f"search.warm_start: {STUDY}{where}: no such file")
    if "://" in where:
        return RDBStorage(where, skip_table_creation=True)
    return JournalStorage(JournalFileBackend(where))


def _best_first(study: optuna.Study) -> list[FrozenTrial]:
    complete = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    if len(study.directions) > 1:
        return list(study.best_trials)
    sign = -1 if study.direction == StudyDirection.MAXIMIZE else 1
    return sorted(complete, key=lambda trial: (sign * (trial.value or 0.0), trial.number))


def _offered(parameters: Mapping[str, Any], space: Space) -> tuple[dict[str, Any], int]:
    """Those that the space suggests when it is answered with them, and how many it asks for."""
    trial = answered(parameters)
    space(trial)
    offered = {
        path: parameters[path]
        for path, distribution in trial.distributions.items()
        if path in parameters and contains(distribution, parameters[path])
    }
    return offered, len(trial.params)
