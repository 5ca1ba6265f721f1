"""How many segments there could be: what each number of them would be like, the one in force, and the one chosen."""

from dataclasses import dataclass
from typing import Final

import plotly.graph_objects as go

from contracts.documents import Band, KFigures, ReviewDocument
from dashboard.pages.theme import Mode, figure_template, ink, series_color


@dataclass(frozen=True, slots=True)
class Measure:
    """One way to judge a number of segments."""

    name: str
    title: str
    better: str
    """In words: what to look for."""
    percent: bool = False


MEASURES: Final = (
    Measure("silhouette", "How clearly segments stand apart", "Higher is better: 1 is far apart, 0 is no gap at all."),
    Measure("inertia", "How different members are", "Lower is better, and always falls: look where it stops paying."),
    Measure("stability", "How surely they are found again", "Higher is better: 1 is the same segments every time."),
    Measure(
        "smallest_share", "The smallest segment", "Below 3 % of the customers a segment is too small.", percent=True
    ),
)


def bands(review: ReviewDocument, measure: Measure) -> list[tuple[int, Band]]:
    """The figure of each number of segments, and between what it lies; empty before the first look."""
    return [] if review.look is None else [(one.k, _band(one, measure.name)) for one in review.look.curves]


def k_curve(review: ReviewDocument, measure: Measure, mode: Mode) -> go.Figure:
    """One measure over the number of segments; the band holds 80 % of what resampled customers say."""
    found = bands(review, measure)
    ks = [k for k, _ in found]
    values = [band[0] for _, band in found]
    drawn = go.Figure()
    color = series_color(0, mode)
    if any(low != high for _, (_, low, high) in found):
        drawn.add_scatter(
            x=[*ks, *reversed(ks)],
            y=[*(band[2] for _, band in found), *(band[1] for _, band in reversed(found))],
            fill="toself",
            fillcolor=color,
            opacity=0.16,
            line={"width": 0},
            hoverinfo="skip",
            name="in 80 % of resamples",
        )
    number = "%{y:.1%}" if measure.percent else "%{y:.3f}"
    drawn.add_scatter(
        x=ks,
        y=values,
        mode="lines+markers",
        line={"color": color, "width": 2},
        marker={"size": 7},
        hovertemplate=f"%{{x}} segments: {number}<extra></extra>",
        name=measure.title,
    )
    by_k = dict(zip(ks, values, strict=True))
    chosen = None if review.look is None else review.look.chosen
    for k, name, symbol, tone in ((review.k, "in force", "circle-open", "ink"), (chosen, "chosen", "star", "good")):
        if k in by_k:
            drawn.add_scatter(
                x=[k],
                y=[by_k[k]],
                mode="markers",
                marker={"size": 18, "symbol": symbol, "color": ink(tone, mode), "line": {"width": 2}},
                hovertemplate=f"%{{x}} segments: {name}<extra></extra>",
                name=name,
            )
    drawn.update_layout(
        template=figure_template(mode),
        showlegend=False,
        xaxis={"title": {"text": "segments"}, "dtick": 1},
        yaxis={"tickformat": ".1~%"} if measure.percent else {},
    )
    return drawn


def told(review: ReviewDocument | None) -> list[str]:
    """Which number was chosen, and why, in sentences."""
    if review is None:
        return ["No review yet: the first comes some time after the first segments were learnt."]
    sentences = [_sentence(review.outcome)]
    if review.look is not None:
        look = review.look
        sentences.insert(0, f"The curves speak for {look.chosen} segments; {review.k} are in force.")
        sentences.append(_sentence(look.reason))
        if look.verdict != review.outcome:
            sentences.append(_sentence(look.verdict))
        if look.chosen != review.k and look.needed_reviews > 1:
            sentences.append(f"{look.agreeing_reviews} of {look.needed_reviews} reviews in a row have said so.")
    return list(dict.fromkeys(one for one in sentences if one))


def _sentence(text: str) -> str:
    text = text.strip()
    if not text:
        return ""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"


def _band(figures: KFigures, name: str) -> Band:
    value = getattr(figures, name)
    return value if isinstance(value, tuple) else (value, value, value)
