"""The item review: learns from the sampled customers' kept lines what goes together, and how to blend it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recommender.blend import Blend
from recommender.co_purchases import purchases, times_bought
from recommender.distinct import distinct
from recommender.held_out_orders import SHARES, HeldOutOrders
from recommender.history import History
from recommender.item_model import ItemModel, NumberedItems
from recommender.list_rules import ListRules
from recommender.neighbours import Neighbours
from recommender.non_products import NonProducts
from recommender.popularity import ItemPopularity, Popular
from recommender.ranking import rank
from recommender.rhythm import repurchase_gaps
from recommender.settings import RecommenderSettings
from recommender.together import Together
from recommender.tuning import Figures, tuned

ENOUGH: Final = 100
"""Held-out customers below whom the defaults stay."""


@dataclass(frozen=True, slots=True)
class ItemReview:
    """Everything a child process needs; calling it does the work. Items are places in `ids`."""

    history: History
    """Kept lines, sorted by customer, of products only."""
    ids: tuple[str, ...]
    now: int
    settings: RecommenderSettings
    allowed: NDArray[np.bool_]
    """Which items may be recommended, (items,)."""
    known: Blend | None = None
    """What an earlier review chose, if that is to be kept; None: tune."""

    @classmethod
    def of(
        cls,
        history: History,
        ids: Sequence[str],
        now: int,
        settings: RecommenderSettings,
        allowed: NDArray[np.bool_] | None = None,
        *,
        known: Blend | None = None,
    ) -> "ItemReview":
        """What a worker's numbers mean stands in `ids`; only items with a line are kept.

        `allowed`, (len(ids),): what may be recommended now; None: whatever the settings call a product.
        """
        # Marked, not sorted: two million lines are looked at while events wait.
        sold = np.zeros(len(ids), np.bool_)
        sold[history.items] = True
        used = np.flatnonzero(sold)
        places = (np.cumsum(sold) - 1).astype(np.int32)
        names = tuple(ids[item] for item in used.tolist())
        if allowed is None:
            products = NonProducts(settings.non_products)
            products.extend(names)
            mask = products.allowed.copy()
        else:
            mask = allowed[used]
        order = np.argsort(history.customers, kind="stable")
        lines = History(
            history.customers[order], places[history.items[order]], history.at[order], history.quantity[order]
        )
        return cls(lines, names, now, settings, mask, known)

    def __call__(self) -> ItemModel:
        """Tune on held-out orders where there are enough, then learn from everything."""
        settings, items = self.settings, len(self.ids)
        blend, figures, note = self._blend()
        together = _together(self.history, items, self.now, settings, blend.together_half_life)
        bought = self.history.quantity > 0
        return ItemModel(
            as_of=self.now,
            customers=len(distinct(self.history.customers[bought])),
            ids=self.ids,
            neighbours=together.neighbours(
                together.ease(blend.ridge), blend.low_rank_weight, blend.trend, settings.neighbours
            ),
            own_neighbours=_own_neighbours(together, self.history),
            gaps=repurchase_gaps(self.history, items),
            sold=self._sold(),
            slow_half_life=settings.slow_half_life,
            new=self._first_sold_lately(),
            blend=blend,
            figures=figures,
            note=note,
        )

    def _blend(self) -> tuple[Blend, dict[str, float], str]:
        """The blend, how it did on held-out orders, and how it was chosen."""
        settings, items = self.settings, len(self.ids)
        start = settings.blend
        if not settings.tuning:
            return start, {}, "as set: tuning is off"
        if self.known is not None:
            return self.known, {}, "as an earlier review chose"
        held = [HeldOutOrders.of(self.history, items, self.allowed, share) for share in SHARES]
        most = max(one.customers for one in held)
        figures: dict[str, float] = {"held_out": float(most)}
        if most < ENOUGH:
            return start, figures, f"defaults: {most} customers ordered lately, {ENOUGH} are needed to tune"
        trials = [
            _Trial(one, self.allowed, settings, repurchase_gaps(one.before, items))
            for one in held
            if one.customers >= ENOUGH
        ]
        result = tuned(start, [trial.judge for trial in trials], pinned=settings.pinned)
        popular = [trial.judge(result.blend, popular_only=True) for trial in trials]
        figures |= _named("", result.chosen) | _named("default_", result.default) | _named("popular_", popular)
        days = ", ".join(_day(trial.held.cut) for trial in trials)
        return result.blend, figures, f"tuned on what up to {most} customers ordered after {days}"

    def _sold(self) -> NDArray[np.float32]:
        bought = self.history.where(self.history.quantity > 0)
        ages = np.maximum(self.now - bought.at, 0) / self.settings.slow_half_life
        return np.bincount(bought.items, np.exp2(-ages), len(self.ids)).astype(np.float32)

    def _first_sold_lately(self) -> tuple[str, ...]:
        """Items of which no kept line is older than `new_item_age`, unless the shop itself is as young."""
        first = np.full(len(self.ids), np.iinfo(np.int64).max)
        np.minimum.at(first, self.history.items, self.history.at)
        since = self.now - self.settings.new_item_age
        if not len(first) or first.min() >= since:
            return ()
        return tuple(self.ids[item] for item in np.flatnonzero((first >= since) & self.allowed).tolist())


@dataclass(frozen=True)
class _Trial:
    """How a blend would have done on the held-out orders. What several blends share is learnt once."""

    held: HeldOutOrders
    allowed: NDArray[np.bool_]
    settings: RecommenderSettings
    gaps: NDArray[np.float32]
    _known: dict[Any, Any] = field(default_factory=dict)

    def judge(self, blend: Blend, *, popular_only: bool = False) -> Figures:
        """NDCG@10 by customer."""
        held = self.held
        customers = len(distinct(held.before.customers))
        none = np.empty(0, np.int32)
        model = NumberedItems(self._neighbours(blend), self._own_neighbours(blend), self.gaps, customers, blend, none)
        everybody = np.full(held.customers, -1, np.int32)
        ranked = rank(
            held.buyers,
            everybody,
            self._popular(blend.slow_share),
            self.allowed,
            held.cut,
            n=self.settings.list_length,
            model=model,
            rules=ListRules(exploration=0.0),
            popular_only=np.full(held.customers, popular_only),
        )
        return held.judge(ranked)

    def _neighbours(self, blend: Blend) -> Neighbours:
        key = ("neighbours", blend.together_half_life, blend.ridge, blend.low_rank_weight, blend.trend)
        if key not in self._known:
            together = self._together(blend)
            weights = self._latest("ease", (blend.together_half_life, blend.ridge), lambda: together.ease(blend.ridge))
            self._known[key] = together.neighbours(
                weights, blend.low_rank_weight, blend.trend, self.settings.neighbours
            )
        found: Neighbours = self._known[key]
        return found

    def _own_neighbours(self, blend: Blend) -> Neighbours:
        if "own neighbours" not in self._known:  # hangs on nothing that is tuned
            self._known["own neighbours"] = _own_neighbours(self._together(blend), self.held.before)
        found: Neighbours = self._known["own neighbours"]
        return found

    def _together(self, blend: Blend) -> Together:
        held, half_life = self.held, blend.together_half_life
        learnt: Together = self._latest(
            "together",
            (half_life,),
            lambda: _together(held.before, held.items, held.cut, self.settings, half_life),
        )
        return learnt

    def _latest(self, name: str, key: Any, learn: Callable[[], Any]) -> Any:
        """What was learnt last of a kind, or what is learnt now: of items × items, one at a time is kept."""
        present = self._known.get(name)
        if present is None or present[0] != key:
            present = self._known[name] = (key, learn())
        return present[1]

    def _popular(self, slow_share: float) -> Popular:
        if ("popular", slow_share) not in self._known:
            lines, settings = self.held.before, self.settings
            nobody = np.full(int(lines.customers.max(initial=-1)) + 1, -1, np.int32)
            sums = [ItemPopularity(h) for h in (settings.popularity_half_life, settings.slow_half_life)]
            for one in sums:
                one.revise(History.empty(), nobody, lines, nobody)
            self._known["popular", slow_share] = sums[0].popular(
                self.held.cut,
                self.allowed,
                shrinkage=settings.segment_shrinkage,
                depth=settings.popular_depth,
                slow=sums[1],
                slow_share=slow_share,
            )
        found: Popular = self._known["popular", slow_share]
        return found


def _together(history: History, items: int, now: int, settings: RecommenderSettings, half_life: int) -> Together:
    customers = int(history.customers.max(initial=-1)) + 1
    return Together.of(
        purchases(history, customers, items, now, half_life),
        purchases(history, customers, items, now, 2 * settings.popularity_half_life),
        head_items=settings.head_items,
        rank=settings.low_rank,
        tail_neighbours=settings.tail_neighbours,
    )


def _own_neighbours(together: Together, history: History) -> Neighbours:
    customers = int(history.customers.max(initial=-1)) + 1
    return together.own_neighbours(times_bought(history, customers, together.items))


def _named(prefix: str, figures: Sequence[Figures]) -> dict[str, float]:
    """The mean over moments of each figure that there is."""
    means = {}
    for name, values in zip((f"{prefix}all", f"{prefix}new"), zip(*figures, strict=True), strict=True):
        if there := [float(one.mean()) for one in values if len(one)]:
            means[name] = float(np.mean(there))
    return means


def _day(at: int) -> str:
    return str(np.datetime64(at, "us").astype("datetime64[D]"))
