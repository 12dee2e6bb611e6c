"""The papers' equations in NumPy, one row, head and slot at a time: what the layers must equal.

Graves, Wayne, Danihelka 2014 (NTM) and Graves et al. 2016 (DNC, Methods). Vectors and matrices
here are of one sequence; weights are the layer's own, by name.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Weights = dict[str, Array]

SMALL = 1e-6


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softplus(x: Array) -> Array:
    return np.log(1 + np.exp(x))


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max())
    return e / e.sum()


def cosine(u: Array, v: Array) -> float:
    return float(sum(u * v) / np.sqrt((sum(u * u) + SMALL) * (sum(v * v) + SMALL)))


def content(key: Array, strength: Array | float, memory: Array) -> Array:
    """NTM eq. 5 and 6; DNC's C(M, k, beta)."""
    return softmax(np.array([strength * cosine(key, slot) for slot in memory]))


def interpolated(here: Array, before: Array, gate: Array | float) -> Array:
    """NTM eq. 7."""
    return np.array([gate * here[i] + (1 - gate) * before[i] for i in range(len(here))])


def shifted(w: Array, shares: Array) -> Array:
    """NTM eq. 8: sum over j of w(j) s(i - j), indices modulo N; ``shares`` are of -m .. m."""
    N, m = len(w), len(shares) // 2
    out = np.zeros(N)
    for i in range(N):
        for k in range(-m, m + 1):
            out[i] += w[(i - k) % N] * shares[k + m]
    return out


def sharpened(w: Array, exponent: Array | float) -> Array:
    """NTM eq. 9."""
    return w**exponent / sum(w**exponent)


def written(memory: Array, weights: Array, erase: Array, add: Array) -> Array:
    """NTM eq. 3 and 4 for several heads: all erase, then all add."""
    out = memory.copy()
    for i in range(memory.shape[0]):
        for j in range(memory.shape[1]):
            for h in range(len(weights)):
                out[i, j] *= 1 - weights[h, i] * erase[h, j]
            for h in range(len(weights)):
                out[i, j] += weights[h, i] * add[h, j]
    return out


def read(memory: Array, weights: Array) -> Array:
    """r_h = sum_i w_h(i) M(i)."""
    return np.array([sum(w[i] * memory[i] for i in range(len(w))) for w in weights])


def controller(kind: str, p: Weights, x: Array, r: Array, h: Array, c: Array) -> list[Array]:
    """The answer, and the next hidden state and cell."""
    a = p["controller.project.weight"] @ x + p["controller.project.bias"]
    recur = p["controller.recur.weight"]
    if kind == "feed_forward":
        return [np.tanh(a + recur @ r), h, c]
    if kind == "rnn":
        h = np.tanh(a + recur @ np.concatenate([r, h]))
        return [h, h, c]
    if kind == "lstm":
        i, f, o, g = np.split(a + recur @ np.concatenate([r, h]), 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        return [h, h, c]
    x_r, x_z, x_n = np.split(a + p["controller.observe.weight"] @ r, 3)
    h_r, h_z, h_n = np.split(recur @ h + p["controller.recur.bias"], 3)
    z = sigmoid(x_z + h_z)
    h = (1 - z) * np.tanh(x_n + sigmoid(x_r + h_r) * h_n) + z * h
    return [h, h, c]


class Cursor:
    """Takes the next numbers of an interface vector."""

    def __init__(self, vector: Array) -> None:
        self.vector, self.at = vector, 0

    def take(self, *shape: int) -> Array:
        size = int(np.prod(shape))
        self.at += size
        return self.vector[self.at - size : self.at].reshape(shape)


def ntm_step(config: Any, p: Weights, x: Array, state: list[Array]) -> tuple[Array, list[Array]]:
    """All heads address M_{t-1}; the write heads change it; the read heads read M_t."""
    memory, weights, reads, h, c = state
    R, H = config.num_read_heads, config.num_read_heads + config.num_write_heads
    W, S = config.slot_width, 2 * config.max_shift + 1
    output, h, c = controller(config.controller.kind, p, x, reads, h, c)
    told = Cursor(p["interface.weight"] @ output + p["interface.bias"])
    keys, strengths, exponents = told.take(H, W), told.take(H), told.take(H)
    gates, erase, shifts = told.take(H), told.take(H - R, W), told.take(H, S)
    add = told.take(H - R, W)
    focus = np.zeros_like(weights)
    for n in range(H):
        here = content(keys[n], softplus(strengths[n]), memory)
        gated = interpolated(here, weights[n], sigmoid(gates[n]))
        moved = shifted(gated, softmax(shifts[n]))
        focus[n] = sharpened(moved, 1 + softplus(exponents[n]))
    memory = written(memory, focus[R:], sigmoid(erase), add)
    reads = read(memory, focus[:R]).reshape(-1)
    return output, [memory, focus, reads, h, c]


def freed(free_gates: Array, read_weights: Array) -> Array:
    """psi: how much of each slot is not freed by any read head."""
    kept = np.ones(read_weights.shape[1])
    for r in range(len(free_gates)):
        kept *= 1 - free_gates[r] * read_weights[r]
    return kept


def allocated(usage: Array) -> Array:
    """The free list: slots in ascending order of usage."""
    a, product = np.zeros(len(usage)), 1.0
    for slot in np.argsort(usage, kind="stable"):
        a[slot] = (1 - usage[slot]) * product
        product *= usage[slot]
    return a


def linked(links: Array, w: Array, precedence: Array) -> Array:
    """The temporal link matrix after a write."""
    out = np.zeros_like(links)
    for i in range(len(w)):
        for j in range(len(w)):
            if i != j:
                out[i, j] = (1 - w[i] - w[j]) * links[i, j] + w[i] * precedence[j]
    return out


def followed(w: Array, exponent: float) -> Array:
    """S(d, s) of Csordas & Schmidhuber 2019; nothing stays nothing."""
    return w**exponent / sum(w**exponent) if w.any() else w


def dnc_step(config: Any, p: Weights, x: Array, state: list[Array]) -> tuple[Array, list[Array]]:
    """The whole step, in the order of the paper's Methods."""
    memory, usage, w_write, w_read, precedence, links, reads, h, c = state
    R, W = config.num_read_heads, config.slot_width
    output, h, c = controller(config.controller.kind, p, x, reads, h, c)
    told = Cursor(p["interface.weight"] @ output + p["interface.bias"])
    keys, strengths = told.take(R + 1, W), 1 + softplus(told.take(R + 1))
    erase, free = sigmoid(told.take(1, W)), sigmoid(told.take(R))
    g_a, g_w = sigmoid(told.take(2))
    add = told.take(1, W)
    modes = told.take(R, 3) if config.links else np.zeros((R, 0))
    masks = sigmoid(told.take(R + 1, W)) if config.masked else np.ones((R + 1, W))
    exponents = np.ones((2, R))
    if config.sharpened and config.links:
        exponents = 1 + softplus(told.take(2, R))

    usage = (usage + w_write - usage * w_write) * freed(free, w_read)
    here = content(keys[R] * masks[R], strengths[R], memory * masks[R])
    w_write = g_w * (g_a * allocated(usage) + (1 - g_a) * here)
    if config.erases_freed:
        memory = memory * freed(free, w_read)[:, None]
    memory = written(memory, w_write[None], erase, add)
    found = np.array(
        [content(keys[r] * masks[r], strengths[r], memory * masks[r]) for r in range(R)]
    )
    if config.links:
        links = linked(links, w_write, precedence)
        precedence = (1 - sum(w_write)) * precedence + w_write
        focus = np.zeros_like(w_read)
        for r in range(R):
            back, here, ahead = softmax(modes[r])
            forward, backward = links @ w_read[r], links.T @ w_read[r]
            if config.sharpened:
                backward = followed(backward, exponents[0, r])
                forward = followed(forward, exponents[1, r])
            focus[r] = back * backward + here * found[r] + ahead * forward
        found = focus
    assert told.at == len(told.vector)
    reads = read(memory, found).reshape(-1)
    return output, [memory, usage, w_write, found, precedence, links, reads, h, c]


def answer(p: Weights, output: Array, reads: Array) -> Array:
    """The layer's: V [h; r] + c."""
    return p["answer.weight"] @ np.concatenate([output, reads]) + p["answer.bias"]
