"""How many examples a property test tries where each costs more than a millisecond."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

LONG = 10
"""So many times as many in ``make fuzz``."""


def examples(count: int) -> settings:
    """So many of them in each run of the tests. What a fixture made may be used by all."""
    return settings(
        max_examples=times(count),
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )


def times(count: int) -> int:
    """So many, or more of them in ``make fuzz``."""
    return count * LONG if settings.get_current_profile_name() == "long" else count
