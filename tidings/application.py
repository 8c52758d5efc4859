"""The HTTP application of a store with its ways, wired."""

from fastapi import FastAPI

from stores.app_inbox import StoredMailbox
from stores.calls import Calls
from stores.contacts import Contacts
from tidings.api import ServiceSettings, application
from tidings.bootstrap import Tidings
from tidings.providers import Ways


def served(tidings: Tidings, ways: Ways) -> FastAPI:
    """Everything that comes back to this store."""
    return application(
        tidings,
        providers=ways.providers,
        links=ways.links,
        contacts=Contacts(tidings.engine),
        settings=ServiceSettings(
            brand=ways.file.brand, api_keys=tuple(ways.api_keys), serves_log=ways.file.audit.serve
        ),
        mailbox=StoredMailbox(tidings.engine),
        answers=ways.webhooks,
        calls=Calls(tidings.engine),
    )
