"""Exports as disks damage them, and as strangers make them up: loaded as they were, or one line.

Everything is loaded in one process of its own, whose memory is bounded, so that neither a hang nor
a model that is larger than its weights goes unseen. Met well is a refusal in one line, or, of what
was damaged, a model that answers as it did before; of what was made up, one that answers.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
import yaml

import trainables
from benchmarks.hostile.tried import Tried
from trainables.config import TrialConfig
from trainables.encoding.encoding import Encoding
from trainables.exports import exported
from trainables.files import sums, weights
from trainables.models.model import build
from trainables.tasks import TASKS, make_task

MOST_SECONDS = 10
"""Of the processor, for one folder."""

HANG_SECONDS = 120
"""By the clock, on however busy a machine: what waits for a pipe's other end waits for ever."""

DAMAGED, MADE_UP = 300, 300
MORE_MEMORY = 2**31
"""Bytes that a load may take beside what the process has at its start."""

FILES = (exported.CONFIG, exported.WEIGHTS, exported.OUTCOME, exported.ENCODING)
ROWS: dict[str, Any] = {
    "recall": [[1, 0, 2]],
    "numbers": [[500.0, 520.0, 480.0]],
    "tokens": [["a", "b", "a"]],
}

Change = Callable[[Path, random.Random], None]


def run(seed: int) -> list[Tried]:
    """`DAMAGED` folders whose bytes changed, and `MADE_UP` ones whose sums agree with what is odd.

    What went wrong is printed.
    """
    with tempfile.TemporaryDirectory() as root:
        whole = {name: _write(Path(root) / name, name) for name in ROWS}
        with _Loader(whole) as loader:
            answers = {name: loader.load(folder, ROWS[name]) for name, folder in whole.items()}
            assert all(how == "answers" for how, _ in answers.values()), answers
            return [
                _tried(f"exports {word}", number, change, whole, answers, loader, seed)
                for word, number, change in (
                    ("damaged", DAMAGED, damage),
                    ("made up by a stranger", MADE_UP, make_up),
                )
            ]


def _tried(
    kind: str,
    number: int,
    change: Change,
    whole: dict[str, Path],
    answers: dict[str, tuple[str, Any]],
    loader: _Loader,
    seed: int,
) -> Tried:
    good = 0
    for which in range(number):
        draw = random.Random(f"{seed} {kind} {which}")
        name = draw.choice(list(whole))
        folder = whole[name].with_name("tried")
        shutil.copytree(whole[name], folder)
        change(folder, draw)
        how, said = loader.load(folder, ROWS[name])
        as_before = how == "answers" and (change is make_up or said == answers[name][1])
        fine = as_before or (how == "refused" and "\n" not in said)
        good += fine
        if not fine:
            print(f"{kind} {which} ({name}): {how}: {str(said)[:300]}", file=sys.stderr)
        shutil.rmtree(folder)
    return Tried(kind, number, good)


class _Loader:
    """A process that loads folders, and is begun anew where one ended it."""

    def __init__(self, whole: dict[str, Path]) -> None:
        self._whole = whole

    def __enter__(self) -> _Loader:
        self._begin()
        return self

    def __exit__(self, *raised: object) -> None:
        self._end()

    def load(self, folder: Path, rows: Any) -> tuple[str, Any]:
        """``answers`` with those to the rows, ``refused``, ``traceback`` or ``hang``."""
        self._here.send((folder, rows))
        if not self._here.poll(HANG_SECONDS):
            self._end()
            self._begin()
            return "hang", ""
        try:
            how, said = self._here.recv()
        except EOFError:
            self._end()
            self._begin()
            return "traceback", "the process died"
        return str(how), said

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there,))
        self._process.start()
        there.close()
        self._here.recv()
        for name, folder in self._whole.items():  # what is slow the first time
            self._here.send((folder, ROWS[name]))
            self._here.recv()

    def _end(self) -> None:
        self._process.kill()
        self._process.join()
        self._here.close()


def _serve(there: Connection) -> None:
    torch.set_num_threads(1)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + MORE_MEMORY, used + MORE_MEMORY))
    there.send("ready")
    while True:
        folder, rows = there.recv()
        before = time.process_time()
        found = loaded(folder, rows)
        there.send(found if time.process_time() - before < MOST_SECONDS else ("hang", found))


def loaded(folder: Path, rows: Any) -> tuple[str, Any]:
    """What became of a folder: its answers to the rows, a refusal, or the traceback's last line."""
    try:
        model = trainables.load(folder)
        return "answers", [model.predict(rows).tolist(), model.outputs_of(rows).tolist()]
    except ValueError as error:
        plain = type(error).__module__.startswith(("builtins", "trainables"))
        return "refused" if plain else "traceback", f"{error}"
    except Exception as error:  # a traceback is what is looked for
        return "traceback", f"{type(error).__name__}: {error}"


# Damage: the sums say what was written


def damage(folder: Path, draw: random.Random) -> None:
    """Change the bytes of a file, cut it, empty it, take it away, or put something else there."""
    file = folder / draw.choice((*FILES, sums.NAME))
    content = file.read_bytes()
    draw.choice((_flip, _flip, _flip, _cut, _garbage, _gone, _pipe, _folder, _swapped))(
        file, content, draw
    )


def _flip(file: Path, content: bytes, draw: random.Random) -> None:
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 8))):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    file.write_bytes(bytes(changed))


def _cut(file: Path, content: bytes, draw: random.Random) -> None:
    file.write_bytes(content[: draw.randrange(len(content))])


def _garbage(file: Path, content: bytes, draw: random.Random) -> None:
    file.write_bytes(draw.randbytes(draw.choice((1, 8, 4096))))


def _gone(file: Path, content: bytes, draw: random.Random) -> None:
    if file.name != sums.NAME:  # without its sums a folder is taken as it is
        file.unlink()


def _pipe(file: Path, content: bytes, draw: random.Random) -> None:
    file.unlink()
    os.mkfifo(file)


def _folder(file: Path, content: bytes, draw: random.Random) -> None:
    file.unlink()
    file.mkdir()


def _swapped(file: Path, content: bytes, draw: random.Random) -> None:
    file.write_bytes((file.parent / draw.choice(FILES)).read_bytes())


# Made up: whoever wrote it made the sums agree, and means to cost or to mislead

ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 2**31, 2**40, 2**63, 10**30, 0.5, -1e300, "", "x" * 9, [], {}, [[]]),
    *([0] * 2000, {"kind": "no such"}, "../../etc/passwd", "!!python/none"),
)


def make_up(folder: Path, draw: random.Random) -> None:
    """One of `MADE`; the sums, and that of the encoding in the outcome, agree with it."""
    draw.choice(MADE)(folder, draw)
    outcome = folder / exported.OUTCOME
    with suppress(ValueError, TypeError, RecursionError):  # what is no encoding any more has no sum
        found = Encoding.model_validate_json((folder / exported.ENCODING).read_bytes())
        told = json.loads(outcome.read_bytes()) | {"encoding_sha256": found.digest}
        outcome.write_text(json.dumps(told))
    sums.write(folder, FILES)


def _odd(name: str, folder: Path, draw: random.Random) -> None:
    """An odd value in place of one of the file's."""
    file = folder / name
    content = yaml.safe_load(file.read_text())
    places = [(node, key) for node, key in _places(content) if key != "encoding_sha256"]
    if name == exported.OUTCOME:
        places = [(content, "lag"), (content, "success"), (content, "data")]
    node, key = draw.choice(places)
    before = node.get(key) if isinstance(node, dict) else node[key]
    node[key] = draw.choice([value for value in ODD if value != before])
    is_yaml = name == exported.CONFIG
    file.write_text(yaml.safe_dump(content) if is_yaml else json.dumps(content))


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    keys = node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in list(keys):
        yield node, key
        yield from _places(node[key])


def _huge(folder: Path, draw: random.Random) -> None:
    """A model that is far larger than the weights beside it."""
    file = folder / exported.CONFIG
    content = yaml.safe_load(file.read_text())
    model = content["configuration"]["model"]
    model |= {"hidden_size": draw.choice((4096, 16384)), "depth": draw.choice((1, 64, 256))}
    model["cell"] = {"kind": draw.choice(("lstm", "transformer", "ntm", "lmu", "hyena"))}
    file.write_text(yaml.safe_dump(content))


def _aliases(folder: Path, draw: random.Random) -> None:
    """A few lines that are billions of values once followed; or a list that holds itself."""
    lines = ["a0: &a0 [0, 0, 0, 0, 0, 0, 0, 0]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    if draw.random() < 0.3:
        lines = ["a: &a [*a]"]
    file = folder / exported.CONFIG
    file.write_text("\n".join([*lines, file.read_text()]))


def _deep(folder: Path, draw: random.Random) -> None:
    """Lists within lists, in one of the files."""
    file = folder / draw.choice((exported.CONFIG, exported.OUTCOME, exported.ENCODING))
    file.write_text("[" * draw.choice((500, 5000, 100_000)))


def _reshaped(folder: Path, draw: random.Random) -> None:
    """Weights of another shape, type or name."""
    file = folder / exported.WEIGHTS
    tensors = weights.read(file)
    name = draw.choice(list(tensors))
    tensor = tensors.pop(name)
    changed: dict[str, torch.Tensor] = draw.choice((
        {name: tensor.double()}, {name: tensor[None]}, {f"{name}x": tensor}, {},
        {name: tensor.reshape(-1)[:1]}, {name: tensor, "more": torch.zeros(2, 2)},
        {name: tensor.to(torch.int8)},
    ))  # fmt: skip
    weights.write(file, {**tensors, **changed})


def _header(folder: Path, draw: random.Random) -> None:
    """A head that promises more than the file holds."""
    file = folder / exported.WEIGHTS
    length = draw.choice((2**20, 2**40, 2**63))
    size = draw.choice((2**32, 2**50))
    head = json.dumps({"w": {"dtype": "F32", "shape": [size], "data_offsets": [0, 4 * size]}})
    length = draw.choice((length, len(head)))
    file.write_bytes(length.to_bytes(8, "little") + head.encode() + b"\0" * 64)


def _other_task(folder: Path, draw: random.Random) -> None:
    """Another task's encoding."""
    other = draw.choice(list(ROWS))
    shutil.copyfile(folder.with_name(other) / exported.ENCODING, folder / exported.ENCODING)


MADE: tuple[Change, ...] = (
    *(partial(_odd, name) for name in (exported.CONFIG, exported.OUTCOME, exported.ENCODING)),
    *(_huge, _aliases, _deep, _reshaped, _header, _other_task),
)


def _write(folder: Path, name: str) -> Path:
    """An export of an untrained model, as ``longspan export`` leaves it."""
    task: Any = {"kind": "recall", "alphabet": 2}
    if name != "recall":
        draw = random.Random(0)
        steps: Any = [[draw.gauss(500, 20) for _ in range(5)] for _ in range(60)]
        if name == "tokens":
            steps = [[draw.choice("abc") for _ in range(5)] for _ in range(60)]
        path = folder.with_suffix(".parquet")
        pq.write_table(pa.table({"x": steps, "y": ["no", "yes"] * 30}), path)
        task = {"kind": "parquet", "path": path, "sequence": "x", "target": "y"}
        task |= {"values": name, "filler": "resample"}
    made = make_task(TASKS[task["kind"]].Config.model_validate(task))
    config = TrialConfig.model_validate({"model": {"cell": {"kind": "lstm"}, "hidden_size": 8}})
    folder.mkdir()
    weights.write(folder / exported.WEIGHTS, build(config.model, made, seed=1).state_dict())
    content = {
        "configuration": config.model_dump(mode="json"),
        "task": made.config.portable.model_dump(mode="json"),
        "inputs": asdict(made.inputs),
        "answer": asdict(made.answer),
    }
    encoding = made.encoding
    claim = {"search": "s", "trial": 0, "lag": 4, "success": 0.9, "task": task["kind"]}
    claim["encoding_sha256"] = encoding.digest
    (folder / exported.CONFIG).write_text(yaml.safe_dump(content))
    (folder / exported.OUTCOME).write_text(json.dumps(claim))
    (folder / exported.ENCODING).write_text(encoding.model_dump_json())
    sums.write(folder, FILES)
    return folder
