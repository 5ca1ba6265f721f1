"""What analysts look at, and ask for, worked out of a deployment: see dashboard.analysis.Analysis."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any, Final

import numpy as np

from consumer.clock import wall_micros
from consumer.columns import Columns
from consumer.state import State
from contracts.documents import NO_SEGMENT, ImportReport, ReviewDocument
from contracts.keys import BUCKETS
from contracts.model import ModelDocument
from contracts.model_requests import ModelAnswer, ModelRequest
from dashboard.analysis import Explored, LettersOfReason
from dashboard.customer_sample import CustomerSample
from dashboard.lasso import Lasso, LassoError
from dashboard.lasso_rule import LassoRule, condition_of
from livesegments.app import Deployment
from livesegments.bytes_text import readable
from livesegments.categories import catalogue_categories
from livesegments.dead_letters import DeadLetters
from livesegments.explaining import Explainer
from livesegments.explore.figures import sections
from livesegments.explore.sources import explore_live
from livesegments.import_reports import read_reports
from livesegments.models import NoSuchVersionError, ask, pinned_version, version_of, versions, wait_until_answered
from livesegments.open_explainer import explainer_of
from livesegments.records import Records, count_partitions, read_records
from livesegments.segment_names import own_names
from livesegments.segment_space import NoSegmentsError
from livesegments.trials import try_out
from livesegments.web.lasting import Lasting
from livesegments.web.rows import StateRows
from online_model.arrays import Booleans
from online_model.model import SegmentModel
from online_model.rules import parse
from online_model.trial import Trial

POINTS: Final = 20_000
"""About so many customers are on a map."""
EXPLORED: Final = 20_000
EXPLORED_SEGMENTS: Final = 64
"""So many explorations are kept for SAMPLE_SECONDS."""
TRIED: Final = 20_000
SAMPLE_SECONDS: Final = 20.0
"""So long a sample is the same: who looks twice sees the same points."""
IMPORTS_SECONDS: Final = 1.0
LETTERS_SECONDS: Final = 30.0
ANSWER_SECONDS: Final = 30.0
"""The leader has so long to answer."""
_MESSAGE: Final = 300
_TEXT: Final = 4_000
"""Characters of an example that are shown."""


@dataclass(slots=True)
class StateAnalysis:
    """See Analysis. Safe to use from several threads."""

    deployment: Deployment
    rows: StateRows
    _sample: Lasting[CustomerSample] = field(init=False)
    _imports: Lasting[Sequence[ImportReport]] = field(init=False)
    _letters: Lasting[Sequence[LettersOfReason]] = field(init=False)
    _explored: dict[int | None, Lasting[Explored]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._sample = Lasting(self._read_sample, SAMPLE_SECONDS)
        self._imports = Lasting(partial(read_reports, self._state), IMPORTS_SECONDS)
        self._letters = Lasting(self._read_letters, LETTERS_SECONDS)

    @property
    def _state(self) -> State:
        return self.deployment.state

    # ---- the model ----

    def versions(self) -> Sequence[ModelDocument]:
        """See Analysis."""
        own = {segment: one.name for segment, one in own_names(self._state).items() if one.name is not None}
        return [_renamed(document, own) for document in versions(self._state)]

    def pinned(self) -> int | None:
        """See Analysis."""
        return pinned_version(self._state)

    def review(self) -> ReviewDocument | None:
        """See Analysis."""
        stored = self._state.review()
        return None if stored is None else ReviewDocument.model_validate_json(stored)

    def ask(self, request: ModelRequest) -> ModelAnswer:
        """See Analysis."""
        return wait_until_answered(self._state, ask(self._state, request), ANSWER_SECONDS)

    def try_out(self, k: int | None, features: Sequence[str]) -> Trial:
        """See Analysis."""
        settings = self.deployment.settings
        changed: dict[str, Any] = {} if k is None else {"k": k}
        if features:
            changed["features"] = tuple(features)
        categories = partial(catalogue_categories, self.deployment.logs, settings)
        return try_out(self._state, settings.model_copy(update=changed), wall_micros(), TRIED, categories)

    # ---- customers ----

    def sample(self) -> CustomerSample:
        """See Analysis."""
        return self._sample.get()

    def _read_sample(self) -> CustomerSample:
        explainer = explainer_of(self.deployment)
        model = explainer.model
        if model is None:
            raise NoSegmentsError("there are no segments yet: they need a worker, and customers who bought")
        listed = self.deployment.reader().segments()
        customers = sum(one.size for one in listed.segments) if listed else sum(model.sizes)
        buckets = max(1, min(BUCKETS, BUCKETS * POINTS // max(1, customers)))
        ids: list[str] = []
        segments, X = [np.zeros(0, np.int32)], [np.zeros((0, len(model.features)))]
        for records in read_records(self._state, range(count_partitions(self._state) or 0), buckets):
            values = model.features_of(explainer.columns(records), explainer.now)
            known = np.flatnonzero(~np.isnan(values).all(axis=1) & (records.header["segment"] != NO_SEGMENT))
            ids += [records.customer_ids[row] for row in known.tolist()]
            segments.append(records.header["segment"][known].astype(np.int32))
            X.append(values[known])
        found = np.concatenate(segments)
        return CustomerSample(
            model=model,
            now=explainer.now,
            all_customers=customers,
            customer_ids=ids,
            segments=found,
            names={one: explainer.names.told(one) for one in np.unique(found).tolist()},
            X=np.concatenate(X),
        )

    def count(self, lasso: Lasso) -> Mapping[int, int]:
        """See Analysis."""
        found: dict[int, int] = {}
        for records, _, inside in self._judged(lasso):
            ids, counts = np.unique(records.header["segment"][inside], return_counts=True)
            for segment, count in zip(ids.tolist(), counts.tolist(), strict=True):
                found[segment] = found.get(segment, 0) + count
        return found

    def inside(self, lasso: Lasso) -> Iterator[Any]:
        """See Analysis."""
        judged = self._judged(lasso)
        return (self.rows.table(_those(records, inside)) for records, _, inside in judged if inside.any())

    def rule(self, lasso: Lasso) -> LassoRule | None:
        """See Analysis."""
        sample = self.sample()
        condition = condition_of(lasso, sample) if sample.model.version == lasso.version else None
        if condition is None:
            return None
        # As workers will read it.
        rule = parse(str(condition))
        both = lasso_only = rule_only = 0
        for _, columns, inside in self._judged(lasso):
            meant = rule.holds(columns, lasso.now, {}, order_value=sample.model.order_value)
            both += int(np.count_nonzero(inside & meant))
            lasso_only += int(np.count_nonzero(inside & ~meant))
            rule_only += int(np.count_nonzero(meant & ~inside))
        return LassoRule(str(rule), both, lasso_only, rule_only)

    def _judged(self, lasso: Lasso) -> Iterator[tuple[Records, Columns, Booleans]]:
        """All customers, some at a time, and who of them is inside. What is wrong with a lasso is raised at once."""
        try:
            model = SegmentModel.from_document(version_of(self._state, lasso.version))
        except NoSuchVersionError:
            raise LassoError("the map was of a model version that is gone: draw the lasso anew") from None
        lasso.check(len(model.features))
        explainer = replace(explainer_of(self.deployment), model=model, now=lasso.now)
        return self._judge(lasso, model, explainer)

    def _judge(
        self, lasso: Lasso, model: SegmentModel, explainer: Explainer
    ) -> Iterator[tuple[Records, Columns, Booleans]]:
        for records in read_records(self._state, range(count_partitions(self._state) or 0)):
            columns = explainer.columns(records)
            segments = records.header["segment"].astype(np.int32)
            inside = lasso.holds(model.features_of(columns, lasso.now), segments, model)
            yield records, columns, inside & (segments != NO_SEGMENT)

    def explore(self, segment_id: int | None) -> Explored:
        """See Analysis."""
        if len(self._explored) > EXPLORED_SEGMENTS:
            self._explored.clear()
        lasting = self._explored.setdefault(segment_id, Lasting(partial(self._explore, segment_id), SAMPLE_SECONDS))
        return lasting.get()

    def _explore(self, segment_id: int | None) -> Explored:
        deployment = self.deployment
        found = explore_live(
            deployment.state,
            deployment.settings,
            now=wall_micros(),
            categories=cache(partial(catalogue_categories, deployment.logs, deployment.settings)),
            segment_id=segment_id,
            most=EXPLORED,
        )
        return Explored(found.facts, found.notes, list(sections(found)))

    # ---- events ----

    def imports(self) -> Sequence[ImportReport]:
        """See Analysis."""
        return self._imports.get()

    def letters(self) -> Sequence[LettersOfReason]:
        """See Analysis."""
        return self._letters.get()

    def _read_letters(self) -> Sequence[LettersOfReason]:
        counts: dict[str, dict[str, int]] = {}
        newest: dict[str, Any] = {}
        for letter in DeadLetters(self.deployment).letters():
            reason = letter.content.reason
            fates = counts.setdefault(reason, {"open": 0, "replayed": 0, "dropped": 0})
            fates[letter.fate] += 1
            if reason not in newest or letter.log_time >= newest[reason].log_time:
                newest[reason] = letter
        found = [
            LettersOfReason(
                reason=reason,
                **fates,
                newest_at=newest[reason].log_time,
                message=newest[reason].content.message[:_MESSAGE],
                where=f"{newest[reason].content.log}, partition {newest[reason].content.partition}",
                text=readable(newest[reason].content.bytes)[:_TEXT],
            )
            for reason, fates in counts.items()
        ]
        return sorted(found, key=lambda one: (-one.open, one.reason))


def _renamed(document: ModelDocument, own: Mapping[int, str]) -> ModelDocument:
    if not own.keys() & {one.id for one in document.segments}:
        return document
    segments = tuple(one.model_copy(update={"name": own.get(one.id, one.name)}) for one in document.segments)
    return document.model_copy(update={"segments": segments})


def _those(records: Records, wanted: Booleans) -> Records:
    places = np.flatnonzero(wanted).tolist()

    def some(parts: Sequence[Any]) -> list[Any]:
        return [parts[place] for place in places]

    return Records(
        some(records.customer_ids),
        records.header[wanted],
        some(records.attributes),
        some(records.heads),
        some(records.lines),
        records.partition,
    )
