"""An export as a model in MLflow: logged under its trial's run, registered on request.

What MLflow stores is the exported folder and the package ``trainables``, whose
`trainables.exports.pyfunc` answers: no pickle, and nothing of the search. So
``mlflow.pyfunc.load_model`` and ``mlflow models serve`` work where Longspan is not installed.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

import mlflow
import pandas as pd
from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Run
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode
from mlflow.tracking import MlflowClient
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Array, TensorSpec
from sqlalchemy.exc import SQLAlchemyError

import trainables
from search.disk.folder import SearchFolder
from search.errors import UserError
from search.recording.model_claims import description, send_claims, send_version, version_tags
from search.recording.tracker import Tracker
from search.spec import Spec
from trainables.encoding.answers import ClassAnswers, ColumnsAnswers
from trainables.encoding.encoding import Encoding
from trainables.encoding.steps import NumberSteps, PlainSteps, SymbolSteps
from trainables.exports import exported, pyfunc
from trainables.messages import one_line

REQUIREMENTS = (
    "torch",
    "numpy",
    "pydantic",
    "safetensors",
    "pyyaml",
    "jaxtyping",
    "pyarrow",
    "pandas",
)


CHAMPION = "champion"
"""The alias of a registered model's best version."""

ABOUT = f"Sequence models found by Longspan; `{CHAMPION}` is the best of those last exported."


def signature(encoding: Encoding) -> ModelSignature:
    """What is answered: ``label``, and each class's probability by its name; and ``gap``.

    Also of a model that has none, which says so: MLflow drops what a signature does not name.

    MLflow's schemas know tables or arrays, not both, and turn the other away before the model sees
    it. The rows are the model's own to check, so the schema of inputs is left out: `described`
    says what they are.
    """
    gap = ParamSchema([ParamSpec("gap", "long", -1)])
    return ModelSignature(outputs=Schema(_answered(encoding)), params=gap)


def _answered(encoding: Encoding) -> list[ColSpec | TensorSpec]:
    answer = encoding.answer

    def column(kind: DataType, name: str) -> ColSpec:
        several = encoding.is_several and not isinstance(answer, ColumnsAnswers)
        return ColSpec(Array(kind) if several else kind, name)

    if isinstance(answer, ClassAnswers):
        shares = [column(DataType.double, name) for name in pyfunc.probability_columns(answer)]
        return [column(_type_of(answer), pyfunc.LABEL), *shares]
    if isinstance(answer, ColumnsAnswers):
        return [
            spec
            for name, part in zip(answer.columns, answer.parts, strict=True)
            for spec in (
                column(_type_of(part), name),
                *(column(DataType.double, each) for each in pyfunc.shares_of(name, part)),
            )
        ]
    return [column(DataType.double, pyfunc.LABEL)]


def _type_of(answer: ClassAnswers) -> DataType:
    kinds = {bool: DataType.boolean, int: DataType.long, float: DataType.double}
    found = {kinds.get(type(name), DataType.string) for name in answer.names}
    return found.pop() if len(found) == 1 else DataType.string


def described(encoding: Encoding, lag: int) -> dict[str, Any]:
    """What the rows are, for the logged model's metadata."""
    features = encoding.steps.features
    is_number = isinstance(encoding.steps, NumberSteps | PlainSteps)
    a_step = ("a number" if features == 1 else f"{features} numbers") if is_number else "a symbol"
    holds = f"lists of steps, {a_step} a step, of any lengths"
    if len(encoding.channels) > 1:
        holds = "one step" if features == 1 else "lists of steps, a number a step, of any lengths"
        holds = f"each {holds}, in this order"
    shape = "(N, T)" if features == 1 else f"(N, T, {features})"
    also = f"arrays {shape} of any number type" if is_number else f"arrays {shape} of symbols"
    return {
        "encoding_sha256": encoding.digest,
        "inputs": {
            "columns": list(encoding.channels),
            "holds": f"{holds}, as the user has them",
            "also": f"{also}, and ragged lists of rows",
        },
        "gap": f"{lag} steps of filler, -1 for that" if encoding.after_gap else "none",
    }


def example(encoding: Encoding) -> pd.DataFrame:
    """A real row that nothing was trained on; of a generated task, a row of some symbols."""
    steps: Iterable[Any] = encoding.example or ()
    if encoding.example is None:
        known = encoding.steps
        a_step = known.names[-1] if isinstance(known, SymbolSteps) else (0.0,) * known.features
        steps = [a_step] * max(4, encoding.answers)
    row = encoding.in_columns(tuple(steps))
    return pd.DataFrame({name: [part] for name, part in row.items()})


def publish(
    spec: Spec, search: SearchFolder, folders: Sequence[Path], name: str | None = None
) -> list[int]:
    """Log exported folders of a search, each under its trial's run.

    With a ``name``, they become versions of that registered model. The first of ``folders`` is the
    best: it becomes the latest version, and has the alias `CHAMPION`.

    Returns:
        the versions registered, in the order of ``folders``

    Raises:
        UserError: in one line, if MLflow cannot be reached or refuses.
    """
    tracker = Tracker(spec, search)
    try:
        trials = [exported.read(f).trial for f in folders]
    except ValueError as error:  # one that was exported earlier, and damaged since
        raise UserError(str(error)) from None
    try:
        client = tracker.connect()
        models = [
            log(client, tracker.run_id(t), f, spec) for t, f in zip(trials, folders, strict=True)
        ]
        if name is None:
            return []
        versions = [
            register(
                client,
                model,
                name,
                version_tags(tracker, folder),
                description(folder),
                is_best=folder == folders[0],
            )
            for model, folder in reversed(list(zip(models, folders, strict=True)))
        ]
        client.set_registered_model_alias(name, CHAMPION, str(versions[-1]))
        return versions[::-1]
    except (MlflowException, SQLAlchemyError) as error:
        reason = one_line(error, 200)
        raise UserError(f"MLflow at {tracker.uri}: {reason}") from None


def log(client: MlflowClient, run_id: str, folder: Path, spec: Spec) -> str:
    """Log an exported folder as a model of its trial's run; one that is there already is kept.

    What it claims, and how it is described, is brought up to date either way.

    Returns:
        the model's id
    """
    run = client.get_run(run_id)
    model_id = _logged(client, run, folder)
    send_claims(client, run, model_id, folder, spec)
    return model_id


def _logged(client: MlflowClient, run: Run, folder: Path) -> str:
    claim = exported.read(folder)
    encoding = claim.encoding
    if encoding is None:  # whoever exports has one
        raise UserError(f"{folder}: it keeps no encoding; export it again from its search")
    name = "{search}-trial-{trial:05d}-{task}".format(**claim.outcome)
    run_id, experiment = run.info.run_id, run.info.experiment_id
    for known in client.search_logged_models(
        [experiment], filter_string=f"source_run_id = '{run_id}' AND name = '{name}'"
    ):
        if known.status == LoggedModelStatus.READY:
            return str(known.model_id)
    model = client.create_logged_model(
        experiment, name, source_run_id=run_id, params=run.data.params, model_type="pyfunc"
    )
    with tempfile.TemporaryDirectory() as aside, _versions_unchecked():
        path = Path(aside) / "model"
        mlflow.pyfunc.save_model(
            path=path,
            mlflow_model=Model(
                artifact_path=model.artifact_location,
                model_uuid=model.model_id,
                run_id=run_id,
                model_id=model.model_id,
            ),
            loader_module=pyfunc.__name__,
            data_path=str(folder),
            code_paths=[str(Path(trainables.__file__).parent)],
            signature=signature(encoding),
            input_example=example(encoding),
            metadata=described(encoding, claim.lag),
            pip_requirements=[f"{package}=={version(package)}" for package in REQUIREMENTS],
        )
        client.log_model_artifacts(model.model_id, str(path))
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    return str(model.model_id)


@contextmanager
def _versions_unchecked() -> Iterator[None]:
    """Spare MLflow its check of requirements against what is installed: they are read from that.

    It would look at every file of every package, for seconds.
    """
    check = "mlflow.utils.environment.warn_dependency_requirement_mismatches"
    with patch(check, lambda _: None, create=True):
        yield


@contextmanager
def _looked_up_at(uri: str) -> Iterator[None]:
    """Where MLflow's registry looks a logged model up, for the length of the block.

    It asks a global of MLflow's, and so an environment variable, that others read as well.
    """
    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)  # type: ignore[arg-type]  # None takes it back


def register(
    client: MlflowClient,
    model_id: str,
    name: str,
    tags: Mapping[str, str] = {},
    about: str | None = None,
    is_best: bool = False,
) -> int:
    """Make a logged model a version of the registered model ``name``, unless it is one already.

    Its ``tags`` and what is said ``about`` it are brought up to date either way. The best becomes
    one again where another has come after it: who asks for the latest gets the best.

    Returns:
        the version
    """
    try:
        client.create_registered_model(name, description=ABOUT)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise
    source = f"models:/{model_id}"
    known = client.search_model_versions(f"name = '{name}'")
    newest_first = sorted(known, key=lambda v: -int(v.version))
    candidates = newest_first[:1] if is_best else newest_first
    version = next((v for v in candidates if v.source == source), None)
    if version is None:
        run_id = client.get_logged_model(model_id).source_run_id
        with _looked_up_at(client.tracking_uri):
            version = client.create_model_version(name, source, run_id=run_id, model_id=model_id)
    for key, value in tags.items():
        client.set_model_version_tag(name, str(version.version), key, value)
    if about is not None:
        client.update_model_version(name, str(version.version), about)
    send_version(client, model_id, name, int(version.version))
    return int(version.version)
