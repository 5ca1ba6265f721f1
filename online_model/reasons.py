"""Why a customer is in a segment, what is special, and what would change it: three sentences with their own numbers."""

from calendar import month_name
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from contracts.documents import RULE_IDS, RuleThresholds
from contracts.times import from_micros
from online_model.arrays import Floats, Integers
from online_model.by_rule import by_rule
from online_model.features import FeatureSet, RowColumns, days_since
from online_model.model import NO_PURCHASES, OUT_OF_SCOPE, OUT_OF_SEASON, SegmentModel
from online_model.names import Members
from online_model.next_move import Move, Subject, move_by_orders, move_by_silence, published
from online_model.rhythm import YEAR, Rhythm
from online_model.telling import counted, money, number_of, short, tell
from online_model.what_if import Futures

_BY_RULE: Final = "by rule while there is too little data to learn segments from"


@dataclass(frozen=True, slots=True)
class Reasons:
    """Three sentences, and the figures in them that are worth having apart."""

    why: str
    special: str
    change: str
    silence: Move | None = None
    """Days without an order until the customer moves; None: never within two years."""
    orders: Move | None = None
    """Orders that move the customer; None: not by 20."""

    @property
    def sentences(self) -> tuple[str, str, str]:
        """All three."""
        return self.why, self.special, self.change


def reasons(
    subject: Subject,
    model: SegmentModel | None,
    now: int,
    name_of: Callable[[int], str],
    currency: str,
    *,
    rules: RuleThresholds | None = None,
) -> Reasons:
    """The sentences about one customer. `name_of` says what segments are called.

    `rules` is by what customers are placed while segments go by rule; None where that is not known.
    """
    by = _placed_by(subject, model, now, rules)
    if by is None:
        return Reasons(
            _why_unplaced(subject, name_of), _special(subject, model, now, name_of, currency), _change_unplaced(subject)
        )
    silence, orders = move_by_silence(subject, by, now), move_by_orders(subject, by, now)
    return Reasons(
        _why(subject, by, now, name_of, currency)
        if isinstance(by, SegmentModel)
        else _why_by_rule(subject, by, now, name_of, currency),
        _special(subject, model, now, name_of, currency),
        _change(silence, orders, _usual_order(subject, now), name_of, currency),
        silence,
        orders,
    )


def _placed_by(
    subject: Subject, model: SegmentModel | None, now: int, rules: RuleThresholds | None
) -> SegmentModel | RuleThresholds | None:
    """What places the customer; None for one whom nothing compares with others."""
    if subject.segment == OUT_OF_SCOPE:
        return None
    if subject.segment in {*RULE_IDS, OUT_OF_SEASON} and (model is None or model.by_rule):
        return rules
    voting = model is not None and not model.by_rule and bool(model.assign(model.features_of(subject.row, now))[0] >= 0)
    return model if voting else None


# ---- why here ----


def _why(subject: Subject, model: SegmentModel, now: int, name_of: Callable[[int], str], currency: str) -> str:
    X = model.features_of(subject.row, now)
    cluster = int(model.assign(X)[0])
    nearest = model.segments[cluster].id
    said = _figures(model.feature_set, X, model.order_value, currency)
    sentence = f"{said} put {subject.customer_id} nearest to {name_of(nearest)}"
    if nearest == subject.segment:
        return f"{sentence}."
    here = name_of(subject.segment)
    if subject.segment == OUT_OF_SEASON:
        return _why_out_of_season(f"{said} would put", subject, nearest, name_of)
    if int(published(subject, model, Futures.of_silence(subject.row, now, [0]))[0]) != subject.segment:
        return f"{sentence}, and there they go from {here} when everybody is looked at next."
    silent = float(days_since(subject.row.last_at, now)[0])
    if model.segments[cluster].active and silent > model.lapse_days:
        return (
            f"{sentence}, but nobody is called that after {counted(model.lapse_days, 'day')} without an order: {here}."
        )
    squared = model.metric.squared_distances(X, model.centroids)[0]
    own = np.flatnonzero(model.segment_ids == subject.segment)
    if own.size and squared[own[0]] > (1 + model.margin) ** 2 * squared[cluster]:
        return f"{sentence}, and they stay in {here} until they have been there for a while."
    return f"{sentence}, but not clearly enough to leave {here} (margin {model.margin:.0%})."


def _why_by_rule(
    subject: Subject, rules: RuleThresholds, now: int, name_of: Callable[[int], str], currency: str
) -> str:
    usual = FeatureSet.of()
    said = _figures(usual, usual.features(subject.row, now, 1.0), 1.0, currency)
    place = int(published(subject, rules, Futures.of_silence(subject.row, now, [0]))[0])
    if subject.segment == OUT_OF_SEASON:
        ruled = int(by_rule(Members.of(subject.row, now), rules, now)[0])
        return _why_out_of_season(f"{said} would put", subject, ruled, name_of)
    sentence = f"{said} put {subject.customer_id} into {name_of(place)}, {_BY_RULE}"
    if place == subject.segment:
        return f"{sentence}."
    return f"{sentence}, and there they go from {name_of(subject.segment)} when everybody is looked at next."


def _why_out_of_season(said: str, subject: Subject, elsewhere: int, name_of: Callable[[int], str]) -> str:
    season = season_months(subject.purchases, subject.rhythm)
    return (
        f"{said} {subject.customer_id} into {name_of(elsewhere)}, but they buy in one season ({season}), and until it "
        f"comes silence says nothing: {name_of(OUT_OF_SEASON)}."
    )


def _why_unplaced(subject: Subject, name_of: Callable[[int], str]) -> str:
    who, here = subject.customer_id, name_of(subject.segment)
    if subject.segment == OUT_OF_SCOPE:
        return f"{who} does not fulfil the condition `scope` of the settings: {here}."
    if subject.segment == NO_PURCHASES:
        return f"{who} has not bought anything: {here}."
    if subject.segment in RULE_IDS:
        return f"The naming table put {who} into {here}, {_BY_RULE}."
    return f"Too little is known of {who} to compare with others: {here}."


def _change_unplaced(subject: Subject) -> str:
    if subject.segment == NO_PURCHASES:
        return "A first order would change that."
    if subject.segment in RULE_IDS:
        return "What would change that is not known: no worker has said yet what the rules ask."
    return "What would change that is not known: no learned segment holds this customer."


def _figures(features: FeatureSet, X: Floats, order_value: float, currency: str) -> str:
    values = features.in_units(X, order_value)[0].tolist()
    said = [
        f"{column.attribute} {column.level}" if column.level is not None else tell(column, value, currency)
        for column, value in zip(features.columns, values, strict=True)
        if not np.isnan(value) and (column.level is None or value > 0)
    ]
    return _listed(said or ["Few figures"])


# ---- what is special, or near ----


def _special(
    subject: Subject, model: SegmentModel | None, now: int, name_of: Callable[[int], str], currency: str
) -> str:
    said = [*_timing(subject, now), *_outlying(subject, model, now, currency)]
    if subject.audiences:
        said.append(
            f"in {'the audience' if len(subject.audiences) == 1 else 'the audiences'} {_listed(subject.audiences)}"
        )
    if said:
        return f"{_capital('; '.join(said))}."
    near = None if model is None or model.by_rule else _next_nearest(subject, model, now)
    if near is None:
        return "Nothing is unusual."
    segment, times = near
    return f"The nearest other segment is {name_of(segment)}, {short(times)} times as far away."


def _timing(subject: Subject, now: int) -> list[str]:
    rhythm = subject.rhythm
    said = []
    if rhythm.seasonal[0]:
        away = ", out of season now" if rhythm.out_of_season(now)[0] else ""
        said.append(f"buys in one season ({season_months(subject.purchases, rhythm)}){away}")
    times = float(rhythm.overdue(now)[0])
    if times > 1 and not rhythm.seasonal[0]:
        gap = counted(float(rhythm.median_gap[0]), "day")
        said.append(f"{short(times)} times the usual gap ({gap}) since the last order: overdue")
    return said


def season_months(purchases: Integers, rhythm: Rhythm) -> str:
    """The months of a seasonal customer's season, from its beginning to the latest purchase within it."""
    begins = int(rhythm.season_begins[0])
    length = int(((purchases - begins) % YEAR).max())
    first, last = (month_name[from_micros(at).month] for at in (begins, begins + length))
    return first if first == last else f"{first}–{last}"


def outlying(row: RowColumns, model: SegmentModel, now: int) -> list[int]:
    """The places of the features in which the customer is an outlier."""
    bounds = model.outliers
    return [] if bounds is None else np.flatnonzero(bounds.outliers(model.features_of(row, now))[0]).tolist()


def _outlying(subject: Subject, model: SegmentModel | None, now: int, currency: str) -> list[str]:
    if model is None or model.outliers is None:
        return []
    features = model.feature_set
    X = model.features_of(subject.row, now)
    values, medians = (features.in_units(one, model.order_value)[0] for one in (X, model.outliers.medians[np.newaxis]))
    return [
        f"far from everybody with {tell(features.columns[place], values[place], currency)}"
        f" (the median customer: {number_of(features.columns[place], medians[place], currency)})"
        for place in outlying(subject.row, model, now)
    ]


def _next_nearest(subject: Subject, model: SegmentModel, now: int) -> tuple[int, float] | None:
    """The nearest segment besides the published one, and how many times as far away it is."""
    distances = np.sqrt(model.metric.squared_distances(model.features_of(subject.row, now), model.centroids)[0])
    own = np.flatnonzero(model.segment_ids == subject.segment)
    if not own.size or model.k < 2 or not np.isfinite(distances).all() or distances[own[0]] == 0:
        return None
    others = np.where(np.arange(model.k) == own[0], np.inf, distances)
    near = int(np.argmin(others))
    return int(model.segment_ids[near]), float(distances[near] / distances[own[0]])


# ---- what would change it ----


def _usual_order(subject: Subject, now: int) -> float:
    return Futures.of_orders(subject.row, now, [1]).order_value


def _change(
    silence: Move | None, orders: Move | None, order_value: float, name_of: Callable[[int], str], currency: str
) -> str:
    said = []
    if silence is not None:
        days = f"{counted(silence.amount, 'more day')} without an order"
        said.append(f"{days} → {name_of(silence.segment)}")
    if orders is not None:
        usual = f"{counted(orders.amount, 'more order')} of the usual size ({money(order_value, currency)})"
        said.append(f"{usual} → {name_of(orders.segment)}")
    return f"{'; '.join(said)}." if said else "Neither two years of silence nor 20 more orders would change that."


def _listed(parts: list[str] | tuple[str, ...]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
