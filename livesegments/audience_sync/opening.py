"""A sync with everything it needs: what the settings say of it, made of a deployment's parts."""

from collections.abc import Callable, Iterator

from consumer.clock import wall_micros
from contracts.errors import LivesegmentsError
from livesegments.app import Deployment
from livesegments.audience_sync.contacts import Contact, Roll
from livesegments.audience_sync.endpoint import EndpointTarget
from livesegments.audience_sync.folder import FolderTarget
from livesegments.audience_sync.ledger import SyncLedger
from livesegments.audience_sync.syncing import Synced, sync
from livesegments.audience_sync.syncs import Sync
from livesegments.audience_sync.targets import Target
from livesegments.parts import consent
from livesegments.records import read_document
from livesegments.screen import plain
from livesegments.segment_names import SegmentNames
from livesegments.settings import Settings
from livesegments.webhooks.endpoints import Endpoint
from livesegments.webhooks.sending import trusted
from livesegments.webhooks.signing import keys_of, secret_texts


class NotSetError(LivesegmentsError):
    """The settings name no such audience, or no worker has met it yet."""


class NoContactsError(LivesegmentsError):
    """Nobody in the audience has what the receiver is to know them by."""


def open_ledger_of(one: Sync, settings: Settings) -> SyncLedger:
    """What is kept of a sync. Raises LedgerError, LedgerBusyError."""
    return SyncLedger(one.ledger(settings.audience_sync_folder, settings.key_prefix))


def target_of(one: Sync, settings: Settings) -> Target:
    """Where it goes. Raises SecretError, CertificateFileError."""
    about = {"audience": one.audience}
    if isinstance(one.to, Endpoint):
        return EndpointTarget(
            one.to,
            keys_of(secret_texts(one.to, "audience_syncs")),
            trusted(settings.webhook_ca_file),
            settings.webhook_timeout.seconds,
            about,
        )
    return FolderTarget(one.to, one.name, {**about, "preset": one.preset, "deployment": settings.key_prefix})


def roll_of(one: Sync, deployment: Deployment) -> Roll:
    """Who is in it now. Raises NotSetError, StateError."""
    settings, state = deployment.settings, deployment.state
    if one.audience not in settings.audiences:
        there = ", ".join(plain(name) for name in settings.audiences) or "none"
        raise NotSetError(f"the settings name no audience {plain(one.audience)!r}; there are: {there}")
    numbers = state.number_audiences(())
    if one.audience not in numbers:
        raise NotSetError(f"no worker has counted the audience {plain(one.audience)!r} yet: run one")
    names = SegmentNames(state, read_document(state), settings.out_of_scope_name)
    asked = consent(settings) if one.consent else None
    return Roll(state, numbers[one.audience], one.audience, one.shape, names.name, asked)


def run_sync(
    one: Sync,
    deployment: Deployment,
    *,
    full: bool = False,
    restart: bool = False,
    now: Callable[[], int] = wall_micros,
) -> Synced:
    """Do one sync. Raises LivesegmentsError."""
    settings = deployment.settings
    target, roll = target_of(one, settings), roll_of(one, deployment)
    with open_ledger_of(one, settings) as ledger:
        if restart:
            ledger.restart()
        return sync(
            ledger,
            target,
            one.shape,
            lambda: _with_contacts(roll, begins=ledger.source != one.shape.made_of),
            now=now(),
            part_rows=one.rows,
            full_every=one.full_every,
            full=full,
            left_out=lambda: roll.left_out,
        )


def _with_contacts(roll: Roll, *, begins: bool) -> Iterator[Contact]:
    """Who is in the audience. Where it has members, and none of them could ever be handed on, that was not meant.

    To be told of an audience of nobody, a receiver would let everybody go. Raises NoContactsError.
    """
    someone = False
    for contact in roll.read():
        someone = True
        yield contact
    held = roll.left_out
    if begins and not someone and (held.no_contact or held.refused or held.unknown):
        raise NoContactsError(
            f"none of the {held.no_contact + held.refused + held.unknown:,} members of {plain(roll.name)} can be handed"
            f" on, so nothing is: {held.no_contact:,} have no usable {plain(roll.shape.source)} (correct `contact`, or"
            f" choose another preset), {held.refused:,} refused to be written to, of {held.unknown:,} it is not known"
            " whether they agreed (consent_attribute, or consent = false)"
        )
