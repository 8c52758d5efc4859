"""Gives the log's tree to those who need not trust us: to a folder, an HTTP endpoint, a witness by e-mail."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import httpx2
from msgspec import Meta, Struct

from audit.notes import Checkpoint, read_checkpoint
from audit.tile_paths import CHECKPOINT, TileName, bundle
from audit.tree import HASH_BYTES, TILE_WIDTH, Tree
from channels.base import Accepted, Outgoing
from channels.provider import Provider
from domain.errors import InputRefused, StoreCorrupt
from domain.stretches import Stretch
from stores.tree import StoredTree
from tidings.log_folder import LogFolder, spans

_TIMEOUT_SECONDS = 30.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Of entries whose hashes are in memory at once.
_TILES_AT_ONCE = 256


class AuditSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings file's ``[audit]``: what is done with the log's tree while ``tidings serve`` runs.

    Every ``every_minutes`` (0: never) the tree is sealed and signed. Where something came, the checkpoint and
    tiles go to ``folder``, the checkpoint to ``url`` by POST, and to ``mail_to`` by the provider of e-mail
    named ``mail_by``. ``origin``, where it is given, must be that of the keys. With ``serve`` the log is
    served over HTTP to whoever asks.
    """

    origin: str = ""
    every_minutes: Annotated[int, Meta(ge=0, le=1440)] = 10
    folder: str = ""
    url: str = ""
    mail_to: str = ""
    mail_by: str = ""
    serve: bool = False

    @property
    def every(self) -> timedelta:
        """How often the tree is sealed."""
        return timedelta(minutes=self.every_minutes)


def entry_bundle(tree: StoredTree, name: TileName) -> bytes:
    """A bundle of entries, the events' chain hashes. Raises StoreCorrupt where the store lacks events."""
    first = name.number * TILE_WIDTH
    found = _entries(tree, first, first + name.width)
    return bundle(found)


def publish_to_folder(tree: StoredTree, folder: Path, *, progress: Callable[[int], None]) -> Checkpoint:
    """Everything up to the last checkpoint into the folder; what lies there already is only added to.

    Raises InputRefused where the folder holds another log, or a file cannot be written.
    """
    notes = [read_checkpoint(stored.note) for stored in tree.checkpoints()]
    if not notes:
        raise InputRefused("published.nothing")
    last, log = notes[-1], LogFolder(folder)
    before = log.last()
    _check_goes_on(tree, before, last, folder)
    done = before.size if before else 0
    _publish_entries(tree, log, done, last.size, progress=progress)
    level, old, new = 0, done, last.size
    while new:
        _publish_level(tree, log, level, old, new)
        level, old, new = level + 1, old // TILE_WIDTH, new // TILE_WIDTH
    log.replace_stretches(spans(tree.stretches(), 0, last.size))
    for note in notes:
        log.keep(note)
    log.replace(CHECKPOINT, last.note.encode())
    return last


def publish(
    tree: StoredTree,
    wanted: AuditSettings,
    mailer: Provider | None,
    *,
    at: datetime,
    progress: Callable[[int], None] = lambda _: None,
) -> list[str]:
    """Give the last checkpoint, and to a folder all that it covers, to whom ``wanted`` says.

    Returns the places. ``mailer`` is used up; ``at`` is now, aware UTC. Raises InputRefused, after which
    others may have it already: giving it again does no harm.
    """
    last = tree.last_checkpoint()
    if last is None:
        raise InputRefused("published.nothing")
    checkpoint, done = read_checkpoint(last.note), list[str]()
    if wanted.folder:
        checkpoint = publish_to_folder(tree, Path(wanted.folder), progress=progress)
        done.append(wanted.folder)
    if wanted.url:
        post_checkpoint(checkpoint, wanted.url)
        done.append(wanted.url)
    if wanted.mail_to:
        if mailer is None:
            raise InputRefused("published.no_mail", provider=wanted.mail_by)
        subject = f"{checkpoint.origin} {checkpoint.size}"
        mail_checkpoint(checkpoint, wanted.mail_to, by=mailer, subject=subject, at=at)
        done.append(wanted.mail_to)
    return done


def post_checkpoint(checkpoint: Checkpoint, url: str) -> None:
    """Give the checkpoint to an HTTP endpoint. Raises InputRefused where it is not taken."""
    if not is_safe_url(url):
        raise InputRefused("published.bad_url", url=url)
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    try:
        answer = httpx2.post(url, content=checkpoint.note.encode(), headers=headers, timeout=_TIMEOUT_SECONDS)
    except httpx2.HTTPError as error:
        raise InputRefused("published.not_posted", url=url, reason=type(error).__name__) from error
    if not 200 <= answer.status_code < 300:
        raise InputRefused("published.not_posted", url=url, reason=f"HTTP {answer.status_code}")


def mail_checkpoint(
    checkpoint: Checkpoint, address: str, *, by: Provider, subject: str, at: datetime
) -> None:
    """Give the checkpoint to a witness by e-mail, at ``at`` (aware UTC). Raises InputRefused."""
    name = f"checkpoint-{checkpoint.size}-{checkpoint.root.hex()[:16]}"
    mail = Outgoing(name, "email", address, "en", subject, checkpoint.note, purpose="service", at=at)

    async def sent() -> object:
        try:
            return (await by.send([mail]))[0]
        finally:
            await by.close()

    outcome = asyncio.run(sent())
    if not isinstance(outcome, Accepted):
        reason = getattr(outcome, "reason", type(outcome).__name__)
        raise InputRefused("published.not_mailed", address=address, reason=reason)


def is_safe_url(url: str) -> bool:
    """Whether checkpoints may be given to this address: by https, or on this machine."""
    try:
        place = httpx2.URL(url)
    except httpx2.InvalidURL:
        return False
    safe = place.scheme == "https" or (place.scheme == "http" and place.host in _LOOPBACK)
    return safe and bool(place.host) and not place.userinfo


def _check_goes_on(tree: StoredTree, before: Checkpoint | None, last: Checkpoint, folder: Path) -> None:
    """Raises InputRefused unless what lies in the folder is the beginning of what is to be published."""
    if before is None:
        return
    if before.origin != last.origin:
        raise InputRefused("published.other_log", folder=folder, found=before.origin, expected=last.origin)
    if before.size > last.size or Tree(tree.tile).root(before.size) != before.root:
        raise InputRefused("published.forked", folder=folder, found=before.size, size=last.size)


def _publish_level(tree: StoredTree, log: LogFolder, level: int, old: int, new: int) -> None:
    """The tiles of a level that are new or wider, for a tree that has ``new`` hashes at this level."""
    number, last = old // TILE_WIDTH, -(-new // TILE_WIDTH)
    while number < last:
        end = min(last, number + _TILES_AT_ONCE)
        tiles = tree.tiles(level, first=number, end=end)
        for name in _names(level, number, end, new):
            hashes = tiles.get(name.number, b"")[: name.width * HASH_BYTES]
            _publish(log, name, hashes, len(hashes) // HASH_BYTES)
        number = end


def _publish_entries(
    tree: StoredTree, log: LogFolder, old: int, new: int, *, progress: Callable[[int], None]
) -> None:
    number, last = old // TILE_WIDTH, -(-new // TILE_WIDTH)
    while number < last:
        end = min(last, number + _TILES_AT_ONCE)
        first = number * TILE_WIDTH
        found = _entries(tree, first, min(new, end * TILE_WIDTH))
        for name in _names(None, number, end, new):
            at = name.number * TILE_WIDTH - first
            _publish(log, name, bundle(found[at : at + name.width]), name.width)
        number = end
        progress(min(new, end * TILE_WIDTH))


def _names(level: int | None, first: int, end: int, width: int) -> list[TileName]:
    return [TileName(level, n, min(TILE_WIDTH, width - n * TILE_WIDTH)) for n in range(first, end)]


def _publish(log: LogFolder, name: TileName, content: bytes, found: int) -> None:
    if found != name.width:
        values = {"level": name.level, "number": name.number, "found": found, "expected": name.width}
        raise StoreCorrupt("tree.tile_short", **values)
    log.add(name.path, content)
    if name.width == TILE_WIDTH:
        log.forget_partial(name)


def _entries(tree: StoredTree, first: int, end: int) -> list[bytes]:
    found: list[bytes] = []
    for part in _spans_of(tree, first, end):
        rows = tree.hashes(part.partition, after=part.first_seq - 1, upto=part.last_seq)
        if len(rows) != part.last_seq - part.first_seq + 1:
            raise StoreCorrupt("published.events_gone", partition=part.partition, seq=part.first_seq)
        found += [hash_ for _, hash_ in rows]
    return found


def _spans_of(tree: StoredTree, first: int, end: int) -> list[Stretch]:
    begin = tree.stretch_of_leaf(first)
    return list(spans(tree.stretches(first=begin.first_leaf, end=end), first, end)) if begin else []
