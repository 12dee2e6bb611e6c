"""Pictures: forgetting curves and gradient horizons, of one configuration or several together."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, PercentFormatter

from trainables.measure.records import CurvePoint, HorizonPoint
from trainables.measure.reliability import lower_bound, upper_bound


def forgetting_curves(curves: Mapping[str, Sequence[CurvePoint]], success: float) -> bytes:
    """A PNG of success by lag, one line a label, with the 95 % limits of each point.

    A curve's points ascend in lag. Filled points were trained on; hollow ones lie beyond. The
    dotted line is the success asked for.
    """
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    lags = sorted({p.lag for points in curves.values() for p in points})
    for number, (label, points) in enumerate(curves.items()):
        _draw(axes, label, points, f"C{number}")
    axes.axhline(success, color="0.4", linestyle=":", linewidth=1)
    axes.annotate(
        f"asked for: {success:g}",
        (0.005, success),
        xycoords=("axes fraction", "data"),
        xytext=(0, -11),
        textcoords="offset points",
        color="0.4",
        fontsize=8,
    )
    axes.set_xscale("log", base=2)
    axes.set_xticks(lags, [str(lag) for lag in lags], rotation=45 if len(lags) > 8 else 0)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set(xlabel="lag (steps)", ylabel="success rate on held-out sequences", ylim=(-0.02, 1.04))
    axes.set_title("Forgetting curve (filled: learned, hollow: beyond)", fontsize=10, loc="left")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 0.08))
    return _png(figure)


def gradient_horizons(horizons: Mapping[str, Sequence[HorizonPoint]]) -> bytes:
    """A PNG of the gradient's norm by steps back, two lines a label: first and final weights.

    Each point stands for the steps up to the next.
    """
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for number, (label, points) in enumerate(horizons.items()):
        for moment, style in (("start", ":"), ("end", "-")):
            chosen = [p for p in points if p.moment == moment and p.norm > 0]
            if chosen:
                axes.plot(
                    [p.back for p in chosen],
                    [p.norm for p in chosen],
                    style,
                    color=f"C{number}",
                    marker="o",
                    markersize=3,
                    label=f"{label} ({'first' if moment == 'start' else 'final'} weights)",
                )
    axes.set_xscale("symlog", base=2, linthresh=1)
    axes.set_yscale("log")
    axes.set(xlabel="steps back from the scored answer", ylabel="norm of the answer's gradient")
    axes.set_title("Gradient horizon", fontsize=10, loc="left")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, loc="best")
    return _png(figure)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
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
