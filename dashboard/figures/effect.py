"""An effect as a picture: a dot with its 95 % interval, and where nothing would be."""

import plotly.graph_objects as go

from contracts.campaigns import Effect
from dashboard.pages.theme import Mode, figure_template, ink

HEIGHT = 96


def effect_figure(effect: Effect, scale: float, unit: str, mode: Mode) -> go.Figure:
    """The interval of one effect, times `scale`, on an axis in `unit`; grey where it does not leave 0 out."""
    color = ink("muted" if not effect.clear else "good" if effect.low > 0 else "bad", mode)
    value, low, high = (scale * one for one in (effect.value, effect.low, effect.high))
    drawn = go.Figure()
    drawn.add_vline(x=0, line={"color": ink("muted", mode), "width": 1.5, "dash": "dot"})
    drawn.add_scatter(
        x=[low, high],
        y=[0, 0],
        mode="lines",
        line={"color": color, "width": 5},
        hoverinfo="skip",
    )
    drawn.add_scatter(
        x=[value],
        y=[0],
        mode="markers",
        marker={"color": color, "size": 16, "line": {"color": ink("surface", mode), "width": 2}},
        hovertemplate=f"%{{x:+,.2f}} {unit}<br>95 %: {low:+,.2f} … {high:+,.2f}<extra></extra>",
    )
    reach = 0.12 * max(high, 0) - 0.12 * min(low, 0)
    drawn.update_layout(
        template=figure_template(mode),
        showlegend=False,
        yaxis={"visible": False, "range": [-1, 1], "fixedrange": True},
        xaxis={
            "title": {"text": unit},
            "zeroline": False,
            "range": [min(low, 0) - reach, max(high, 0) + reach],
            "fixedrange": True,
            "nticks": 6,
        },
    )
    return drawn
