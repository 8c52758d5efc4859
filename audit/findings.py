"""What an audit finds: broken promises with their places, and the sum of it."""

from msgspec import Struct, field

# The partition of what people wrote, and of what concerns the store as a whole.
AUTHORED = 0
# Findings that are kept; all are counted. One forged rulebook alone breaks every link that cites it.
_KEPT = 10_000


class Finding(Struct, frozen=True):
    """One broken promise with its place; ``code`` and ``values`` make its sentence.

    ``seq`` is the place in the partition, ``version`` the one in the customer's history; 0 where the
    promise is about the partition or the customer as a whole. Where a decision comes out otherwise,
    ``values`` has ``fields``: a list of ``{"path", "expected", "found"}``, None for what is not there.
    """

    code: str
    partition: int
    seq: int
    subject: str
    version: int
    values: dict[str, object] = {}

    @property
    def is_difference(self) -> bool:
        """Whether a decision differs; every other finding breaks the record itself."""
        return self.code.startswith("audit.decision")


class Verified(Struct):
    """What was checked and what was found.

    ``customers`` are the histories that were checked; of these, ``erased`` are those whose decisions cannot
    be made again since their key was destroyed, ``redacted`` those followed only up to a body that retention
    let go of. ``replayed`` are decisions made again, ``differences`` those that came out otherwise, and
    ``chain_breaks`` broken promises of the record: gaps, altered or missing entries, ends that do not fit.
    """

    customers: int = 0
    events: int = 0
    replayed: int = 0
    differences: int = 0
    chain_breaks: int = 0
    erased: int = 0
    redacted: int = 0
    findings: list[Finding] = field(default_factory=list)

    def find(self, finding: Finding) -> None:
        """Count the finding, and keep it while there is room."""
        if finding.is_difference:
            self.differences += 1
        else:
            self.chain_breaks += 1
        if len(self.findings) < _KEPT:
            self.findings.append(finding)

    def add(self, other: "Verified") -> None:
        """Count in what another has checked."""
        self.customers += other.customers
        self.events += other.events
        self.replayed += other.replayed
        self.differences += other.differences
        self.chain_breaks += other.chain_breaks
        self.erased += other.erased
        self.redacted += other.redacted
        self.findings += other.findings[: _KEPT - len(self.findings)]

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.differences and not self.chain_breaks
