"""Answers on raw rows by an export's ``model.onnx``, with NumPy and onnxruntime alone.

    python read_onnx.py FOLDER ROWS.json

FOLDER has ``model.onnx`` and ``encoding.json``; ROWS.json is a list of rows. What the fields of
``encoding.json`` mean stands in docs/formats.md.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime


class Reader:
    """An exported model: raw rows in, the file's own labels out."""

    def __init__(self, folder):
        folder = Path(folder)
        self.encoding = json.loads((folder / "encoding.json").read_text(encoding="utf-8"))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options)
        self.lag = int(self.session.get_modelmeta().custom_metadata_map["lag"])

    def predict(self, rows, gap=None):
        """An answer for each row; ``gap`` steps of filler after it, by default the lag."""
        answers = [self.answer(self.outputs(row, gap)) for row in rows]
        several = self.encoding["answers"] > 1 or self.encoding.get("each_step", False)
        return [one if several else one[0] for one in answers]

    def outputs(self, row, gap=None):
        """What the graph gives for one row (S, C): logits, or a number."""
        inputs = encode(self.encoding, row, self.lag, gap)
        answers = len(row) if self.encoding.get("each_step") else self.encoding["answers"]
        scored = np.arange(len(inputs) - answers, len(inputs))
        fed = {"inputs": inputs[None], "scored": scored[None]}
        return self.session.run(["answers"], fed)[0][0]

    def answer(self, outputs):
        """The file's labels, or numbers in its unit."""
        answer = self.encoding["answer"]
        if answer["kind"] == "columns":
            each = zip(answer["names"], outputs, strict=True)
            return [names[out[: len(names)].argmax()] for names, out in each]
        if answer["kind"] == "number":
            return [answer["offset"] + answer["scale"] * float(out[0]) for out in outputs]
        return [answer["names"][pick] for pick in outputs.argmax(-1)]


def encode(encoding, row, lag, gap=None):
    """One raw row as the graph takes it: (T,) int64 or (T, F) float32."""
    encoded = encode_steps(encoding["steps"], row)
    gap = (lag if gap is None else gap) + encoding["answers"] - 1 if encoding["after_gap"] else 0
    length = max(len(encoded), padded_steps(encoding["padding"], lag)) + gap
    if length == len(encoded):
        return encoded
    shown = filler(encoding, length)
    shown[length - gap - len(encoded) : length - gap] = encoded
    return shown


def encode_steps(steps, row):
    """The row's own steps."""
    if steps["kind"] == "symbols":  # by name or by number
        numbers = {name: number for number, name in enumerate(steps["names"])}
        return np.array([numbers[one] if isinstance(one, str) else int(one) for one in row])
    if steps["kind"] == "tokens":  # the rank in the vocabulary, which is ascending
        ranks = {symbol: rank for rank, symbol in enumerate(steps["vocabulary"])}
        row = list(row) if isinstance(row, str) else row  # a text, of characters
        symbols = np.asarray(row, dtype=object).reshape(-1).tolist()
        return np.array([ranks[one] for one in symbols])
    values = np.asarray(row, dtype=np.float64).reshape(len(row), -1)
    if steps["kind"] != "numbers":
        return values.astype(np.float32)
    missing = steps.get("missing") or {"values": [], "fill": steps["mean"], "indicator": False}
    gone = np.isnan(values)
    for value in missing["values"]:
        if not isinstance(value, str):  # "null" and "nan" are NaN by now
            gone |= values.astype(np.float32) == np.float32(value)
    values = np.where(gone, np.array(missing["fill"]), values)
    values = (values - np.array(steps["mean"])) / np.array(steps["deviation"])
    shown = [values, gone] if missing["indicator"] else [values]
    return np.concatenate(shown, axis=1).astype(np.float32)


def padded_steps(padding, lag):
    """To which length shorter rows are padded."""
    if padding is None:
        return 0
    if not padding["by_lag"]:
        return padding["steps"]
    nearest = padding["nearness"] * lag
    return max((steps for own, steps in padding["by_lag"] if own < nearest), default=1)


def filler(encoding, length):
    """The last ``length`` steps of the filler, the same for every row."""
    steps, kind = encoding["steps"], encoding["filler"]["kind"]
    tokens = steps["kind"] == "tokens"
    features = 1 if tokens else len(steps["mean"])
    if kind == "blank":
        if tokens:
            return np.full(length, len(steps["vocabulary"]))
        indicator = (steps.get("missing") or {}).get("indicator", False)
        return np.zeros((length, 2 * features if indicator else features), np.float32)
    raw = np.random.PCG64(0).random_raw(length * features)
    unit = ((raw >> np.uint64(11)) / 2.0**53).reshape(length, features)[::-1]
    if kind == "resample":
        pool = encoding["filler"]["pool"]
        picks = (unit * len(pool)).astype(np.int64)
        return encode_steps(steps, [[pool[p][f] for f, p in enumerate(step)] for step in picks])
    if tokens:
        return (unit[:, 0] * len(steps["vocabulary"])).astype(np.int64)
    low, high = np.array(steps["low"]), np.array(steps["high"])
    if steps["whole"]:
        return encode_steps(steps, low + np.floor(unit * (high - low + 1)))
    return encode_steps(steps, low + unit * (high - low))


if __name__ == "__main__":
    folder, rows = sys.argv[1:]
    for label in Reader(folder).predict(json.loads(Path(rows).read_text(encoding="utf-8"))):
        print(json.dumps(label))
