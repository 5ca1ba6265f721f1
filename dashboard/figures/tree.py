"""Which segments are alike: the dendrogram of the centroids, and what they would be if there were fewer."""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from contracts.model import ModelDocument
from dashboard.pages.theme import Mode, figure_template, ink, segment_color
from dashboard.pages.widgets import figure_text
from online_model.hierarchy import Dendrogram, of_segments
from online_model.model import SegmentModel


@dataclass(frozen=True, slots=True)
class Group:
    """Segments that would be one."""

    segments: tuple[tuple[int, str], ...]
    """Ids and names."""
    customers: int
    """At the adoption of the version."""


@dataclass(frozen=True, slots=True)
class SegmentTree:
    """The hierarchy of one version's segments; leaf i is segment i."""

    ids: tuple[int, ...]
    names: tuple[str, ...]
    dendrogram: Dendrogram

    @classmethod
    def of(cls, document: ModelDocument) -> "SegmentTree":
        """Of a published version."""
        dendrogram = of_segments(SegmentModel.from_document(document))
        segments = document.segments
        return cls(tuple(one.id for one in segments), tuple(one.name for one in segments), dendrogram)

    @property
    def heights(self) -> tuple[float, ...]:
        """Of the merges, rising."""
        return tuple(merge.height for merge in self.dendrogram.merges)

    def cut(self, groups: int) -> list[Group]:
        """So many groups, the largest first. Raises HierarchyError."""
        labels = self.dendrogram.cut_into(groups).tolist()
        found = []
        for group in range(groups):
            places = [place for place, label in enumerate(labels) if label == group]
            members = tuple((self.ids[place], self.names[place]) for place in places)
            found.append(Group(members, sum(self.dendrogram.sizes[place] for place in places)))
        return sorted(found, key=lambda one: -one.customers)

    def cut_height(self, groups: int) -> float:
        """Where the line lies that cuts the tree into so many groups: between the last merge made and the next one."""
        heights = self.heights
        if not heights:
            return 0.0
        merged = len(self.ids) - groups
        below = heights[merged - 1] if merged else 0.0
        above = heights[merged] if merged < len(heights) else heights[-1] * 1.12
        return (below + above) / 2


def dendrogram(tree: SegmentTree, groups: int, mode: Mode) -> go.Figure:
    """The tree lying on its side, segments at the left, with the cut into so many groups."""
    merges, leaves = tree.dendrogram.merges, len(tree.ids)
    order = tree.dendrogram.leaf_order
    height = dict.fromkeys(range(leaves), 0.0)
    row = {leaf: float(place) for place, leaf in enumerate(order)}
    cut = tree.cut_height(groups)
    drawn = go.Figure()
    for place, merge in enumerate(merges):
        node = leaves + place
        a, b = merge.left, merge.right
        row[node], height[node] = (row[a] + row[b]) / 2, merge.height
        made = place < leaves - groups
        drawn.add_scatter(
            x=[height[a], merge.height, merge.height, height[b]],
            y=[row[a], row[a], row[b], row[b]],
            mode="lines",
            line={"color": ink("accent" if made else "muted", mode), "width": 4 if made else 2},
            hovertemplate=f"{merge.size:,} customers become one at a distance of {merge.height:.2f}<extra></extra>",
        )
    told = [[figure_text(name), f"{size:,}"] for name, size in zip(tree.names, tree.dendrogram.sizes, strict=True)]
    drawn.add_scatter(
        x=[0.0] * leaves,
        y=[row[leaf] for leaf in range(leaves)],
        mode="markers",
        marker={"size": 13, "color": [segment_color(one, mode) for one in tree.ids]},
        cliponaxis=False,
        customdata=told,
        hovertemplate="%{customdata[0]}: %{customdata[1]} customers<extra></extra>",
    )
    if merges:
        drawn.add_vline(x=cut, line={"color": ink("bad", mode), "width": 2, "dash": "dash"})
    drawn.update_layout(
        template=figure_template(mode),
        showlegend=False,
        xaxis={"title": {"text": "distance at which they join"}, "rangemode": "tozero", "zeroline": False},
        yaxis={
            "tickvals": list(range(leaves)),
            "ticktext": [_label(tree.names[leaf]) for leaf in order],
            "ticklabelstandoff": 12,
            "showgrid": False,
            "zeroline": False,
            "range": [leaves - 0.5, -0.5],
            "tickfont": {"color": ink("ink", mode), "size": 13},
        },
    )
    return drawn


def _label(name: str, most: int = 30) -> str:
    return figure_text(name if len(name) <= most else f"{name[: most - 1]}…") + " "


def as_sentence(group: Group) -> str:
    """What a group would be, in words."""
    names = _listed([name for _, name in group.segments])
    return (
        f"{names}, {group.customers:,} customers"
        if len(group.segments) == 1
        else (f"{names} together, {group.customers:,} customers")
    )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
