"""A picture of plotly's as a PNG, drawn by matplotlib: plotly itself would need a browser.

It knows what `search.results.review.charts` draws: points and lines with limits, horizontal bars,
dots by choice, and levels across.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator, PercentFormatter

INCHES = (7.2, 4.2)
SYMBOLS = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "triangle-up": "^",
    "cross": "P",
    "x": "X",
    "star": "*",
}
OPEN = "-open"
SPREAD = 0.3
"""How far dots of one choice stand apart, of the distance between two choices."""


def png(figure: go.Figure, title: str) -> bytes:
    """The picture under its ``title``.

    Raises:
        ValueError: if it holds what `charts` does not draw.
    """
    sheet = Figure(figsize=INCHES, layout="constrained")
    FigureCanvasAgg(sheet)
    names = list(dict.fromkeys(trace.xaxis or "x" for trace in figure.data)) or ["x"]
    plots = sheet.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for name, axes in zip(names, plots, strict=True):
        for trace in figure.data:
            if (trace.xaxis or "x") == name:
                _draw(axes, trace)
        for level in figure.layout.shapes:
            axes.axhline(level.y0, color="0.4", linestyle=":", linewidth=1)
        _scale(axes, figure.layout[name.replace("x", "xaxis")], "x")
        axes.grid(alpha=0.25)
    _scale(plots[0], figure.layout.yaxis, "y")
    for said in figure.layout.annotations:
        place = (0.005, said.y)
        where = {"xycoords": ("axes fraction", "data"), "xytext": (0, -11)}
        plots[0].annotate(
            said.text, place, textcoords="offset points", color="0.4", fontsize=8, **where
        )
    sheet.suptitle(title, fontsize=10, x=0.01, ha="left")
    shown = dict(zip(*reversed(plots[0].get_legend_handles_labels()), strict=True))
    if shown and figure.layout.showlegend is not False:
        columns = 2 if max(map(len, shown)) < 40 else 1
        sheet.legend(
            shown.values(), shown.keys(), fontsize=7, loc="outside lower left", ncols=columns
        )
    buffer = io.BytesIO()
    sheet.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()


def _draw(axes: Axes, trace: Any) -> None:
    if trace.type == "scatter":
        _draw_points(axes, trace)
    elif trace.type == "bar" and trace.orientation == "h":
        limits = trace.error_x
        error = None if limits.array is None else (limits.arrayminus, limits.array)
        axes.barh(trace.y, trace.x, color=trace.marker.color, xerr=error, capsize=2)
    elif trace.type == "box" and trace.boxpoints == "all":
        _draw_dots(axes, trace)
    else:
        raise ValueError(f"{trace.type}: cannot be drawn without a browser")


def _draw_points(axes: Axes, trace: Any) -> None:
    colour = trace.line.color or trace.marker.color
    label = trace.name if trace.showlegend is not False else None
    drawn = "steps-post" if trace.line.shape == "hv" else "default"
    if "lines" in trace.mode:
        axes.plot(trace.x, trace.y, color=colour, linewidth=1.4, drawstyle=drawn, label=label)
        label = None
    if trace.error_y.array is not None:
        limits = (trace.error_y.arrayminus, trace.error_y.array)
        axes.errorbar(trace.x, trace.y, limits, fmt="none", ecolor=colour, capsize=2, linewidth=1)
    if "markers" not in trace.mode:
        return
    symbols = trace.marker.symbol or "circle"
    each = [symbols] * len(trace.x) if isinstance(symbols, str) else list(symbols)
    for symbol in dict.fromkeys(each):
        chosen = [place for place, found in enumerate(each) if found == symbol]
        axes.plot(
            [trace.x[place] for place in chosen],
            [trace.y[place] for place in chosen],
            SYMBOLS[symbol.removesuffix(OPEN)],
            color=colour,
            mfc="white" if symbol.endswith(OPEN) else colour,
            markersize=(trace.marker.size or 8) * 0.7,
            label=label,
        )
        label = None


def _draw_dots(axes: Axes, trace: Any) -> None:
    """Dots by choice, side by side where they are many."""
    choices = list(dict.fromkeys(trace.x))
    for place, choice in enumerate(choices):
        values = [y for x, y in zip(trace.x, trace.y, strict=True) if x == choice]
        apart = [_apart(number, len(values)) + place for number in range(len(values))]
        axes.plot(apart, values, "o", color=trace.marker.color, alpha=0.6, markersize=6)
    axes.set_xticks(range(len(choices)), choices)
    axes.set_xlim(-0.6, len(choices) - 0.4)


def _apart(number: int, count: int) -> float:
    return SPREAD * (2 * number / (count - 1) - 1) if count > 1 else 0.0


def _scale(axes: Axes, axis: Any, side: str) -> None:
    """Title, kind of scale, range and ticks of the x or y axis."""
    own = axes.xaxis if side == "x" else axes.yaxis
    own.set_label_text(axis.title.text or "")
    if axis.type == "log":
        (axes.set_xscale if side == "x" else axes.set_yscale)("log")
        own.set_minor_formatter(NullFormatter())
    elif axis.range is not None:
        (axes.set_xlim if side == "x" else axes.set_ylim)(*axis.range)
    if axis.tickvals is not None:
        words: Sequence[str] = axis.ticktext
        crowded = side == "x" and len(words) > 8
        own.set_ticks(list(axis.tickvals), list(words), rotation=45 if crowded else 0)
        own.set_minor_locator(NullLocator())
    if axis.tickformat == ".0%":
        own.set_major_formatter(PercentFormatter(1.0))
