"""The keys that sign checkpoints: from the environment or a file that nobody else may read.

All of them sign, the newest last: so a witness who knows the old key sees the new one vouched for. What a log
is called (its origin) is the name of its keys.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from secrets import token_bytes
from tempfile import mkstemp
from uuid import UUID

from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.persistence import IntegrityError
from sqlalchemy import Engine

from audit.notes import SignerKey, VerifierKey, is_key_name, read_signer_key
from domain.errors import InputRefused
from stores.tree import StoredTree
from tidings.settings import Settings
from tidings.signer_record import SignerRecord

DEFAULT_ORIGIN = "tidings.local/log"
_SEED_BYTES = 32
_SQLITE = "sqlite:///"
_FILE = "tidings.signer"
_ENVIRONMENT = {"PERSISTENCE_MODULE": "stores.recorder_factory", "CREATE_TABLE": "f"}


def signer_file(settings: Settings) -> Path:
    """Where the keys lie: as set, else beside an SQLite store, else in the working folder."""
    if settings.signer_file is not None:
        return settings.signer_file
    if settings.store.startswith(_SQLITE):
        return Path(settings.store.removeprefix(_SQLITE) + ".signer")
    return Path(_FILE)


def signer_keys(settings: Settings) -> list[SignerKey]:
    """The keys that there are, the newest last; none where no key was made yet. Raises InputRefused."""
    if settings.signer:
        return _checked([read_signer_key(text) for text in settings.signer.split()], "TIDINGS_SIGNER")
    path = signer_file(settings)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise InputRefused("signer.unreadable", path=path, reason=_reason(error)) from error
    lines = [line.strip() for line in text.splitlines()]
    keys = [read_signer_key(line) for line in lines if line and not line.startswith("#")]
    if not keys:
        raise InputRefused("signer.empty", path=path)
    return _checked(keys, str(path))


def verifier_keys(settings: Settings) -> list[VerifierKey]:
    """The public halves of the keys that there are, the newest last."""
    return [key.verifier for key in signer_keys(settings)]


def assured_keys(settings: Settings, engine: Engine, *, clock: Callable[[], datetime]) -> list[SignerKey]:
    """The keys, a first one made where the store was never signed; which they are is on record.

    Raises InputRefused where the store was signed and the keys are gone: another would go unnoticed.
    """
    keys = signer_keys(settings)
    if not keys:
        path = signer_file(settings)
        if StoredTree(engine).last_checkpoint() is not None:
            raise InputRefused("signer.missing", path=path)
        keys = [_new_key(settings.origin or DEFAULT_ORIGIN)]
        _write_first(path, keys)
        keys = signer_keys(settings)
    elif settings.origin and settings.origin != origin_of(keys):
        raise InputRefused("signer.other_origin", found=origin_of(keys), expected=settings.origin)
    _record(engine, keys, at=clock())
    return keys


def rotate(
    settings: Settings, engine: Engine, *, retire: bool, clock: Callable[[], datetime]
) -> list[SignerKey]:
    """The keys after a change: with a new one that signs beside the others, or the newest alone.

    Raises InputRefused where the keys come from the environment, or there is none to retire.
    """
    if settings.signer:
        raise InputRefused("signer.from_environment")
    keys = assured_keys(settings, engine, clock=clock)
    if retire and len(keys) == 1:
        raise InputRefused("signer.none_to_retire")
    changed = keys[-1:] if retire else [*keys, _new_key(origin_of(keys))]
    path = signer_file(settings)
    # First the file: a key on record that nobody has would be a promise that cannot be kept.
    _replace(path, changed)
    _record(engine, changed, at=clock())
    return changed


def origin_of(keys: Sequence[SignerKey]) -> str:
    """What the log that these keys sign is called."""
    return keys[-1].verifier.name


def _record(engine: Engine, keys: Sequence[SignerKey], *, at: datetime) -> None:
    """Note which keys sign now, unless that is what was noted last."""
    url = engine.url.render_as_string(hide_password=False)
    with Application[UUID]({**_ENVIRONMENT, "TIDINGS_STORE": url}) as application:
        try:
            _note(application, keys, at=at)
        except IntegrityError:
            # Another process notes keys too, and was first: what is left to note is seen by looking again.
            _note(application, keys, at=at)


def _note(application: Application[UUID], keys: Sequence[SignerKey], *, at: datetime) -> None:
    try:
        record: SignerRecord = application.repository.get(SignerRecord.create_id(origin_of(keys)))
    except AggregateNotFoundError:
        record = SignerRecord.begin(origin_of(keys), at=at)
    record.sign_with([key.verifier.text for key in keys], at=at)
    if record.pending_events:
        application.save(record)


def _new_key(origin: str) -> SignerKey:
    if not is_key_name(origin):
        raise InputRefused("signer.bad_origin", origin=origin)
    return SignerKey(origin, token_bytes(_SEED_BYTES))


def _checked(keys: list[SignerKey], place: str) -> list[SignerKey]:
    if len({key.verifier.name for key in keys}) > 1:
        raise InputRefused("signer.several_origins", place=place)
    return keys


def _write_first(path: Path, keys: Sequence[SignerKey]) -> None:
    """Make the file, readable by its owner alone; one that another process made meanwhile stands."""
    with _draft(path, keys) as draft, suppress(FileExistsError):
        os.link(draft, path)


def _replace(path: Path, keys: Sequence[SignerKey]) -> None:
    """Put the keys in the file's place at once; a crash leaves the old or the new file, whole."""
    with _draft(path, keys) as draft:
        draft.replace(path)


@contextmanager
def _draft(path: Path, keys: Sequence[SignerKey]) -> Iterator[Path]:
    """A whole file beside ``path`` that is gone afterwards, if it was not put somewhere."""
    try:
        handle, name = mkstemp(dir=path.parent, prefix=path.name)
        draft = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(_text(keys))
                file.flush()
                os.fsync(file.fileno())
            yield draft
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise InputRefused("signer.unwritable", path=path, reason=_reason(error)) from error


def _text(keys: Sequence[SignerKey]) -> str:
    return "".join(f"{key.text}\n" for key in keys)


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
