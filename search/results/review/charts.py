"""Interactive pictures of a search, by plotly: to hover over, to zoom, to print."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from search.disk.record import ENDS
from search.results.review.importance import GROUPS, Importance
from trainables.measure.reliability import lower_bound, upper_bound

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5B5B5B")
"""Okabe & Ito 2008: told apart by the colour-blind; marks differ as well."""
MARKS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")


def forgetting_curves(
    curves: pd.DataFrame,
    names: Mapping[int, str],
    success: float,
    chance: Mapping[int, float] = {},
) -> go.Figure:
    """Success by lag, a line a trial and task in ``names``, with 95 % limits; hollow: untrained.

    Grey lines are the ``success`` asked for and, by lag, that of ``chance``.
    """
    figure = _figure("lag (steps)", "success on held-out sequences")
    chosen = curves[curves["trial"].isin(names)]
    several = chosen["task"].nunique() > 1
    for place, ((trial, task), points) in enumerate(chosen.groupby(["trial", "task"], sort=False)):
        rates = points["successes"] / points["sequences"]
        pairs = list(zip(points["successes"], points["sequences"], strict=True))
        mark = MARKS[place % len(MARKS)]
        figure.add_scatter(
            x=points["lag"],
            y=rates,
            name=names[int(trial)] + (f" · {task}" if several else ""),
            mode="lines+markers",
            line={"color": COLOURS[place % len(COLOURS)]},
            marker={
                "size": 8,
                "symbol": [mark if learned else f"{mark}-open" for learned in points["learned"]],
            },
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [upper_bound(*p) - r for p, r in zip(pairs, rates, strict=True)],
                "arrayminus": [r - lower_bound(*p) for p, r in zip(pairs, rates, strict=True)],
                "thickness": 1,
            },
        )
    if chance:
        figure.add_scatter(
            x=list(chance),
            y=list(chance.values()),
            name="chance",
            mode="lines",
            line={"color": "#808080", "dash": "dash", "width": 1},
        )
    rows = 1 + len(figure.data) // 2  # of the legend, below the axis
    figure.update_layout(height=400 + 18 * rows)
    return _success_by_lag(figure, chosen["lag"], success)


def reach_over_time(trials: pd.DataFrame) -> go.Figure:
    """Each trial's reach by its number, and the best so far."""
    figure = _figure("trial", "reach (steps)")
    ordered = trials.sort_values("trial")
    for place, (end, of_it) in enumerate(ordered.groupby("ended_by", sort=False)):
        figure.add_scatter(
            x=of_it["trial"],
            y=_shown(of_it["reach"]),
            mode="markers",
            name=ENDS.get(end, end),
            text=of_it["architecture"],
            marker={
                "size": 9,
                "color": COLOURS[place % len(COLOURS)],
                "symbol": MARKS[place % len(MARKS)],
            },
        )
    figure.add_scatter(
        x=ordered["trial"],
        y=_shown(ordered["reach"].cummax()),
        mode="lines",
        name="best so far",
        line={"shape": "hv", "color": COLOURS[-1]},
    )
    return _by_reach(figure, trials["reach"])


def importance(found: Sequence[Importance]) -> go.Figure:
    """The part of the spread of progress that each choice explains, with intervals."""
    figure = _figure("part explained", "")
    shown = list(reversed(found))
    figure.add_bar(
        orientation="h",
        y=[one.parameter for one in shown],
        x=[one.explained for one in shown],
        marker={"color": COLOURS[0]},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [max(0.0, one.high - one.explained) for one in shown],
            "arrayminus": [max(0.0, one.explained - one.low) for one in shown],
            "color": "#808080",
        },
        text=[f"{one.trials} trials" for one in shown],
        textposition="none",
        hovertemplate="%{y}: %{x:.2f} (%{text})<extra></extra>",
    )
    figure.update_yaxes(automargin=True)
    return figure.update_xaxes(range=[0, 1]).update_layout(height=140 + 34 * len(shown))


def reach_by_choice(trials: pd.DataFrame, name: str) -> go.Figure:
    """Every trial's reach by what it chose for one parameter."""
    figure = _figure(name, "reach (steps)")
    chosen = trials[trials[name].notna()]
    values, reach = chosen[name], _shown(chosen["reach"])
    dots = {"size": 8, "color": COLOURS[0], "opacity": 0.6}
    if pd.api.types.is_numeric_dtype(values) and values.nunique() > GROUPS:
        figure.add_scatter(
            x=values, y=reach, mode="markers", text=chosen["architecture"], marker=dots
        )
        if values.min() > 0 and values.max() > 20 * values.min():
            figure.update_xaxes(type="log")
    else:
        words = [_word(value) for value in sorted(values.unique(), key=_in_order)]
        figure.update_xaxes(categoryorder="array", categoryarray=words)
        figure.add_box(
            x=[_word(value) for value in values],
            y=reach,
            text=chosen["architecture"],
            boxpoints="all",
            jitter=0.6,
            pointpos=0,
            marker=dots,
            line={"width": 0},
            fillcolor="rgba(0,0,0,0)",
            hoveron="points",
        )
        figure.update_xaxes(type="category")
    return _by_reach(figure, trials["reach"]).update_layout(showlegend=False)


def _in_order(value: object) -> tuple[bool, float, str]:
    """Numbers by size, words as in a dictionary behind them."""
    if isinstance(value, Real):
        return False, float(value), ""
    return True, 0.0, str(value)


def _word(value: object) -> str:
    return f"{float(value):g}" if isinstance(value, Real) else str(value)


PRICES = {
    "parameters": "parameters",
    "state_bytes": "state (bytes a sequence)",
    "training_gflop": "training (GFLOP)",
}


def pareto(trials: pd.DataFrame) -> go.Figure:
    """Reach against what it costs; the line joins those that nothing beats in both."""
    figure = make_subplots(rows=len(PRICES), cols=1, vertical_spacing=0.12)
    for row, (price, words) in enumerate(PRICES.items(), 1):  # below each other: on a phone too
        known = trials[trials[price].notna() & (trials["reach"] > 0)]
        best = front(known, price)
        figure.add_scatter(
            row=row,
            col=1,
            x=known[price],
            y=known["reach"],
            mode="markers",
            text=known["architecture"],
            name="trial",
            showlegend=row == 1,
            marker={"size": 8, "color": COLOURS[5]},
        )
        figure.add_scatter(
            row=row,
            col=1,
            x=best[price],
            y=best["reach"],
            mode="lines+markers",
            text=best["architecture"],
            name="unbeaten",
            showlegend=row == 1,
            line={"shape": "hv", "color": COLOURS[1]},
            marker={"size": 9, "symbol": "diamond"},
        )
        figure.update_xaxes(type="log", nticks=6, title_text=words, row=row, col=1)
    figure.update_yaxes(title_text="reach (steps)")
    figure = _by_reach(_plain(figure), trials["reach"])
    return figure.update_layout(height=260 * len(PRICES))


def front(trials: pd.DataFrame, price: str) -> pd.DataFrame:
    """The trials that no other beats: none reaches as far for less, or farther for as much."""
    by_price = trials.sort_values([price, "reach"], ascending=[True, False])
    before = by_price["reach"].cummax().shift(fill_value=-1)
    return by_price[by_price["reach"] > before]


def members_by_rung(members: pd.DataFrame, success: float) -> go.Figure:
    """One trial's members: what each showed on every rung, filled where it solved it."""
    figure = _figure("lag (steps)", "success on held-out sequences")
    for place, ((task, member), rows) in enumerate(members.groupby(["task", "member"])):
        mark = MARKS[place % len(MARKS)]
        several = members["task"].nunique() > 1
        figure.add_scatter(
            x=rows["lag"],
            y=rows["success_rate"],
            mode="lines+markers",
            name=f"member {member}" + (f" · {task}" if several else ""),
            text=[_attempt(row) for row in rows.to_dict("records")],
            line={"color": COLOURS[place % len(COLOURS)]},
            marker={
                "size": 9,
                "symbol": [mark if end == "solved" else f"{mark}-open" for end in rows["ended_by"]],
            },
        )
    return _success_by_lag(figure, members["lag"], success)


def _attempt(row: Mapping[Hashable, Any]) -> str:
    """How a member's attempt ended, of how many sequences, and whether it trained there."""
    untrained = "" if row["sequences"] else ", without training"
    end = "not solved" if row["ended_by"] == "untrained" else row["ended_by"]
    return f"{end}{untrained}, {row['test_sequences']} shown"


def ends(trials: pd.DataFrame) -> go.Figure:
    """How many trials ended for which reason."""
    figure = _figure("trials", "")
    counts = trials["ended_by"].value_counts()[::-1]
    words = [ENDS.get(end, end) for end in counts.index]
    figure.add_bar(orientation="h", y=words, x=counts.to_numpy(), marker={"color": COLOURS[0]})
    figure.update_yaxes(automargin=True)
    return figure.update_layout(height=140 + 34 * len(counts))


def _figure(x: str, y: str) -> go.Figure:
    return _plain(go.Figure()).update_layout(xaxis_title=x, yaxis_title=y)


def _plain(figure: go.Figure) -> go.Figure:
    """On the page's own ground, in print as on a dark screen."""
    grid = {"gridcolor": "rgba(128,128,128,0.25)", "zeroline": False, "linecolor": "#808080"}
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 13, "color": "#767676"},
        margin={"l": 70, "r": 20, "t": 20, "b": 60},
        height=400,
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"},
        hovermode="closest",
    )
    figure.update_xaxes(automargin=True)  # so that the legend, at the bottom, lies below titles
    return figure.update_xaxes(**grid).update_yaxes(**grid)


def _success_by_lag(figure: go.Figure, lags: pd.Series, success: float) -> go.Figure:
    """Lags along, shares up, and a line at the share that was asked for."""
    figure.add_hline(
        success,
        line_dash="dot",
        line_color="#808080",
        annotation_text=f"asked for: {success:g}",
        annotation_position="bottom left",
    )
    ticks = sorted({int(lag) for lag in lags})
    figure.update_xaxes(type="log", tickvals=ticks, ticktext=[str(lag) for lag in ticks])
    return figure.update_yaxes(tickformat=".0%", range=[-0.02, 1.05])


def _shown(reach: pd.Series) -> pd.Series:
    """A reach of 0, which no logarithm shows, stands at 1."""
    return reach.clip(lower=1)


def _by_reach(figure: go.Figure, reach: pd.Series) -> go.Figure:
    top = int(np.log2(max(2, int(reach.max() if len(reach) else 2))))
    ticks = [2**power for power in range(top + 1)]
    words = ["none", *(str(tick) for tick in ticks[1:])]
    return figure.update_yaxes(type="log", tickvals=ticks, ticktext=words)
