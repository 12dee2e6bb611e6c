"""``onnx``: a graph of ONNX's operators, which onnxruntime and many others run.

A recurrence's scan becomes ONNX's ``Scan``: one graph for any number of steps, no loop outside.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch.export import ExportedProgram

from trainables.exports.formats.format import ANSWERS, INPUTS, SCORED, Answer, Format
from trainables.shapes import Inputs, Predictions, Scored

OPSET = 20
"""The version of ONNX's operators."""

ERRORS_ALONE = 3


class OnnxGraph(Format):
    """``onnxruntime.InferenceSession("model.onnx")`` takes inputs and scored steps."""

    file = "model.onnx"
    packages = ("onnx", "onnxscript", "onnxruntime")

    def write(self, traced: ExportedProgram, about: Mapping[str, str]) -> bytes:
        """The graph with its weights, and ``about`` as its metadata."""
        import onnx

        from trainables.exports.formats.onnx_operators import TRANSLATIONS

        with torch.no_grad(), _quiet():
            written = torch.onnx.export(
                traced,
                input_names=[INPUTS, SCORED],
                output_names=[ANSWERS],
                opset_version=OPSET,
                custom_translation_table=TRANSLATIONS,
                verbose=False,
            )
        if written is None:
            raise RuntimeError("torch.onnx.export gave nothing")
        _name_axes(written)
        graph = written.model_proto
        onnx.helper.set_model_props(graph, dict(about))
        content: bytes = graph.SerializeToString()
        return content

    def open(self, content: bytes) -> Answer:
        """As onnxruntime runs it on a processor."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = ERRORS_ALONE
        session = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])

        def answer(inputs: Inputs, scored: Scored) -> Predictions:
            fed = {INPUTS: inputs.numpy(), SCORED: scored.numpy()}
            return torch.from_numpy(session.run([ANSWERS], fed)[0])

        return answer


def _name_axes(written: Any) -> None:
    """Call the axes what they are, in place of the tracer's numbers."""
    inputs, scored = written.model.graph.inputs
    axes = zip((*inputs.shape[:2], scored.shape[1]), ("batch", "steps", "answers"), strict=True)
    written.rename_axes({str(axis.value): name for axis, name in axes})


@contextmanager
def _quiet() -> Iterator[None]:
    """Without a line for every operator of packages that are not installed, and torch's own."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
            yield
    finally:
        logger.setLevel(level)
