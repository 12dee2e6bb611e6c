"""What follows a linear state space, which alone could only ever filter (Gu et al. 2022)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from trainables.models.kernels.compiled.maps import mapped


class GatedMix(nn.Module):
    """y = u * sigmoid(v) with (u, v) = W gelu(x) + b (Dauphin et al. 2017), step by step."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Linear(width, 2 * width)

    def forward(self, x: Float[Tensor, "*N D"]) -> Float[Tensor, "*N D"]:
        """Each step by itself."""
        return nn.functional.glu(self.mix(nn.functional.gelu(x)), dim=-1)

    def compiled(self, x: Float[Tensor, "T B D"]) -> Float[Tensor, "T B D"]:
        """The same, its map by our own kernel."""
        return nn.functional.glu(mapped(self.mix, nn.functional.gelu(x)), dim=-1)

    def flops_per_step(self) -> float:
        """Two square maps."""
        return 2.0 * self.mix.weight.numel()
