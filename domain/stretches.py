"""Which events the leaves of the log's tree are: stretches of one partition's sequence numbers each."""

from collections.abc import Sequence

from msgspec import Struct


class Stretch(Struct, frozen=True, gc=False):
    """Leaves from ``first_leaf`` (from 0) on: events ``first_seq`` to ``last_seq`` of a partition."""

    first_leaf: int
    partition: int
    first_seq: int
    last_seq: int

    @property
    def end_leaf(self) -> int:
        """The leaf behind the last one."""
        return self.first_leaf + self.last_seq - self.first_seq + 1

    def seq_of(self, leaf: int) -> int:
        """The sequence number of a leaf in it."""
        return self.first_seq + leaf - self.first_leaf


def stretch_problem(stretches: Sequence[Stretch]) -> tuple[Stretch, int, int] | None:
    """The first stretch that does not go on where the tree and its partition stand, with both places.

    None where leaves follow each other without a gap from 0, and each partition's events from 1.
    """
    leaf, ends = 0, dict[int, int]()
    for stretch in stretches:
        seq = ends.get(stretch.partition, 0) + 1
        if stretch.first_leaf != leaf or stretch.first_seq != seq or stretch.last_seq < seq:
            return stretch, leaf, seq
        leaf, ends[stretch.partition] = stretch.end_leaf, stretch.last_seq
    return None
