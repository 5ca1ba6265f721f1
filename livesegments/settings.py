"""Everything that can be set about a deployment, in one documented class.

Where values come from, and in which order they win, is in `livesegments.sources`.
"""

import json
import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field, PlainValidator, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from consumer.audiences import MAX_AT_A_TIME
from consumer.clock import ClockKind
from consumer.layout import Limits
from consumer.settings import WorkerSettings
from contracts.errors import LivesegmentsError
from contracts.events import MAX_ATTRIBUTE_BYTES, Currency
from contracts.times import DAY, HOUR, MINUTE, SECOND
from dashboard.access import ApiKeys
from livesegments.audience_sync.syncs import read_syncs
from livesegments.campaigns.consent import Consent
from livesegments.durations import Duration
from livesegments.webhooks.endpoints import WebhookSettingError, read_endpoints
from logs.base import LogSpec
from online_model.encoding import options_of
from online_model.features import FEATURES
from online_model.presets import FeatureRequest
from online_model.rules import BULK_BUYERS, audiences, parse
from online_model.settings import MAX_K, ModelSettings
from producer.importing.plan import ImportPlan, PlanError
from producer.importing.pseudonyms import LEAST_SALT
from recommender.blend import Blend
from recommender.holdout import MAX_SHARE
from recommender.holdout import SALT as HOLDOUT_SALT
from recommender.non_products import NonProducts
from recommender.redis_url import EXPECTED, RedisUrl
from recommender.settings import RecommenderSettings

_CONSENT: Final = Consent()
_WORKER: Final = WorkerSettings()
_MODEL: Final = ModelSettings()
_RECOMMENDER: Final = RecommenderSettings()
_SERVER: Final = re.compile(r"[^\s:]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}")
_ENDING_FREELY: Final = frozenset({"customer", "similar", "popular"})
"""What stands before ids and categories in names of keys: these may be any text."""

Share = Annotated[float, Field(ge=0, le=1)]


def _with_port(url: str) -> str:
    """The URL, if what it names as port is one."""
    try:
        _ = urlsplit(url).port
    except ValueError:
        raise ValueError("the port must be a number up to 65535") from None
    return url


def _list(value: object) -> object:
    """A list from an environment variable or a flag: a JSON array, or texts with commas between them."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [part.strip() for part in value.split(",") if part.strip()]


def _table(value: object) -> object:
    """A table from an environment variable or a flag: a JSON object."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, parse_float=Decimal)
    except ValueError:
        raise ValueError('expected a JSON object such as {"EUR": {"2024-01-01": "0.86"}}') from None


def _number_of_segments(value: object) -> int | Literal["auto"]:
    """What the setting `k` may be."""
    if value == "auto":
        return "auto"
    number = value if isinstance(value, int) else int(value) if isinstance(value, str) and value.isdecimal() else 0
    if not 2 <= number <= MAX_K:
        raise ValueError(f'expected "auto" or a whole number from 2 to {MAX_K}')
    return number


def _days_until_lapsed(value: object) -> int | Literal["auto"]:
    """What the setting `lapse_days` may be."""
    if value == "auto":
        return "auto"
    days = value if isinstance(value, int) else int(value) if isinstance(value, str) and value.isdecimal() else 0
    if days < 1:
        raise ValueError('expected "auto" or a whole number of days from 1 on')
    return days


LapseDays = Annotated[int | Literal["auto"], PlainValidator(_days_until_lapsed)]
NumberOfSegments = Annotated[int | Literal["auto"], PlainValidator(_number_of_segments)]


def _options(value: object) -> object:
    """Options by attribute from an environment variable or a flag: a JSON object."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError('expected a JSON object such as {"age": {"bins": [18, 30, 45, 60]}}') from None


def _imports(value: object) -> object:
    """Imports by name from an environment variable or a flag: a JSON object."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError('expected a JSON object such as {"orders": {"columns": {"order_id": "Order"}}}') from None


def _endpoints(value: object) -> object:
    """Endpoints by name from an environment variable or a flag: a JSON object."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError(
            'expected a JSON object such as {"crm": {"url": "https://...", "secrets": ["env:CRM_SECRET"]}}'
        ) from None


def _syncs(value: object) -> object:
    """Syncs by name from an environment variable or a flag: a JSON object."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError('expected a JSON object such as {"crm": {"audience": "Big", "to": "/exports"}}') from None


def _scalings(value: object) -> object:
    """Scalings by feature from an environment variable or a flag: a JSON object."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError('expected a JSON object such as {"recency": "minmax"}') from None


Texts = Annotated[tuple[str, ...], BeforeValidator(_list)]
Rate = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]


class Settings(BaseSettings):
    """All settings, with their defaults. Durations are written as 30d, 12h, 5m, 5s."""

    model_config = SettingsConfigDict(
        env_prefix="LIVESEGMENTS_",
        env_ignore_empty=True,
        enable_decoding=False,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )

    # ---- Connections: with the clock, all that a second machine needs ----
    redis_url: str = Field("redis://127.0.0.1:6379/0", repr=False)
    """Redis, for rows and views: redis://[[user]:password@]host:port/db, unix:///path, redis+cluster://host:port,host:port
    or redis+sentinel://host:port,host:port/service/db; rediss for TLS."""
    log_url: str = Field("", repr=False)
    """The event log: kafka://host:port[,host:port] or redis://host:port/db. Empty: in the Redis of redis_url."""
    redis_username: str | None = None
    """Who logs in to Redis, where the URL does not say; see `livesegments acl`."""
    redis_password: SecretStr | None = None
    """Better set by the environment, as LIVESEGMENTS_REDIS_PASSWORD, than written into a URL or a file."""
    redis_sentinel_username: str | None = None
    """Who logs in to Sentinels, where they ask."""
    redis_sentinel_password: SecretStr | None = None
    """Likewise; redis_password is the server's own."""
    redis_ca_file: Path | None = None
    """Certificates to trust with rediss://, in PEM, where the machine's own are not enough."""
    redis_certificate_file: Path | None = None
    """Our own certificate, where Redis asks for one."""
    redis_key_file: Path | None = None
    """The key of redis_certificate_file."""
    clock: ClockKind = "wall"
    """What `now` is: `wall`, the machine's time, or `event`, the newest event's, for replayed history."""
    kafka_tls: bool = False
    """Encrypt the connection to Kafka."""
    kafka_ca_file: Path | None = None
    """Certificates to trust, in PEM, where the machine's own are not enough."""
    kafka_certificate_file: Path | None = None
    """Our own certificate, where Kafka asks for one."""
    kafka_key_file: Path | None = None
    """The key of kafka_certificate_file."""
    kafka_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    """How to log in to Kafka; nobody logs in without."""
    kafka_username: str | None = None
    """Who logs in to Kafka."""
    kafka_password: SecretStr | None = None
    """Better set by the environment, as LIVESEGMENTS_KAFKA_PASSWORD, than written into a file."""

    # ---- Names: several deployments can share servers ----
    key_prefix: str = Field("livesegments", pattern=r"^[^\s{}'\x22\\\p{Cc}]{1,100}$")
    """What all Redis keys begin with."""
    log_prefix: str = Field("", pattern=r"^[A-Za-z0-9._-]{0,100}$")
    """What all names of logs begin with."""
    group: str = Field(_WORKER.group, min_length=1, max_length=200)
    """The consumer group of the workers."""

    # ---- Logs, as they are created where they are missing ----
    partitions: int = Field(LogSpec("").partitions, ge=1, le=10_000)
    """Of customer-events on Kafka: so many workers can share the work. Not to be changed later."""
    replication_factor: int = Field(-1, ge=-1, le=100)
    """Copies that Kafka keeps; -1 leaves it to the cluster."""
    segment_changes_retention: Duration = Duration(30 * DAY)
    """How long the log segment-changes keeps who moved between segments."""
    dead_letters_retention: Duration = Duration(90 * DAY)
    """How long the log dead-letters keeps what could not be used."""

    # ---- Money and time ----
    currency: Currency = _WORKER.rates.currency
    """What rows and segments are counted in, as an ISO 4217 code; events in another one need a rate."""
    rates: Annotated[dict[Currency, dict[date, Rate]], BeforeValidator(_table)] = Field(default_factory=dict)
    """What one unit of another currency is worth, from which day (UTC) on: rates.EUR = {"2024-01-01" = "0.86"}."""
    zone: str = "UTC"
    """The time zone of tables whose times name none, such as Europe/London."""
    allowed_lateness: Duration = Duration(_WORKER.limits.lateness)
    """A purchase or return up to so much older than the customer's newest one still counts; at most 62d."""

    # ---- Import of a shop's own tables (docs/import.md) ----
    imports: Annotated[dict[str, dict[str, Any]], BeforeValidator(_imports)] = Field(default_factory=dict)
    """How tables of a shop are read, by name; `livesegments import FILE --dry-run` finds it out and writes it here."""
    customer_salt: SecretStr | None = None
    """With what e-mail addresses are hashed where customers are made of them: 16 characters at least, never to be
    changed. Better set by the environment, as LIVESEGMENTS_CUSTOMER_SALT, than written into a file."""

    # ---- Segments ----
    k: NumberOfSegments = _MODEL.k
    """How many segments; "auto": as many as there are natural groups, k_default where there are none."""
    k_default: int = Field(_MODEL.k_default, ge=2, le=MAX_K)
    """How many segments with `k = "auto"` where customers pass from one kind into another without a gap."""
    features: Texts = ("rfm",)
    """What customers are compared by: presets (rfm, rfm+basket, lifecycle, profile, preferences), features (recency,
    frequency, monetary, recent, tenure, mean_order, basket_units, relative_recency, purchase_days, recent_share),
    attributes.<name>, share.<category>."""
    attributes: Texts = _MODEL.attributes
    """Which attributes the preset `profile` is made of; none: the four numbers that most customers have."""
    attribute_options: Annotated[dict[str, dict[str, Any]], BeforeValidator(_options)] = Field(default_factory=dict)
    """How attributes become features: attribute_options.age = {bins = [18, 30, 45, 60]}. Options are transform (none,
    log1p, sqrt), scaling (standard, minmax), bins, categorical, identity (as it is, but capped: the default)."""
    scaling: Annotated[dict[str, str], BeforeValidator(_scalings)] = Field(default_factory=dict)
    """What distances divide by, by feature: scaling.recency = "minmax" (its range); "standard" (its standard
    deviation) is the default. Names are those of `features` that are made of purchases; `preferences` stands for every
    share. Attributes have attribute_options.<name>.scaling."""
    attribute_words: Annotated[dict[str, tuple[str, str]], BeforeValidator(_options)] = Field(default_factory=dict)
    """What segments are called that are low and high in an attribute: attribute_words.visits = ["Rare", "Frequent"]; a
    word that begins small is a noun ("low spenders"). There are words for income, age, score, spending."""
    margin: Share = _MODEL.margin
    """How much nearer another segment must be, as a share of its distance, before a customer moves."""
    dwell: Duration = Duration(_MODEL.dwell)
    """How long a customer stays in a segment at least."""
    lapse_days: LapseDays = _MODEL.lapse_days
    """Without an order for longer, a customer has lapsed: for the names of segments. "auto": for longer than 87.5 % of
    the gaps between purchase days, 90 until half a year of them is known."""
    new_days: int = Field(_MODEL.new_days, ge=1)
    """First seen at most so long ago, a customer is new: for the names of segments."""
    first_model_buyers: int = Field(_MODEL.first_model_buyers, ge=2)
    """So many customers who bought make the first segments worth learning."""
    by_rule_buyers: int = Field(_MODEL.by_rule_buyers, ge=0)
    """Below so many customers who bought, each is in a segment by rule, and none in a learnt one ..."""
    by_rule_days: int = Field(_MODEL.by_rule_days, ge=0)
    """... and likewise with so few days of history."""
    adoption_gain: float = Field(_MODEL.adoption_gain, gt=0, lt=1)
    """The share of the inertia that learnt centroids must gain before they are adopted."""
    adoption_interval: Duration = Duration(_MODEL.adoption_interval)
    """How long a model version stays at least, unless the gain is as many times larger as it stays shorter."""
    restart_gain: float = Field(_MODEL.restart_gain, gt=0, lt=1)
    """The share by which a fresh start must beat the present centroids."""
    restarts: int = Field(_MODEL.restarts, ge=1, le=1000)
    """Fresh starts that a review tries."""
    review_interval_wall: Duration = Duration(MINUTE)
    """How often the leader refits on a sample with `clock = "wall"`, as long as purchases come."""
    review_interval_event: Duration = Duration(_MODEL.review_interval)
    """How much event time passes between two refits with `clock = "event"`."""
    k_interval_wall: Duration = Duration(5 * MINUTE)
    """How often a review looks at the number of segments, too, with `clock = "wall"`."""
    k_interval_event: Duration = Duration(_MODEL.k_interval)
    """How much event time passes between two such looks with `clock = "event"`."""
    model_versions_kept: int = Field(_MODEL.model_versions_kept, ge=1)
    """So many model documents stay in Redis; what is older can not be rolled back to."""
    clusterer: Literal["means", "river"] = _MODEL.clusterer
    """What learns: our CustomerKMeans, or stock river.cluster.KMeans for comparison."""
    model_seed: int = Field(_MODEL.seed, ge=0)
    """Of all that is drawn at random in the model: the same stream and seed give the same segments."""

    # ---- Who is told apart by conditions (docs/conditions.md) ----
    audiences: Annotated[dict[str, str], BeforeValidator(_table)] = Field(
        default_factory=lambda: {BULK_BUYERS.name: str(BULK_BUYERS.rule)}
    )
    """Rule segments: names and conditions. Setting any replaces the ready-made one."""
    scope: str = ""
    """A condition on who spans the learned segments, such as attributes.type != "trade"; empty: everybody."""
    out_of_scope_name: str = Field(_WORKER.out_of_scope_name, min_length=1, max_length=60)
    """What the segment of everybody else is called, such as Trade."""
    quiet_after: Duration = Duration(_WORKER.quiet_after)
    """With `clock = "wall"`: so long without any event, and the feed counts as broken: time alone moves nobody."""

    # ---- Recommendations ----
    list_length: int = Field(_RECOMMENDER.list_length, ge=1, le=20)
    """Most items in a customer's view."""
    popularity_half_life: Duration = Duration(_RECOMMENDER.popularity_half_life)
    """After which a purchase counts half for what is popular."""
    slow_half_life: Duration = Duration(_RECOMMENDER.slow_half_life)
    """After which a purchase counts half for what was popular before; what sells well above that is trending."""
    segment_shrinkage: float = Field(_RECOMMENDER.segment_shrinkage, ge=0)
    """Purchases that a segment needs before its own taste weighs as much as everybody's."""
    blend_tuning: bool = _RECOMMENDER.tuning
    """Let item reviews choose how much each part of the recommendations counts (docs/recommendations.md)."""
    blend: Annotated[dict[str, float], BeforeValidator(_table)] = Field(default_factory=dict)
    """Parts of that blend that are not to be chosen: names and values, half-lives in days: {again_weight = 2.0}."""
    item_review_interval_wall: Duration = Duration(HOUR)
    """How often what goes with what is learnt anew with `clock = "wall"`, if there were purchases."""
    item_review_interval_event: Duration = Duration(_RECOMMENDER.item_review_interval)
    """How much event time passes before that with `clock = "event"`."""
    item_review_growth: float = Field(_RECOMMENDER.item_review_growth, ge=1)
    """It is learnt anew sooner when there are so many times as many purchases."""
    head_items: int = Field(_RECOMMENDER.head_items, ge=1, le=10_000)
    """So many best-selling items are learnt by EASE, whose time grows with the cube; others go by cosines."""
    low_rank: int = Field(_RECOMMENDER.low_rank, ge=0, le=500)
    """Directions of the low-rank part beside EASE; 0: none."""
    neighbours: int = Field(_RECOMMENDER.neighbours, ge=1, le=200)
    """How many items that go with it are kept of each of these items."""
    tail_neighbours: int = Field(_RECOMMENDER.tail_neighbours, ge=0, le=200)
    """How many of each other item."""
    max_per_category: int = Field(_RECOMMENDER.rules.max_per_category, ge=1, le=20)
    """Most items of one category in a customer's list that were bought before, and as many that were never bought."""
    max_per_reason: int = Field(_RECOMMENDER.rules.max_per_reason, ge=1, le=20)
    """Most items with the same reason in a customer's list; those because of any item count together."""
    exploration: float = Field(_RECOMMENDER.rules.exploration, ge=0, le=0.5)
    """Share of the places in lists that go to new items: below one place in list_length, so many customers get one."""
    exploration_period: Duration = Duration(_RECOMMENDER.rules.exploration_period)
    """For so long a customer is shown the same new item."""
    new_item_age: Duration = Duration(_RECOMMENDER.new_item_age)
    """So long after it was first sold an item is new."""
    non_products: Texts = _RECOMMENDER.non_products
    """Regular expressions; an item whose whole id matches one, in any case, is never recommended."""
    view_interval: Duration = Duration(_RECOMMENDER.view_interval)
    """Under load a customer's view is rewritten at most once in this time; those that wait for longer come first."""
    view_refresh: Duration = Duration(_RECOMMENDER.view_refresh)
    """Everybody's view is rewritten within this time; it expires after twice as much."""

    # ---- Feedback on recommendations (docs/feedback.md) ----
    attribution_window: Duration = Duration(_WORKER.limits.attribution_window)
    """An item that was shown counts as clicked or bought where that follows within this time; at most 90d."""
    holdout_share: float = Field(0.0, ge=0, le=MAX_SHARE)
    """Share of customers, drawn by a hash of the id, who get popular items only, to compare; 0: none, 0.5 at most."""
    holdout_since: date | None = None
    """The day (UTC) from which on orders count for that comparison, as 2026-01-31; needed where somebody is held out.
    A new experiment needs a new day, and best begins on the day of the change."""
    holdout_salt: str = Field(HOLDOUT_SALT, min_length=1, max_length=100)
    """Another salt holds out other customers."""

    # ---- Forgetting (docs/erasure.md) ----
    forget_idle: Duration = Duration(_WORKER.forget_idle)
    """Customers of whom no event of any kind has come for so long are erased, 1d at least; 0: never."""

    # ---- Forecasts (docs/forecasts.md) ----
    forecasts: bool = _WORKER.forecasts
    """Learn what customers will do next, and tell it in views, on cards, in conditions and tables."""
    seen_from: date | None = None
    """The day (UTC) before which purchases are known in part or not at all, as 2024-01-31, where a shop's history was
    brought in from then on: purchase models are not fitted to customers whose first known purchase lies before."""

    # ---- Campaigns (docs/campaigns.md) ----
    consent_attribute: str = Field(_CONSENT.attribute, max_length=MAX_ATTRIBUTE_BYTES)
    """The profile attribute that says whether a customer may be written to; empty: nobody is asked."""
    consent_values: Texts = tuple(sorted(_CONSENT.values))
    """What it holds where consent is given, in capitals or not; anything else is a refusal."""
    consent_unknown: bool = _CONSENT.unknown
    """Write also to customers who have no such attribute."""
    campaign_retention: Duration = Duration(365 * DAY)
    """So long after a campaign's end and allowed_lateness its members are kept, as hashes; results stay."""

    # ---- Workers ----
    batch_events: int = Field(_WORKER.batch_events, ge=1, le=20_000)
    """Events of one partition in one step, at most."""
    session_timeout: Duration = Duration(20 * SECOND)
    """After so long without a sign of life, a worker's partitions go to others."""
    views_share: float = Field(_WORKER.views_share, gt=0, lt=1)
    """Share of a busy worker's time that goes into views."""
    sweep_interval_wall: Duration = Duration(_WORKER.sweep_interval_wall)
    """How often every customer is looked at again with `clock = "wall"`."""
    sweep_interval_event: Duration = Duration(_WORKER.sweep_interval_event)
    """How much event time passes before every customer is looked at again with `clock = "event"`."""
    figures_interval: Duration = Duration(round(_WORKER.figures_interval * SECOND))
    """How often a worker reports to the leader."""
    review_inline: bool = _WORKER.review_inline
    """Refit in the worker itself rather than in a child process: the same stream then gives the same segments."""

    # ---- HTTP API (docs/http-api.md) ----
    web_address: str = "127.0.0.1:8080"
    """Where `livesegments web` answers; 0.0.0.0:8080 for other machines, which takes keys."""
    web_keys: Annotated[dict[str, dict[str, Any]], BeforeValidator(_options)] = Field(default_factory=dict)
    """Who may ask: web_keys.anna = {sha256 = "...", role = "viewer"}, or scopes in place of a role; see
    `livesegments web-key`. Roles are viewer, marketer, analyst, admin. Without any key only this machine may ask, and
    may do everything."""
    web_open: bool = False
    """Listen at any address without keys, as in a container whose port only its host reaches: under a name other than
    localhost nobody is answered."""
    web_max_body: int = Field(10 * 1024 * 1024, ge=1024, le=1024**3)
    """Bytes of a request, at most."""
    web_import_max: int = Field(512 * 1024 * 1024, ge=1024, le=1024**4)
    """Bytes that the files of one import by page may have together (docs/import.md)."""
    audit_retention: Duration = Duration(730 * DAY)
    """How long the log `audit` keeps who exported customers or had one erased."""

    # ---- Webhooks (docs/webhooks.md) ----
    webhooks: Annotated[dict[str, dict[str, Any]], BeforeValidator(_endpoints)] = Field(
        default_factory=dict, repr=False
    )
    """Who is told of changes: webhooks.crm = {url = "https://...", secrets = ["env:CRM_SECRET"]}, and if not of all
    kinds, segments (ids or names) and audiences. `livesegments webhooks run` tells them. Secrets stand in environment
    variables or, with file:, in files."""
    webhook_retry_for: Duration = Duration(DAY)
    """So long a change is tried; an endpoint that has failed for longer gets each change once."""
    webhook_timeout: Duration = Duration(15 * SECOND)
    """So long an endpoint may take to answer."""
    webhook_dead_letters: int = Field(100_000, ge=1, le=1_000_000)
    """Of each endpoint so many changes that were given up can be tried again; the oldest go."""
    webhook_plain_http: bool = False
    """Let endpoints on other machines be http://, unencrypted."""
    webhook_ca_file: Path | None = None
    """Certificates to trust of endpoints, in PEM, beside the machine's own."""

    # ---- Audience sync (docs/audiences.md) ----
    audience_syncs: Annotated[dict[str, dict[str, Any]], BeforeValidator(_syncs)] = Field(
        default_factory=dict, repr=False
    )
    """Audiences that are kept in step elsewhere: audience_syncs.crm = {audience = "Big", to = "/exports", preset =
    "brevo", every = "1d"}, or to = "https://..." with secrets as webhooks have them. `livesegments audience sync-run`
    does them all."""
    audience_sync_folder: Path = Path("audience-syncs")
    """Where it is kept what each receiver was told: customers' ids or addresses. It has to outlive the process."""

    # ---- What is said ----
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important lines that are shown."""
    log_format: Literal["auto", "text", "json"] = "auto"
    """`auto`: text on a terminal, JSON lines elsewhere."""
    status_interval: Duration = Duration(10 * SECOND)
    """How often a worker says how it is doing."""
    metrics_address: str = ""
    """Where a worker, and what tells webhooks, answers /metrics, /healthz and /readyz (docs/operations.md):
    127.0.0.1:9464, or 0.0.0.0:9464 for other machines. Empty: it listens nowhere."""
    ready_lag: Duration = Duration(5 * MINUTE)
    """A worker that is further behind the log, and not catching up, is not ready."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """`Settings()` is the defaults: `sources.load_settings` reads file and environment, and knows who said what."""
        return (init_settings,)

    @field_validator(
        "kafka_ca_file",
        "kafka_certificate_file",
        "kafka_key_file",
        "kafka_mechanism",
        "kafka_username",
        "kafka_password",
        "redis_username",
        "redis_password",
        "redis_sentinel_username",
        "redis_sentinel_password",
        "redis_ca_file",
        "redis_certificate_file",
        "redis_key_file",
        "customer_salt",
        "holdout_since",
        "seen_from",
        "webhook_ca_file",
        mode="before",
    )
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("key_prefix")
    @classmethod
    def _is_apart(cls, prefix: str) -> str:
        # shop:customer:segments would be the list of one deployment and a customer's view of another.
        for part in prefix.split(":")[1:]:
            if part in _ENDING_FREELY:
                raise ValueError(f"expected no part {part!r}: another deployment may keep an id there")
        return prefix

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, url: str) -> str:
        if "+" in urlsplit(url).scheme:
            RedisUrl.read(url)
            return url
        parts = urlsplit(url)
        if not (parts.scheme in {"redis", "rediss"} and parts.hostname) and not (parts.scheme == "unix" and parts.path):
            raise ValueError(EXPECTED)
        return _with_port(url)

    @field_validator("log_url")
    @classmethod
    def _is_log(cls, url: str) -> str:
        parts = urlsplit(url)
        is_kafka = parts.scheme == "kafka" and all(_SERVER.fullmatch(server) for server in parts.netloc.split(","))
        if url and not is_kafka and not (parts.scheme in {"redis", "rediss"} and parts.hostname):
            raise ValueError("expected kafka://host:port[,host:port] or redis://host:port/db")
        return url if is_kafka else _with_port(url)

    @field_validator("metrics_address")
    @classmethod
    def _is_address(cls, address: str) -> str:
        if address and not _SERVER.fullmatch(address):
            raise ValueError("expected host:port, such as 127.0.0.1:9464")
        return _with_port(f"//{address}").removeprefix("//")

    @field_validator("web_address")
    @classmethod
    def _is_web_address(cls, address: str) -> str:
        if not _SERVER.fullmatch(address):
            raise ValueError("expected host:port, such as 127.0.0.1:8080")
        return _with_port(f"//{address}").removeprefix("//")

    @field_validator("web_keys")
    @classmethod
    def _are_keys(cls, tables: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        try:
            ApiKeys.read(tables)
        except LivesegmentsError as error:
            raise ValueError(str(error)) from error
        return tables

    @field_validator("imports")
    @classmethod
    def _are_imports(cls, tables: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name, table in tables.items():
            try:
                ImportPlan.of_table(table)
            except PlanError as error:
                raise ValueError(f"{name}: {error}") from error
        return tables

    @field_validator("customer_salt")
    @classmethod
    def _is_salt(cls, salt: SecretStr | None) -> SecretStr | None:
        if salt is not None and len(salt.get_secret_value()) < LEAST_SALT:
            raise ValueError(f"expected {LEAST_SALT} characters at least")
        return salt

    @field_validator("allowed_lateness")
    @classmethod
    def _is_lateness(cls, lateness: Duration) -> Duration:
        Limits(lateness=int(lateness))  # refuses what a row can not keep
        return lateness

    @field_validator("forget_idle")
    @classmethod
    def _is_never_or_a_day(cls, idle: Duration) -> Duration:
        if 0 < idle < DAY:
            raise ValueError("expected 1d at least, or 0 to forget nobody")
        return idle

    @field_validator("attribution_window")
    @classmethod
    def _is_window(cls, window: Duration) -> Duration:
        Limits(attribution_window=int(window))
        return window

    @field_validator("features")
    @classmethod
    def _are_features(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        try:
            FeatureRequest(names=names)
        except LivesegmentsError as error:
            raise ValueError(str(error)) from error
        return names

    @field_validator("attribute_options")
    @classmethod
    def _are_options(cls, tables: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        try:
            options_of(tables)
        except LivesegmentsError as error:
            raise ValueError(str(error)) from error
        return tables

    @field_validator("scaling")
    @classmethod
    def _are_scalings(cls, scaling: dict[str, str]) -> dict[str, str]:
        try:
            FeatureRequest(names=tuple(FEATURES), scaling=scaling)
        except LivesegmentsError as error:
            raise ValueError(str(error)) from error
        return scaling

    @field_validator("non_products")
    @classmethod
    def _are_patterns(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        try:
            NonProducts(patterns)
        except LivesegmentsError as error:
            raise ValueError(str(error)) from error
        return patterns

    @field_validator("blend")
    @classmethod
    def _is_blend(cls, values: dict[str, float]) -> dict[str, float]:
        try:
            Blend.pinned(values)
        except LivesegmentsError as error:
            raise ValueError(str(error)) from error
        return values

    @field_validator("audiences")
    @classmethod
    def _are_audiences(cls, conditions: dict[str, str]) -> dict[str, str]:
        if len(conditions) > MAX_AT_A_TIME:
            raise ValueError(f"expected {MAX_AT_A_TIME} audiences at most, not {len(conditions)}")
        try:
            audiences(conditions)
        except LivesegmentsError as error:
            raise ValueError(str(error)) from error
        return conditions

    @field_validator("scope")
    @classmethod
    def _is_condition(cls, text: str) -> str:
        try:
            _ = text and parse(text, segments=False)
        except LivesegmentsError as error:
            raise ValueError(str(error)) from error
        return text

    @field_validator("zone")
    @classmethod
    def _is_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("expected a time zone such as UTC or Europe/London") from None
        return name

    @field_validator(
        "segment_changes_retention",
        "dead_letters_retention",
        "audit_retention",
        "session_timeout",
        "status_interval",
        "figures_interval",
        "webhook_retry_for",
        "webhook_timeout",
    )
    @classmethod
    def _is_second(cls, duration: Duration) -> Duration:
        if duration < SECOND // 10:
            raise ValueError("expected 100ms at least")
        return duration

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.kafka_mechanism and not (self.kafka_username and self.kafka_password):
            raise ValueError("kafka_mechanism needs kafka_username and kafka_password")
        if self.kafka_key_file and not self.kafka_certificate_file:
            raise ValueError("kafka_key_file needs kafka_certificate_file")
        if self.redis_key_file and not self.redis_certificate_file:
            raise ValueError("redis_key_file needs redis_certificate_file")
        if self.redis_username and not self.redis_password:
            raise ValueError("redis_username needs redis_password")
        if self.holdout_share and self.holdout_since is None:
            raise ValueError("holdout_share needs holdout_since, the day from which on orders count")
        if self.slow_half_life <= self.popularity_half_life:
            raise ValueError("slow_half_life must be longer than popularity_half_life")
        if self.redis_sentinel_username and not self.redis_sentinel_password:
            raise ValueError("redis_sentinel_username needs redis_sentinel_password")
        if not self.log_url and self.redis_url.startswith("unix:"):
            raise ValueError("log_url: the log needs a server with a port; set redis:// or kafka://")
        if not self.log_url and "+" in urlsplit(self.redis_url).scheme:
            raise ValueError("log_url: a log is in Kafka, or in one Redis server; set kafka:// or redis://")
        return self

    @model_validator(mode="after")
    def _are_webhooks(self) -> Self:
        try:
            endpoints = read_endpoints(self.webhooks, plain_http=self.webhook_plain_http)
        except WebhookSettingError as error:
            raise ValueError(str(error)) from error
        for endpoint in endpoints.values():
            if unknown := endpoint.audiences - set(self.audiences):
                raise ValueError(f"webhooks.{endpoint.name}.audiences: {min(unknown)!r} is not among audiences")
        return self

    @model_validator(mode="after")
    def _are_syncs(self) -> Self:
        try:
            syncs = read_syncs(self.audience_syncs, plain_http=self.webhook_plain_http)
        except LivesegmentsError as error:
            raise ValueError(str(error)) from error
        for one in syncs.values():
            if one.audience not in self.audiences:
                raise ValueError(f"audience_syncs.{one.name}.audience: {one.audience!r} is not among audiences")
        return self

    @property
    def event_log_url(self) -> str:
        """Where the log is."""
        return self.log_url or self.redis_url
