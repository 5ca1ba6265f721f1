"""One visual language: colours that tell apart for everybody, in light and dark, and how figures are drawn."""

from typing import Any, Final, Literal

import plotly.graph_objects as go

Mode = Literal["light", "dark"]

# After Okabe and Ito: apart for red-green and blue-yellow weak eyes. Each is set so that it has 3:1 against the surface
# of its mode (WCAG 1.4.11); the order keeps neighbours far apart.
_SEGMENTS: Final[dict[Mode, tuple[str, ...]]] = {
    "light": ("#0072b2", "#d55e00", "#00855f", "#b5518f", "#a67700", "#3d85ad", "#6b4fa3", "#8a5a44", "#5b6b7f"),
    "dark": ("#56a7e0", "#f0843c", "#2fbf93", "#e08fc0", "#e6b33d", "#8fd0f5", "#b39ddb", "#cfa58c", "#a9b6c6"),
}
_NOBODY: Final[dict[Mode, tuple[str, ...]]] = {
    "light": ("#7d8794", "#8a929d", "#767f8a"),
    "dark": ("#8b95a3", "#6f7885", "#7c8592"),
}
"""Of "No purchases yet", "Not enough data" and out of scope."""
_CAUSES: Final = ("purchase", "return", "profile", "time", "model", "erased", "alias")
_RULES_FROM: Final = -101

_INK: Final[dict[Mode, dict[str, str]]] = {
    "light": {
        "ink": "#18202c",
        "muted": "#566171",
        "line": "#e1e6ed",
        "surface": "#ffffff",
        "page": "#f5f7fa",
        "accent": "#0b5cad",
        "good": "#00734f",
        "bad": "#b3261e",
    },
    "dark": {
        "ink": "#e8edf4",
        "muted": "#a3afbf",
        "line": "#2c3644",
        "surface": "#171e28",
        "page": "#0e131a",
        "accent": "#6db3f2",
        "good": "#4fd1a1",
        "bad": "#ff8a80",
    },
}
"""As in assets/theme.css, which has them for everything that is no figure."""

FONT: Final = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", Arial, sans-serif'


def segment_color(segment_id: int, mode: Mode) -> str:
    """The colour of a segment: by its id alone, so that it stays whatever is learnt, renamed or left out.

    >>> segment_color(1, "light") != segment_color(2, "light")
    True
    """
    if segment_id > 0:
        colors = _SEGMENTS[mode]
        return colors[(segment_id - 1) % len(colors)]
    if segment_id > _RULES_FROM:
        return _NOBODY[mode][-segment_id % len(_NOBODY[mode])]
    colors = _SEGMENTS[mode]
    return colors[(_RULES_FROM - segment_id) % len(colors)]


def cause_color(cause: str, mode: Mode) -> str:
    """The colour of a cause of moves."""
    colors = _SEGMENTS[mode]
    return colors[_CAUSES.index(cause)] if cause in _CAUSES else ink("muted", mode)


def ink(name: str, mode: Mode) -> str:
    """A colour of the page by its name: ink, muted, line, surface, page, accent, good, bad."""
    return _INK[mode][name]


def series_color(place: int, mode: Mode) -> str:
    """The colour of the n-th of several things that are no segments, from 0 on."""
    colors = _SEGMENTS[mode]
    return colors[place % len(colors)]


def figure_template(mode: Mode) -> "go.layout.Template":
    """How figures are drawn: `fig.update_layout(template=figure_template(mode))`."""
    colors = _INK[mode]
    axis: dict[str, Any] = {
        "gridcolor": colors["line"],
        "linecolor": colors["line"],
        "zerolinecolor": colors["line"],
        "tickfont": {"color": colors["muted"], "size": 12},
        "title": {"font": {"color": colors["muted"], "size": 12}},
        "automargin": True,
        "ticks": "",
        "separatethousands": True,
    }
    scene_axis = {**axis, "backgroundcolor": colors["surface"], "showbackground": False}
    del scene_axis["automargin"]
    return go.layout.Template(
        layout={
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": list(_SEGMENTS[mode]),
            "font": {"family": FONT, "color": colors["ink"], "size": 13},
            "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
            # Where two axes meet, their first marks would lie on each other.
            "xaxis": {**axis, "ticklabelstandoff": 6},
            "yaxis": {**axis, "ticklabelstandoff": 3},
            "scene": {"xaxis": scene_axis, "yaxis": scene_axis, "zaxis": scene_axis},
            "polar": {
                "bgcolor": "rgba(0,0,0,0)",
                "angularaxis": {
                    "gridcolor": colors["line"],
                    "linecolor": colors["line"],
                    "tickfont": {"color": colors["ink"], "size": 12},
                },
                "radialaxis": {
                    "gridcolor": colors["line"],
                    "linecolor": colors["line"],
                    "tickfont": {"color": colors["muted"]},
                },
            },
            "legend": {
                "font": {"color": colors["ink"]},
                "bgcolor": "rgba(0,0,0,0)",
                "orientation": "h",
                "yanchor": "bottom",
                "y": 1.02,
                "x": 0,
            },
            "hoverlabel": {
                "bgcolor": colors["surface"],
                "bordercolor": colors["line"],
                "font": {"family": FONT, "color": colors["ink"], "size": 13},
            },
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": colors["muted"], "activecolor": colors["accent"]},
            "hovermode": "closest",
            "dragmode": False,
        }
    )
