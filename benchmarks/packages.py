"""What a training step takes by our layers and by public packages of the same sizes.

    python -m benchmarks.packages [--repetitions 7]

One layer alone, width 64, 8 sequences, forward and backward, one thread; both take turns, and a
ratio is that of the medians of their times on the processor. The packages are those that the tests
hold our layers to (dnc, mambapy, minGRU-pytorch), and `nn.GRU`. As in `benchmarks.cost`, the
allocator should hold on to large pieces as it does in a search's workers:

    export MALLOC_MMAP_THRESHOLD_=8589934592 MALLOC_TRIM_THRESHOLD_=17179869184
"""

from __future__ import annotations

import argparse
import os
from typing import Any

import torch
from dnc import DNC
from mambapy.mamba import MambaBlock, MambaConfig
from minGRU_pytorch import minGRU
from torch import Tensor, nn

from benchmarks.cost import BATCH, LENGTHS, WIDTH, Step, by, medians
from trainables.models.cells import LAYERS
from trainables.models.kernels import describe
from trainables.models.kernels.door import SWITCH
from trainables.models.layer import Layer, Surroundings

SLOTS, SLOT_WIDTH, READS = 32, 16, 2


def ours(kind: str, **chosen: Any) -> Layer:
    """The layer of ours that is the same as the package's."""
    cell = LAYERS[kind]
    return cell(cell.Config.model_validate({"kind": kind, **chosen}), Surroundings(width=WIDTH))


def theirs_and_ours(name: str) -> tuple[Step, Layer]:
    """A package's step and the layer that does the same."""
    if name == "dnc":
        sizes = {"num_slots": SLOTS, "slot_width": SLOT_WIDTH, "num_read_heads": READS}
        net = DNC(WIDTH, WIDTH, num_hidden_layers=1, nr_cells=SLOTS, cell_size=SLOT_WIDTH,
                  read_heads=READS)  # fmt: skip
        return lambda x: net(x, (None, None, None), reset_experience=True)[0], ours("dnc", **sizes)
    if name == "mambapy":
        layer = ours("mamba")
        rank, states = layer.rate.weight.shape[1], layer.log_decay.shape[0]
        taps = len(layer.convolution.taps)
        block = MambaBlock(MambaConfig(WIDTH, 1, rank, states, 2, taps))
        return block, layer
    if name == "minGRU-pytorch":
        return minGRU(WIDTH), ours("min_gru")
    gru = nn.GRU(WIDTH, WIDTH, batch_first=True)
    return lambda x: gru(x)[0], ours("gru")


PACKAGES = ("dnc", "mambapy", "minGRU-pytorch", "nn.GRU")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=7)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    os.environ[SWITCH] = "on"
    print(f"{describe()}; width {WIDTH}, batch {BATCH}, one thread")
    print("times as long as ours | " + " | ".join(f"{length} steps" for length in LENGTHS))
    for name in PACKAGES:
        torch.manual_seed(0)
        step, layer = theirs_and_ours(name)
        cells = []
        for length in LENGTHS:
            x: Tensor = torch.randn(BATCH, length, WIDTH, requires_grad=True)
            package, here = medians([step, by("on", layer)], x, asked.repetitions)
            cells.append(f"{package / here:.1f} ({1e3 * package:.0f} / {1e3 * here:.1f} ms)")
        print(f"{name} | {' | '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
