"""What versions of the engine do differently. A rulebook names one: what cites it is decided so for ever.

A version that a history was decided by is never taken away. How a change is made, step by step, stands in
docs/decisions/0029-engine-versions.md.
"""

import msgspec
from msgspec import Struct


class EngineRules(Struct, frozen=True):
    """One version of the engine; each switch names what it changed, and is off in the versions before.

    ``counts_doubt``: a message of which nobody knows whether it left counts under the caps while it waits
    for its next try. Before, it counted only from that try on, and others could go over the cap meanwhile.
    """

    version: int
    counts_doubt: bool


_VERSIONS = (
    EngineRules(version=1, counts_doubt=False),
    EngineRules(version=2, counts_doubt=True),
)
ENGINES = {engine.version: engine for engine in _VERSIONS}
# What a rulebook that is put in force now names.
ENGINE_VERSION = _VERSIONS[-1].version


class _Named(Struct):
    engine: int


def engine_named(rulebook: bytes) -> int | None:
    """The version that a rulebook's canonical bytes name; None where they are no rulebook's.

    A newer program's rulebook need not be readable here otherwise.
    """
    try:
        return msgspec.json.decode(rulebook, type=_Named).engine
    except (msgspec.DecodeError, TypeError, UnicodeDecodeError):
        return None
