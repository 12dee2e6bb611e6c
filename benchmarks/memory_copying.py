"""Does an external memory copy longer than it was trained? One core, some minutes.

The copy task of Graves, Wayne, Danihelka 2014 (section 4.1): a start mark, L random vectors of
eight bits, an end mark, then L silent steps at which the vectors are due. Training draws L from 1
to ``--longest``; the table goes on to four times that, which was never trained. A sequence is right
if each of its bits is.

    python -m benchmarks.memory_copying
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from trainables.models.cells import LAYERS
from trainables.models.layer import Surroundings

BITS = 8
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "lstm": {"kind": "lstm"},
    "ntm": {"kind": "ntm", "num_slots": 48, "slot_width": 16},
    "ntm, feed-forward": {
        "kind": "ntm",
        "controller": "feed_forward",
        "num_slots": 48,
        "slot_width": 16,
    },
    "dnc": {"kind": "dnc", "num_slots": 48, "slot_width": 16},
    "sam": {"kind": "sam", "num_slots": 48, "slot_width": 16, "num_read_heads": 2},
}


@dataclass(frozen=True)
class Plan:
    """How each member is trained, and how it is tested."""

    longest: int
    steps: int
    batch_size: int = 32
    hidden_size: int = 64
    learning_rate: float = 3e-3
    clip_norm: float = 1.0
    test_sequences: int = 64

    @property
    def test_lengths(self) -> list[int]:
        """As long as trained, and two, three and four times that."""
        return [self.longest * factor for factor in (1, 2, 3, 4)]


def draw(length: int, batch_size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Inputs (B, 2 L + 2, 10) and the bits due at the last L steps (B, L, 8)."""
    bits = torch.randint(2, (batch_size, length, BITS), generator=generator).float()
    inputs = torch.zeros(batch_size, 2 * length + 2, BITS + 2)
    inputs[:, 0, BITS] = 1
    inputs[:, 1 : length + 1, :BITS] = bits
    inputs[:, length + 1, BITS + 1] = 1
    return inputs, bits


def network(architecture: dict[str, Any], hidden_size: int, seed: int) -> nn.Sequential:
    """Linear, the layer, linear; first weights by seed."""
    layer = LAYERS[architecture["kind"]]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(BITS + 2, hidden_size),
            layer(layer.Config.model_validate(architecture), Surroundings(width=hidden_size)),
            nn.Linear(hidden_size, BITS),
        )


def train(net: nn.Module, plan: Plan, generator: torch.Generator) -> float:
    """Adam on the cross entropy, its rate falling to zero; the mean of the last hundred losses.

    Losses are in bits for each bit: 1 is a guess.
    """
    optimizer = torch.optim.Adam(net.parameters(), plan.learning_rate, fused=True)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, plan.steps)
    losses = []
    for _ in range(plan.steps):
        length = int(torch.randint(1, plan.longest + 1, (), generator=generator))
        inputs, bits = draw(length, plan.batch_size, generator)
        loss = nn.functional.binary_cross_entropy_with_logits(net(inputs)[:, -length:], bits)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), plan.clip_norm)
        optimizer.step()
        decay.step()
        losses.append(loss.item())
    return sum(losses[-100:]) / len(losses[-100:]) / math.log(2)


@torch.no_grad()
def success_rate(net: nn.Module, length: int, sequences: int, generator: torch.Generator) -> float:
    """The fraction of fresh sequences of which every bit is right."""
    inputs, bits = draw(length, sequences, generator)
    right = (net(inputs)[:, -length:] > 0) == bits.bool()
    return float(right.flatten(1).all(1).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--longest", type=int, default=10, help="longest length trained")
    parser.add_argument("--steps", type=int, default=1500, help="batches of training a member")
    parser.add_argument("--members", type=int, default=3, help="independent trainings")
    parser.add_argument("--only", choices=ARCHITECTURES, help="one architecture alone")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    plan = Plan(longest=arguments.longest, steps=arguments.steps)
    lengths = "".join(f"{length:>7}" for length in plan.test_lengths)
    print(f"whole sequences right at length, trained on 1 to {plan.longest}")
    print(f"{'':<18}{'member':>7}{'loss':>8}{lengths}{'cpu s':>9}")
    for name, architecture in ARCHITECTURES.items():
        if arguments.only in (None, name):
            for member in range(arguments.members):
                report(name, architecture, member, plan)


def report(name: str, architecture: dict[str, Any], member: int, plan: Plan) -> None:
    """Train one member and print its row."""
    started = time.process_time()
    net = network(architecture, plan.hidden_size, seed=member)
    loss = train(net, plan, torch.Generator().manual_seed(1000 + member))
    fresh = torch.Generator().manual_seed(2000 + member)
    rates = [success_rate(net, length, plan.test_sequences, fresh) for length in plan.test_lengths]
    cells = "".join(f"{rate:>7.2f}" for rate in rates)
    seconds = time.process_time() - started
    print(f"{name:<18}{member:>7}{loss:>8.4f}{cells}{seconds:>9.0f}", flush=True)


if __name__ == "__main__":
    main()
