"""The settings file of channels: which providers there are, in which order they are tried, where links lead.

It holds no secrets, only where they lie. Everything that is wrong with it is told before anything is opened.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from secrets import token_urlsafe
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from channels.base import Channel, Outgoing, everywhere
from channels.breaker import Guarded
from channels.http_sms import HttpSms, HttpSmsSettings
from channels.inbox import InAppInbox
from channels.pacing import Paced
from channels.provider import Pace, Provider, ProviderSettings
from channels.push import Push, PushSettings
from channels.route import Route
from channels.sandbox import Sandbox
from channels.secret import Secret
from channels.segments import Cost
from channels.smtp import Smtp, SmtpSettings
from channels.twilio_sms import Twilio, TwilioSettings
from channels.webhook import EndpointSettings, Webhooks
from channels.wechat import WeChat, WeChatSettings
from domain.catalogue import ChannelName
from domain.clock import EPOCH
from domain.errors import InputRefused
from stores.app_inbox import StoredMailbox
from stores.database import open_store
from tidings.bootstrap import Tidings, bootstrap
from tidings.guarding import Guarding
from tidings.links import LinkKeys, Links
from tidings.personalising import Personal
from tidings.publication import AuditSettings, is_safe_url
from tidings.settings import Settings
from tidings.unfit import unfit

_HERE = "http://localhost:8080"


class InAppSettings(ProviderSettings, tag="in_app", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The inbox in the bank's own app, which the store keeps."""


class SandboxSettings(ProviderSettings, tag="sandbox", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The folder that messages are written to and never leave."""


Kinds = (
    SmtpSettings
    | TwilioSettings
    | HttpSmsSettings
    | PushSettings
    | WeChatSettings
    | InAppSettings
    | SandboxSettings
)
_CHANNELS: dict[type[ProviderSettings], tuple[ChannelName, ...]] = {
    SmtpSettings: ("email",),
    TwilioSettings: ("sms",),
    HttpSmsSettings: ("sms",),
    PushSettings: ("push",),
    WeChatSettings: ("wechat",),
    InAppSettings: ("inbox",),
    SandboxSettings: ("email", "sms", "push", "inbox", "wechat"),
}


class ChannelsFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the file says. ``routes`` list providers by channel, in the order in which they are tried.

    ``brand`` is the bank's name on its pages, ``public_url`` where customers and providers reach us.
    ``link_keys`` sign links, the first one new ones; ``api_keys`` are asked of the bank's own programs.
    ``workers`` is how many worker processes share each provider's pace. A channel without a route goes to
    the sandbox.
    """

    brand: str = ""
    public_url: str = ""
    link_keys: tuple[Secret, ...] = ()
    api_keys: tuple[Secret, ...] = ()
    workers: Annotated[int, Meta(ge=1, le=1000)] = 1
    routes: dict[ChannelName, tuple[str, ...]] = {}
    providers: dict[str, Kinds] = {}
    webhooks: dict[str, EndpointSettings] = {}
    guard: Guarding = Guarding()
    audit: AuditSettings = AuditSettings()


class Ways(Struct, frozen=True):
    """Every way out and back in: channels, providers that call back, and what signs links."""

    channels: Mapping[ChannelName, Channel]
    providers: Mapping[str, Provider]
    webhooks: Webhooks
    links: Links
    api_keys: Sequence[str]
    file: ChannelsFile

    @property
    def are_real(self) -> bool:
        """Whether anything leaves this machine by them, or is shown to a customer."""
        return bool(_real(self.file))

    def mailer(self) -> Provider | None:
        """A provider of e-mail for checkpoints, of its own: those of messages belong to the worker's loop."""
        name = self.file.audit.mail_by
        settings = self.file.providers.get(name)
        return Smtp(name, settings) if isinstance(settings, SmtpSettings) else self.providers.get(name)


def read_channels(path: Path) -> ChannelsFile:
    """The settings in this file. Raises InputRefused with what is wrong and where."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputRefused("channels.missing", path=str(path), reason=error.strerror) from error
    data: object = None
    try:
        data = msgspec.toml.decode(text)
        file = _file(data)
    except msgspec.ValidationError as error:
        found = unfit(error, data, _file)
        reason = ": ".join([*filter(None, [".".join(map(str, found.path))]), found.reason])
        raise InputRefused("channels.invalid", path=str(path), reason=reason) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputRefused("channels.invalid", path=str(path), reason=str(error)) from error
    problems = list(_problems(file))
    if problems:
        raise InputRefused("channels.invalid", path=str(path), reason="; ".join(problems))
    return file


def _file(data: object) -> ChannelsFile:
    return msgspec.convert(data, ChannelsFile, str_keys=True)


def ways(file: ChannelsFile, *, mailbox: StoredMailbox, outbox: Path) -> Ways:
    """Everything that the file names, built; nothing is connected to yet. Raises InputRefused for secrets."""
    adapters = {name: _adapter(name, found, mailbox, outbox) for name, found in file.providers.items()}
    guarded = {
        name: Guarded(Paced(adapter, _share(file.providers[name].pace, file.workers)))
        for name, adapter in adapters.items()
    }
    keys = [key.reveal() for key in file.link_keys] or [_passing()]
    links = Links(file.public_url or _HERE, LinkKeys(keys))
    routes: dict[ChannelName, Channel] = {
        channel: Route([guarded[name] for name in names]) for channel, names in file.routes.items()
    }
    channels = {
        name: Personal(channel, links) for name, channel in (everywhere(Sandbox(outbox)) | routes).items()
    }
    return Ways(
        channels=channels,
        providers=adapters,
        webhooks=Webhooks(file.webhooks),
        links=links,
        api_keys=[key.reveal() for key in file.api_keys],
        file=file,
    )


def opened(settings: Settings, path: Path | None) -> tuple[Tidings, Ways]:
    """The open store with the ways that a file names; without a file all messages go to the sandbox."""
    file = ChannelsFile() if path is None else read_channels(path)
    engine = open_store(settings.store)
    found = ways(file, mailbox=StoredMailbox(engine), outbox=settings.outbox)
    return bootstrap(settings, engine=engine, channels=found.channels, endpoints=file.webhooks), found


def estimates(path: Path) -> Callable[[str, str, str], Cost | None]:
    """What a text to a number, in a language, would cost by the first provider for texts in this file.

    None where no provider for texts has prices. Raises InputRefused as ``read_channels``.
    """
    file = read_channels(path)
    adapter: Twilio | HttpSms | None = None
    for name in file.routes.get("sms", ())[:1]:
        match file.providers[name]:
            case TwilioSettings() as kind:
                adapter = Twilio(name, kind)
            case HttpSmsSettings() as gateway:
                adapter = HttpSms(name, gateway)

    def estimate(number: str, language: str, text: str) -> Cost | None:
        if adapter is None:
            return None
        return adapter.estimate(Outgoing("", "sms", number, language, "", text, purpose="service", at=EPOCH))

    return estimate


def _passing() -> str:
    """A key of this process alone: whoever has no settings sends nothing whose links must last."""
    return token_urlsafe(48)


def _problems(file: ChannelsFile) -> Iterator[str]:
    """All that the types do not say."""
    for channel, names in file.routes.items():
        if not names:
            yield f"routes.{channel} names no provider"
        if len(set(names)) < len(names):
            yield f"routes.{channel} names a provider twice"
        for name in names:
            found = file.providers.get(name)
            if found is None:
                known = ", ".join(file.providers) or "none"
                yield f"routes.{channel}: no provider {name!r} (there are: {known})"
            elif channel not in _CHANNELS[type(found)]:
                kind = found.__struct_config__.tag
                yield f"routes.{channel}: {name!r} is of the kind {kind}, which sends no {channel}"
    for name, settings in file.providers.items():
        told = getattr(settings, "callback_url", None)
        if told is not None and "/callbacks/" in told and told.rpartition("/callbacks/")[2] != name:
            yield f"providers.{name}.callback_url must end in /callbacks/{name}, where it is heard"
    yield from _audit_problems(file)
    real = _real(file)
    if real and not file.public_url.startswith(("https://", "http://127.0.0.1", "http://localhost")):
        yield "public_url must be an https address: links to unsubscribe lead there"
    if real and not file.link_keys:
        yield "link_keys is empty: links in messages must be signed"


def _audit_problems(file: ChannelsFile) -> Iterator[str]:
    audit = file.audit
    if audit.url and not is_safe_url(audit.url):
        yield "audit.url must be an https address"
    if bool(audit.mail_to) != bool(audit.mail_by):
        yield "audit.mail_to and audit.mail_by go together"
    if audit.mail_by and "email" not in _CHANNELS.get(type(file.providers.get(audit.mail_by)), ()):  # type: ignore[arg-type]
        yield f"audit.mail_by: no provider of e-mail {audit.mail_by!r}"


def _real(file: ChannelsFile) -> list[str]:
    return [name for name, found in file.providers.items() if not isinstance(found, SandboxSettings)]


def _adapter(name: str, settings: ProviderSettings, mailbox: StoredMailbox, outbox: Path) -> Provider:
    match settings:
        case SmtpSettings():
            return Smtp(name, settings)
        case TwilioSettings():
            return Twilio(name, settings)
        case HttpSmsSettings():
            return HttpSms(name, settings)
        case PushSettings():
            return Push(name, settings)
        case WeChatSettings():
            return WeChat(name, settings)
        case InAppSettings():
            return InAppInbox(name, mailbox)
        case _:
            return Sandbox(outbox, name=name)


def _share(pace: Pace, workers: int) -> Pace:
    """The part of a pace that one of so many workers may take."""
    if workers == 1:
        return pace
    return Pace(
        per_second=None if pace.per_second is None else pace.per_second / workers,
        domains={name: rate / workers for name, rate in pace.domains.items()},
        burst=max(1, pace.burst // workers),
    )
