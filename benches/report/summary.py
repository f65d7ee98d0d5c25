"""Medians over the rounds, and ratios between paths of the same round."""

import statistics


def medians(rounds):
    """The median of each figure; None for one that a path does not know."""
    return {name: None if rounds[0][name] is None else statistics.median(r[name] for r in rounds) for name in rounds[0]}


def paired(rounds, baseline, name):
    """The median of the ratios of a figure in rounds that ran beside each other; None where the baseline has none."""
    ratios = [one[name] / other[name] for one, other in zip(rounds, baseline) if other[name]]
    return statistics.median(ratios) if ratios else None


def number(value, width, digits=2, missing="–"):
    """A figure of a table, or a dash."""
    return f"{missing:>{width}}" if value is None else f"{value:>{width},.{digits}f}"


def share(value, width, digits=2):
    """A share of a table, or a dash."""
    return f"{'–':>{width}}" if value is None else f"{value:>{width}.{digits}%}"
