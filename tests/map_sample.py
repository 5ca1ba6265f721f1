"""A model version with made-up centroids, and customers whom it places: for tests of maps and of figures of models."""

from datetime import UTC, datetime, timedelta

import numpy as np

from contracts.model import ModelDocument
from dashboard.customer_sample import CustomerSample
from online_model.metric import Metric
from online_model.model import Segment, SegmentModel
from online_model.outliers import OutlierBounds

AT = datetime(2026, 11, 1, tzinfo=UTC)
HOSTILE = "<img src=x onerror=alert(1)>"


def version(number=1, *, centroids=((0.0, 0.0), (0.2, 0.1), (3.0, 3.0)), names=("A", "B", HOSTILE), **more):
    model = SegmentModel(
        version=number,
        features=("recency", "monetary"),
        order_value=10.0,
        metric=Metric(np.zeros(2), np.ones(2)),
        centroids=np.array(centroids),
        segments=tuple(Segment(n + 1, name) for n, name in enumerate(names)),
        seed=0,
        margin=0.1,
        dwell=0,
        adopted_at=0,
        reason="gain",
        gain=0.01,
        purchases=10,
        buyers=10,
        next_segment_id=9,
        sizes=(50, 30, 20)[: len(names)],
        inertia=1.0,
    )
    when = AT + timedelta(days=number)
    return ModelDocument(**{**dict(model.to_document()), "adopted_at": when, **more})


def sample(count=500) -> CustomerSample:
    rng = np.random.default_rng(0)
    X = np.abs(rng.normal(1, 0.5, (count, 2)))
    X[0] = (9.0, 9.0)
    model = SegmentModel.from_document(version(names=("A", "B", "C")))
    model = SegmentModel.from_document(
        model.to_document().model_copy(update={"outliers": OutlierBounds.of(X, model.features).to_plain()})
    )
    segments = model.segment_ids[model.assign(X)]
    names = {1: "A", 2: "B", 3: HOSTILE}
    return CustomerSample(model, 0, count * 10, [f"{HOSTILE}{n}" for n in range(count)], segments, names, X)
