"""Pictures: forgetting curves and gradient horizons, of one configuration or several together."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, NullLocator, PercentFormatter

from trainables.measure.records import CurvePoint, HorizonPoint, MemberRung
from trainables.measure.reliability import lower_bound, upper_bound

WIDTH = 6.4
"""Of a picture, in inches: as wide as MLflow's description is in a window of 1500 pixels."""


def forgetting_curves(
    curves: Mapping[str, Sequence[CurvePoint]],
    success: float,
    chance: float | None = None,
    members: Sequence[MemberRung] = (),
) -> bytes:
    """A PNG of success by lag, one line a label, with the 95 % limits of each point.

    A curve's points ascend in lag. Filled points were trained on; hollow ones lie beyond. Dotted
    lines are the success asked for and, where it is known, that of chance. The thin lines are what
    each of the ``members`` showed on the rungs that it tried, with the weights that it had there.
    """
    tried = [row for row in members if row.looks]
    legend = 0.2 + 0.2 * (len(curves) + bool(tried))
    figure, axes = _sheet(height=4.0 + legend, below=0.55 + legend)
    lags = {p.lag for points in curves.values() for p in points} | {row.lag for row in tried}
    for place, member in enumerate(sorted({row.member for row in tried})):
        own = sorted((row.lag, row.success_rate) for row in tried if row.member == member)
        label = None if place else "each member, as it tried the rung"
        axes.plot(*zip(*own, strict=True), color="0.7", linewidth=1, marker=".", label=label)
    for number, (label, points) in enumerate(curves.items()):
        _draw(axes, label, points, f"C{number}")
    _level(axes, success, f"asked for: {success:g}")
    if chance is not None:
        _level(axes, chance, f"chance: {chance:.3g}")
    axes.set_xscale("log", base=2)
    ticks = sorted(lags)
    _ticks(axes, ticks)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set(xlabel="lag (steps)", ylabel="success rate on held-out sequences", ylim=(-0.02, 1.04))
    axes.set_title("Forgetting curve (filled: learned, hollow: beyond)", fontsize=10, loc="left")
    axes.grid(alpha=0.25)
    figure.legend(fontsize=8, loc="lower left")  # not over the lines
    return _png(figure)


def _level(axes: Any, success: float, said: str) -> None:
    """A dotted line, named at its end: at its start, the shortest lag, all curves are near it."""
    axes.axhline(success, color="0.4", linestyle=":", linewidth=1)
    axes.annotate(
        said,
        (0.995, success),
        xycoords=("axes fraction", "data"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        color="0.4",
        fontsize=8,
    )


def gradient_horizons(horizons: Mapping[str, Sequence[HorizonPoint]]) -> bytes:
    """A PNG of the gradient's norm by steps back, two lines a label: first and final weights.

    Each point stands for the steps up to the next.
    """
    legend = 0.2 + 0.2 * len(horizons)
    figure, axes = _sheet(height=4.0 + legend, below=0.55 + legend)
    for number, (label, points) in enumerate(horizons.items()):
        named: str | None = label
        for moment, style in (("end", "-"), ("start", ":")):
            chosen = [p for p in points if p.moment == moment and p.norm > 0]
            if chosen:
                axes.plot(
                    [p.back for p in chosen],
                    [p.norm for p in chosen],
                    style,
                    color=f"C{number}",
                    marker="o",
                    markersize=3,
                    label=named,
                )
                named = None
    axes.set_xscale("symlog", base=2, linthresh=1)
    axes.set_yscale("log")
    _ticks(axes, sorted({p.back for points in horizons.values() for p in points}))
    axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set(xlabel="steps back from the scored answer", ylabel="norm of the answer's gradient")
    axes.set_title("Gradient horizon (dotted: first weights)", fontsize=10, loc="left")
    axes.grid(alpha=0.25)
    figure.legend(fontsize=8, loc="lower left")  # not over the lines
    return _png(figure)


def _sheet(height: float, below: float) -> tuple[Figure, Axes]:
    """A picture of that height and its axes, with room ``below`` them, all in inches.

    Every trial has its pictures, and where margins are measured each is drawn twice.
    """
    figure = Figure(figsize=(WIDTH, height))
    FigureCanvasAgg(figure)
    figure.subplots_adjust(
        left=0.9 / WIDTH, right=1 - 0.1 / WIDTH, bottom=below / height, top=1 - 0.35 / height
    )
    return figure, figure.add_subplot()


def _ticks(axes: Axes, at: Sequence[int]) -> None:
    """Ticks below, in plain figures: an exponent is set by a parser, which takes as long again."""
    axes.set_xticks(at, [str(each) for each in at], rotation=45 if len(at) > 8 else 0)
    axes.xaxis.set_minor_locator(NullLocator())


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, pil_kwargs={"compress_level": 1})
    return buffer.getvalue()


def _draw(axes: Any, label: str, points: Sequence[CurvePoint], color: str) -> None:
    lags = [p.lag for p in points]
    rates = [p.successes / p.sequences for p in points]
    low = [r - lower_bound(p.successes, p.sequences) for r, p in zip(rates, points, strict=True)]
    high = [upper_bound(p.successes, p.sequences) - r for r, p in zip(rates, points, strict=True)]
    axes.errorbar(lags, rates, yerr=(low, high), color=color, linewidth=1.4, capsize=2, label=label)
    for learned in (True, False):
        chosen = [(p.lag, r) for p, r in zip(points, rates, strict=True) if p.learned is learned]
        if chosen:
            axes.plot(
                *zip(*chosen, strict=True), "o", color=color, mfc=color if learned else "white"
            )
