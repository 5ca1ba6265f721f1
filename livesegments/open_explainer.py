"""What explains customers of a deployment: its model, its names, its clock."""

from collections.abc import Callable, Mapping
from functools import cache, partial

from livesegments.app import Deployment
from livesegments.categories import catalogue_categories
from livesegments.explaining import Explainer
from livesegments.records import clock_now, count_partitions, read_document, read_forecaster
from livesegments.segment_names import SegmentNames
from online_model.model import SegmentModel


def explainer_of(deployment: Deployment, categories: Callable[[], Mapping[str, str]] | None = None) -> Explainer:
    """The explainer of a deployment as it is now; `categories` of items, where somebody keeps them already."""
    state, settings = deployment.state, deployment.settings
    document = read_document(state)
    listed = deployment.reader().segments()
    return Explainer(
        state=state,
        names=SegmentNames(state, document, settings.out_of_scope_name),
        model=SegmentModel.from_document(document) if document else None,
        now=clock_now(state, count_partitions(state) or 0, settings.clock),
        currency=settings.currency,
        categories=categories or cache(partial(catalogue_categories, deployment.logs, settings)),
        forecaster=read_forecaster(state, told=settings.forecasts),
        tells_forecasts=settings.forecasts,
        rules=None if listed is None else listed.rules,
    )
