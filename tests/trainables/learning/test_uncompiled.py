"""Optimisers without torch's compiler: the same numbers, and none of its modules."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trainables.learning.uncompiled import uncompiled

KINDS: dict[type[torch.optim.Optimizer], dict[str, Any]] = {
    torch.optim.Adam: {"fused": True},
    torch.optim.AdamW: {"weight_decay": 0.1, "fused": True},
    torch.optim.RMSprop: {"momentum": 0.9},
    torch.optim.Muon: {"adjust_lr_fn": "match_rms_adamw"},
}


def moved(kind: Any, options: dict[str, Any]) -> tuple[Tensor, dict[str, Any]]:
    """Weights after six steps, cut off and restored after three; and the optimiser's state."""
    generator = torch.Generator().manual_seed(0)
    net = nn.Linear(4, 3, bias=False)
    nn.init.ones_(net.weight)
    optimiser = kind(net.parameters(), lr=0.01, **options)
    for step in range(6):
        if step == 3:
            state = optimiser.state_dict()
            optimiser = kind(net.parameters(), lr=1.0, **options)
            optimiser.load_state_dict(state)
        optimiser.zero_grad()
        net(torch.randn(2, 4, generator=generator)).square().sum().backward()
        optimiser.step()
    return net.weight.detach(), optimiser.state_dict()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_it_moves_weights_as_torchs_own_to_the_bit(kind: type[torch.optim.Optimizer]) -> None:
    own, own_state = moved(kind, KINDS[kind])
    ours, our_state = moved(uncompiled(kind), KINDS[kind])
    assert torch.equal(own, ours)
    assert own_state["param_groups"] == our_state["param_groups"]
    assert str(own_state["state"]) == str(our_state["state"])


TRAINS = """
import sys, torch
from torch import nn
from trainables.learning.optimisers import OPTIMISERS
for part in OPTIMISERS.values():
    net = nn.Linear(4, 3)
    for optimiser in part(part.Config()).make(net, 0.01):
        optimiser.zero_grad()
        net(torch.ones(2, 4)).sum().backward()
        optimiser.step()
        optimiser.load_state_dict(optimiser.state_dict())
print("torch._dynamo" in sys.modules)
"""


def test_no_step_imports_torchs_compiler() -> None:
    """It took each worker of a search seconds, in its first trial."""
    told = subprocess.run(
        [sys.executable, "-c", TRAINS], capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["False"]
