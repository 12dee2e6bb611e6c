"""The best for other runtimes: which formats are asked for, the files, and what the card says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from search.disk.kept_tasks import KeptTask
from search.errors import UserError
from trainables.config import TrialConfig
from trainables.exports.formats import FORMATS
from trainables.exports.formats.checked import Converted, convert, lacking_packages
from trainables.files import weights
from trainables.models.model import build


def require_formats(names: Sequence[str]) -> None:
    """Refuse formats that there are not, or whose packages are not installed.

    Raises:
        UserError: in one line, with what is allowed or how to install it.
    """
    for name in names:
        if name not in FORMATS:
            raise UserError(f"--format: {name!r} is not allowed; allowed: {', '.join(FORMATS)}")
        lacking = lacking_packages(FORMATS[name])
        if lacking:
            raise UserError(
                f"--format {name}: needs {', '.join(lacking)}, not installed here:"
                " pip install 'longspan[onnx]'"
            )


def in_formats(
    names: Sequence[str],
    configuration: Mapping[str, Any],
    kept: KeptTask,
    outcome: Mapping[str, Any],
    source: Path,
) -> dict[str, Converted]:
    """The model in each format, checked against PyTorch; nothing is written.

    Args:
        names: of formats
        configuration: the trial's
        kept: what its task takes and answers
        outcome: what is claimed of the weights
        source: the weights

    Raises:
        UserError: in one line, if the weights are damaged or a format does not hold the model.
    """
    if not names:
        return {}
    model = build(TrialConfig.model_validate(configuration).model, kept, seed=0)
    about = {
        "lag": str(outcome["lag"]),
        "configuration_sha256": outcome["configuration_sha256"],
        "encoding_sha256": outcome["encoding_sha256"],
    }
    forms = {name: FORMATS[name] for name in names}
    try:
        model.load_state_dict(weights.read(source))
        return convert(forms, model.eval(), outcome["lag"], about)
    except weights.DamagedWeightsError as error:
        raise UserError(f"{error}; nothing is exported") from None
    except ValueError as error:
        raise UserError(
            f"--format: trial {outcome['trial']}: {error}; nothing is exported"
        ) from None


def other_runtimes(outcome: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    """The card's part on files for other runtimes; nothing where there are none."""
    formats = outcome.get("formats")
    if not formats:
        return ""
    takes = "int64 (B, T), symbols" if "vocabulary" in inputs else "float32 (B, T, F), numbers"
    lines = [
        "## Other runtimes\n",
        "| file | off PyTorch's answers by at most | allowed | checked at |",
        "| --- | ---: | ---: | --- |",
    ]
    for record in formats.values():
        rows = " and ".join(str(size) for size in record["batch_sizes"])
        steps = " and ".join(str(length) for length in record["steps"])
        lines.append(
            f"| `{record['file']}` | {record['largest_difference']:.1e} | {record['tolerance']:g} |"
            f" {rows} rows of {steps} steps |"
        )
    return "\n".join(lines) + (
        f"\n\n(Shares of the largest answer.) Each takes `inputs`, {takes} as encoding.json encodes"
        " them, and `scored`, int64 (B, S), the steps to answer at, of any number of rows and"
        " steps; it gives `answers` (B, S, C). Longspan's docs/formats.md has a reader of raw rows"
        " that needs nothing but NumPy and onnxruntime.\n"
    )
