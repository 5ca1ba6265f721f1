"""What the page of a customer shows of the row, worked out when somebody looks."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Final

import numpy as np

from consumer.layout import MOVE
from contracts.documents import CAUSES, NO_SEGMENT
from contracts.times import from_micros
from dashboard.pages.parts import CustomerSheet, FeatureValue, Moved
from livesegments.app import Deployment
from livesegments.categories import catalogue_categories
from livesegments.customers import checked_id, totals_of
from livesegments.explaining import Explainer
from livesegments.open_explainer import explainer_of
from livesegments.records import Records, count_partitions, read_record
from livesegments.web.lasting import Lasting
from online_model.telling import number_of

CATALOGUE_SECONDS: Final = 60.0
"""Which item is of which category: to find out, the log of the catalogue is read whole."""


class Sheets:
    """Sheets of a deployment's customers. Safe to use from several threads."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._categories = Lasting(
            partial(catalogue_categories, deployment.logs, deployment.settings), CATALOGUE_SECONDS
        )

    def sheet(self, customer_id: str) -> CustomerSheet | None:
        """The sheet of a customer; None where there is no row.

        Raises CustomerIdError for what can be no id, and StateUnavailableError.
        """
        checked_id(customer_id)
        state = self._deployment.state
        partitions = count_partitions(state)
        record = None if partitions is None else read_record(state, customer_id, partitions)
        if record is None:
            return None
        return _sheet(record, explainer_of(self._deployment, self._categories.get))


def _sheet(record: Records, explainer: Explainer) -> CustomerSheet:
    found = explainer.explain(record)
    totals = asdict(totals_of(record))
    return CustomerSheet(
        attributes=totals.pop("attributes"),
        totals=totals,
        sentences=tuple(found.reasons.sentences) if found.reasons else (),
        next_expected_at=found.next_expected_at,
        usual_gap_days=found.usual_gap_days,
        audiences=found.audiences,
        outliers=found.outliers,
        expected=found.expected,
        features=_features(record, explainer),
        moves=_moves(record, explainer),
    )


def _features(record: Records, explainer: Explainer) -> Sequence[FeatureValue]:
    model = explainer.model
    if model is None:
        return ()
    x = model.features_of(explainer.columns(record), explainer.now)[0]
    places = np.flatnonzero(model.segment_ids == int(record.header["segment"][0]))
    typical = model.centroids[int(places[0])] if len(places) and not model.by_rule else None
    metric, features = model.metric, model.feature_set
    told = [
        None if vector is None else features.in_units(np.asarray(vector)[np.newaxis], model.order_value)[0]
        for vector in (x, typical, metric.means)
    ]
    found = []
    for place, (name, column) in enumerate(zip(model.features, features.columns, strict=True)):
        own, segment, everybody = (
            None if values is None or np.isnan(values[place]) else number_of(column, values[place], explainer.currency)
            for values in told
        )
        unit = float(metric.deviations[place])
        own_z, segment_z = (
            None
            if vector is None or np.isnan(vector[place]) or not unit
            else float((vector[place] - metric.means[place]) / unit)
            for vector in (x, typical)
        )
        found.append(FeatureValue(name, own, segment, everybody or "–", own_z, segment_z))
    return found


def _moves(record: Records, explainer: Explainer) -> Sequence[Moved]:
    """The newest first."""
    kept = np.frombuffer(record.moves[0], MOVE)
    before: str | None = None
    told = []
    for at, to, cause in kept.tolist():
        name = "nowhere" if to == NO_SEGMENT else explainer.names.told(to)
        told.append(Moved(from_micros(at), before, name, to, CAUSES[cause] if cause < len(CAUSES) else ""))
        before = name
    return told[::-1]
