"""The HTTP application of a store with its ways, wired."""

from collections.abc import Mapping
from datetime import datetime

from fastapi import FastAPI

from channels.provider import Callback
from channels.webhook import Webhooks
from stores.calls import Calls
from stores.contacts import Contacts
from tidings.api import ServiceSettings, application
from tidings.api.parts import AnswerValues
from tidings.bootstrap import Tidings
from tidings.providers import Ways


class LateAnswers:
    """What endpoints answer later, as the resource asks for it."""

    def __init__(self, webhooks: Webhooks) -> None:
        self._webhooks = webhooks

    def verify(
        self, endpoint: str, headers: Mapping[str, str], body: bytes, at: datetime
    ) -> tuple[str, bool, AnswerValues]:
        """The call that is answered, whether it went well, and values. Raises InputRefused."""
        answer = self._webhooks.verify(endpoint, Callback(url="", headers=headers, body=body, at=at))
        return answer.call, answer.ok, answer.values


def served(tidings: Tidings, ways: Ways) -> FastAPI:
    """Everything that comes back to this store."""
    return application(
        tidings,
        providers=ways.providers,
        links=ways.links,
        contacts=Contacts(tidings.engine),
        settings=ServiceSettings(brand=ways.file.brand, api_keys=tuple(ways.api_keys)),
        answers=LateAnswers(ways.webhooks),
        calls=Calls(tidings.engine),
    )
