"""What an audit finds: broken promises with their places, and the sum of it."""

from msgspec import Struct, field

# The partition of what people wrote, and of what concerns the store as a whole.
AUTHORED = 0


class Finding(Struct, frozen=True):
    """One broken promise with its place; ``code`` and ``values`` make its sentence.

    ``seq`` is the place in the partition, ``version`` the one in the customer's history; 0 where the
    promise is about the partition or the customer as a whole.
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
    """What was checked and what was found."""

    customers: int = 0
    events: int = 0
    replayed: int = 0
    findings: list[Finding] = field(default_factory=list)

    def add(self, other: "Verified") -> None:
        """Count in what another has checked."""
        self.customers += other.customers
        self.events += other.events
        self.replayed += other.replayed
        self.findings += other.findings

    @property
    def differences(self) -> int:
        """Decisions that come out otherwise when they are made again."""
        return sum(finding.is_difference for finding in self.findings)

    @property
    def chain_breaks(self) -> int:
        """Broken promises of the record: gaps, altered or missing entries, ends that do not fit."""
        return len(self.findings) - self.differences

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings
