"""What comes back over HTTP: callbacks, the pages that links lead to, facts, and the app's inbox."""

from tidings.api.parts import ServiceSettings
from tidings.api.service import application

__all__ = ["ServiceSettings", "application"]
