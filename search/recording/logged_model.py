"""An export as a model in MLflow: logged under its trial's run, registered on request.

What MLflow stores is the exported folder and the package ``trainables``, whose
`trainables.exports.pyfunc` answers: no pickle, and nothing of the search. So
``mlflow.pyfunc.load_model`` and ``mlflow models serve`` work where Longspan is not installed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import mlflow
import numpy as np
from mlflow.entities import LoggedModelOutput, LoggedModelStatus
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode
from mlflow.tracking import MlflowClient
from mlflow.types import ParamSchema, ParamSpec, Schema, TensorSpec
from sqlalchemy.exc import SQLAlchemyError

import trainables
from search.disk.folder import SearchFolder
from search.errors import UserError
from search.recording.tracker import Tracker
from search.spec import Spec
from trainables.exports import exported, pyfunc
from trainables.messages import one_line
from trainables.tasks.task import ClassAnswer, Interface, Reals

REQUIREMENTS = ("torch", "numpy", "pydantic", "safetensors", "pyyaml", "jaxtyping", "pyarrow")


def signature(interface: Interface) -> ModelSignature:
    """Sequences in, an answer for each step of the parameter ``scored`` out.

    Steps count from 0, negative ones from the end; by default the last one is scored.
    """
    if isinstance(interface.inputs, Reals):
        sequences = TensorSpec(np.dtype("float32"), (-1, -1, interface.inputs.features), "inputs")
    else:
        sequences = TensorSpec(np.dtype("int64"), (-1, -1), "inputs")
    each = (interface.answer.classes,) if isinstance(interface.answer, ClassAnswer) else ()
    return ModelSignature(
        inputs=Schema([sequences]),
        outputs=Schema([TensorSpec(np.dtype("float32"), (-1, -1, *each), "answers")]),
        params=ParamSchema([ParamSpec("scored", "long", [-1], shape=(-1,))]),
    )


def example(interface: Interface) -> dict[str, np.ndarray]:
    """One sequence of nothing, eight steps long: enough to try a served model with."""
    if isinstance(interface.inputs, Reals):
        return {"inputs": np.zeros((1, 8, interface.inputs.features), np.float32)}
    return {"inputs": np.zeros((1, 8), np.int64)}


def publish(
    spec: Spec, search: SearchFolder, folders: Sequence[Path], name: str | None = None
) -> list[int]:
    """Log exported folders of a search, each under its trial's run.

    With a ``name``, they become versions of that registered model.

    Returns:
        the versions registered

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
        models = [log(client, tracker.run_id(t), f) for t, f in zip(trials, folders, strict=True)]
        return [register(client, model, name) for model in models] if name else []
    except (MlflowException, SQLAlchemyError) as error:
        reason = one_line(error, 200)
        raise UserError(f"MLflow at {tracker.uri}: {reason}") from None


def log(client: MlflowClient, run_id: str, folder: Path) -> str:
    """Log an exported folder as a model of its trial's run; one that is there already is kept.

    Returns:
        the model's id
    """
    claim = exported.read(folder)
    name = "{search}-trial-{trial:05d}-{task}".format(**claim.outcome)
    run = client.get_run(run_id)
    experiment = run.info.experiment_id
    for known in client.search_logged_models(
        [experiment], filter_string=f"source_run_id = '{run_id}' AND name = '{name}'"
    ):
        if known.status == LoggedModelStatus.READY:
            return str(known.model_id)
    model = client.create_logged_model(
        experiment, name, source_run_id=run_id, params=run.data.params, model_type="pyfunc"
    )
    with tempfile.TemporaryDirectory() as aside:
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
            signature=signature(claim.config),
            input_example=example(claim.config),
            pip_requirements=[f"{package}=={version(package)}" for package in REQUIREMENTS],
        )
        client.log_model_artifacts(model.model_id, str(path))
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    return str(model.model_id)


def register(client: MlflowClient, model_id: str, name: str) -> int:
    """Make a logged model a version of the registered model ``name``, unless it is one already.

    Returns:
        the version
    """
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise
    source = f"models:/{model_id}"
    known = client.search_model_versions(f"name = '{name}'")
    version = next((v for v in known if v.source == source), None)
    if version is None:
        mlflow.set_tracking_uri(client.tracking_uri)  # where MLflow's registry looks the model up
        version = client.create_model_version(name, source, model_id=model_id)
    return int(version.version)
