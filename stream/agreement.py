"""How far people agree beyond chance: Fleiss' κ and Krippendorff's α for classes, from the counts of each task.

With n_tc judgments of class c on task t, n_t in all, over tasks with at least two:

    observed   P = mean over t of Σ_c n_tc (n_tc − 1) / (n_t (n_t − 1))
    κ          (P − Σ_c p_c²) / (1 − Σ_c p_c²)             p_c: share of class c in all judgments
    α          1 − D_o / D_e      D_o: disagreeing pairs within tasks, each task weighing n_t; D_e: among all judgments

κ is Fleiss (1971) with as many raters a task as there are; α is Krippendorff (2011), nominal, and corrects for few
judgments. Both are 1 with perfect agreement, 0 with chance, undefined where only one class occurs. Memory: one number a
class, so tasks may come from anywhere.

    >>> course = Agreement()
    >>> for counts in ([3, 0], [0, 3], [2, 1]):
    ...     course.add(counts)
    >>> round(course.kappa, 3), round(course.alpha, 3)
    (0.55, 0.6)
"""

from collections.abc import Sequence


class Agreement:
    """Counts tasks one after another; `kappa` and `alpha` are None while they are undefined.

    Attributes
    ----------
    tasks, judgments : int
        With at least two judgments, and those of them.
    """

    def __init__(self) -> None:
        self.tasks = self.judgments = 0
        self._agreeing = 0.0
        self._disagreeing = 0.0
        self._classes: list[int] = []

    def add(self, counts: Sequence[int]) -> None:
        """Take the numbers of judgments of each class on one task."""
        n = sum(counts)
        if n < 2:
            return
        self.tasks += 1
        self.judgments += n
        self._classes += [0] * (len(counts) - len(self._classes))
        pairs = sum(count * (count - 1) for count in counts)
        self._agreeing += pairs / (n * (n - 1))
        self._disagreeing += (n * (n - 1) - pairs) / (n - 1)
        for c, count in enumerate(counts):
            self._classes[c] += count

    @property
    def observed(self) -> float | None:
        """Share of agreeing pairs of judgments, a task as much as another."""
        return self._agreeing / self.tasks if self.tasks else None

    @property
    def kappa(self) -> float | None:
        """Fleiss' κ."""
        if not self.tasks:
            return None
        chance = sum((count / self.judgments) ** 2 for count in self._classes)
        return None if chance >= 1 else (self._agreeing / self.tasks - chance) / (1 - chance)

    @property
    def alpha(self) -> float | None:
        """Krippendorff's α for nominal data."""
        n = self.judgments
        expected = n * n - sum(count * count for count in self._classes)
        if n < 2 or not expected:
            return None
        return 1 - self._disagreeing * (n - 1) / expected
