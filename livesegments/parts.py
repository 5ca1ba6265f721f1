"""The settings as each part of livesegments wants them."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from consumer.currency import Rates
from consumer.layout import MISSING_TIME, Limits
from consumer.settings import WorkerSettings
from contracts.keys import Keys, LogNames
from contracts.times import to_micros
from livesegments.audience_sync.syncs import Sync, read_syncs
from livesegments.campaigns.consent import Consent
from livesegments.settings import Settings
from livesegments.webhooks.endpoints import Endpoint, read_endpoints
from livesegments.webhooks.retrying import RetryPolicy
from logs.base import LogSpec
from logs.kafka_security import KafkaSecurity
from online_model.encoding import options_of
from online_model.rules import audiences, parse
from online_model.settings import ModelSettings
from producer.importing.plan import ImportPlan
from producer.importing.pseudonyms import Pseudonyms
from recommender.blend import Blend
from recommender.holdout import HoldOut
from recommender.list_rules import ListRules
from recommender.settings import RecommenderSettings

DEAD_LETTER_PARTITIONS: Final = 1
DEAD_LETTER_BYTES: Final = 4 * 1024 * 1024
"""A dead letter carries the largest event there can be as base64, a third larger."""
AUDIT_PARTITIONS: Final = 1
CATALOG_PARTITIONS: Final = 1
"""Every worker reads the catalogue whole."""


def log_names(settings: Settings) -> LogNames:
    """The logs of the deployment."""
    return LogNames(settings.log_prefix)


def keys(settings: Settings) -> Keys:
    """The Redis keys of the deployment."""
    return Keys(settings.key_prefix)


def zone(settings: Settings) -> tzinfo:
    """The zone of times that name none."""
    return UTC if settings.zone == "UTC" else ZoneInfo(settings.zone)


def log_specs(settings: Settings) -> tuple[LogSpec, ...]:
    """All logs, as they are created where they are missing."""
    names = log_names(settings)
    return (
        LogSpec(names.events, settings.partitions),
        LogSpec(names.changes, settings.partitions, settings.segment_changes_retention.milliseconds),
        LogSpec(
            names.dead_letters,
            DEAD_LETTER_PARTITIONS,
            settings.dead_letters_retention.milliseconds,
            max_message_bytes=DEAD_LETTER_BYTES,
        ),
        LogSpec(names.catalog, CATALOG_PARTITIONS, compacted=True),
    )


def audit_spec(settings: Settings) -> LogSpec:
    """The log of who exported or erased what, over the HTTP API: of nobody else's concern."""
    return LogSpec(log_names(settings).audit, AUDIT_PARTITIONS, settings.audit_retention.milliseconds)


def rates(settings: Settings) -> Rates:
    """The deployment's currency, and what others are worth in it."""
    return Rates(settings.currency, {currency: _dated(table) for currency, table in settings.rates.items()})


def kafka_security(settings: Settings) -> KafkaSecurity:
    """How to log in to Kafka, and whom to trust."""
    return KafkaSecurity(
        tls=settings.kafka_tls,
        ca_file=settings.kafka_ca_file,
        certificate_file=settings.kafka_certificate_file,
        key_file=settings.kafka_key_file,
        mechanism=settings.kafka_mechanism,
        username=settings.kafka_username,
        password=settings.kafka_password.get_secret_value() if settings.kafka_password else None,
    )


def worker_settings(settings: Settings) -> WorkerSettings:
    """What a worker is told. Raises LivesegmentsError for what only the parts can refuse."""
    return WorkerSettings(
        keys=keys(settings),
        names=log_names(settings),
        group=settings.group,
        clock=settings.clock,
        rates=rates(settings),
        limits=limits(settings),
        holdout=holdout(settings),
        model=model_settings(settings),
        recommender=recommender_settings(settings),
        scope=parse(settings.scope, segments=False) if settings.scope else None,
        out_of_scope_name=settings.out_of_scope_name,
        audiences=audiences(settings.audiences),
        quiet_after=int(settings.quiet_after),
        forget_idle=int(settings.forget_idle),
        forecasts=settings.forecasts,
        seen_from=history_begins(settings),
        batch_events=settings.batch_events,
        session_timeout=settings.session_timeout.seconds,
        views_share=settings.views_share,
        sweep_interval_wall=int(settings.sweep_interval_wall),
        sweep_interval_event=int(settings.sweep_interval_event),
        figures_interval=settings.figures_interval.seconds,
        review_inline=settings.review_inline,
    )


def limits(settings: Settings) -> Limits:
    """How much a row keeps, and how late an event may be."""
    return Limits(lateness=int(settings.allowed_lateness), attribution_window=int(settings.attribution_window))


def consent(settings: Settings) -> Consent:
    """Who may be written to."""
    return Consent.of(settings.consent_attribute, settings.consent_values, unknown=settings.consent_unknown)


def model_settings(settings: Settings) -> ModelSettings:
    """What is chosen about segments."""
    return ModelSettings(
        k=settings.k,
        k_default=settings.k_default,
        features=settings.features,
        attributes=settings.attributes,
        attribute_options=options_of(settings.attribute_options),
        scaling=settings.scaling,
        attribute_words=settings.attribute_words,
        seed=settings.model_seed,
        first_model_buyers=settings.first_model_buyers,
        by_rule_buyers=settings.by_rule_buyers,
        by_rule_days=settings.by_rule_days,
        adoption_gain=settings.adoption_gain,
        adoption_interval=int(settings.adoption_interval),
        restart_gain=settings.restart_gain,
        restarts=settings.restarts,
        review_interval=int(
            settings.review_interval_wall if settings.clock == "wall" else settings.review_interval_event
        ),
        k_interval=int(settings.k_interval_wall if settings.clock == "wall" else settings.k_interval_event),
        model_versions_kept=settings.model_versions_kept,
        margin=settings.margin,
        dwell=int(settings.dwell),
        lapse_days=settings.lapse_days,
        new_days=settings.new_days,
        clusterer=settings.clusterer,
    )


def recommender_settings(settings: Settings) -> RecommenderSettings:
    """What is chosen about recommendations."""
    return RecommenderSettings(
        list_length=settings.list_length,
        popularity_half_life=int(settings.popularity_half_life),
        slow_half_life=int(settings.slow_half_life),
        segment_shrinkage=settings.segment_shrinkage,
        blend=Blend.pinned(settings.blend),
        pinned=frozenset(settings.blend),
        tuning=settings.blend_tuning,
        head_items=settings.head_items,
        low_rank=settings.low_rank,
        neighbours=settings.neighbours,
        tail_neighbours=settings.tail_neighbours,
        new_item_age=int(settings.new_item_age),
        rules=ListRules(
            max_per_category=settings.max_per_category,
            max_per_reason=settings.max_per_reason,
            exploration=settings.exploration,
            exploration_period=int(settings.exploration_period),
        ),
        item_review_growth=settings.item_review_growth,
        item_review_interval=int(
            settings.item_review_interval_wall if settings.clock == "wall" else settings.item_review_interval_event
        ),
        non_products=settings.non_products,
        view_interval=int(settings.view_interval),
        view_refresh=int(settings.view_refresh),
    )


def holdout(settings: Settings) -> HoldOut | None:
    """Who is held out from recommendations; None: nobody."""
    if not settings.holdout_share or settings.holdout_since is None:
        return None
    since = to_micros(datetime.combine(settings.holdout_since, time(), UTC))
    return HoldOut(settings.holdout_share, since, settings.holdout_salt)


def history_begins(settings: Settings) -> int:
    """Before when purchases are not known, microseconds UTC; MISSING_TIME: nobody says so."""
    if settings.seen_from is None:
        return MISSING_TIME
    return to_micros(datetime.combine(settings.seen_from, time(), UTC))


def import_plans(settings: Settings) -> dict[str, ImportPlan]:
    """How tables of the shop are read, by name."""
    return {name: ImportPlan.of_table(table) for name, table in settings.imports.items()}


def pseudonyms(settings: Settings) -> Pseudonyms | None:
    """Customers' ids of e-mail addresses; None without a salt."""
    return None if settings.customer_salt is None else Pseudonyms(settings.customer_salt.get_secret_value())


def endpoints(settings: Settings) -> dict[str, Endpoint]:
    """Who is told of changes over HTTP, by name."""
    return read_endpoints(settings.webhooks, plain_http=settings.webhook_plain_http)


def syncs(settings: Settings) -> dict[str, Sync]:
    """Audiences that are kept in step elsewhere, by name."""
    return read_syncs(settings.audience_syncs, plain_http=settings.webhook_plain_http)


def retry_policy(settings: Settings) -> RetryPolicy:
    """How patiently."""
    return RetryPolicy(retry_for=settings.webhook_retry_for.seconds)


def _dated(table: Mapping[date, Decimal]) -> list[tuple[int, Decimal]]:
    return [(to_micros(datetime.combine(day, time(), UTC)), rate) for day, rate in sorted(table.items())]
