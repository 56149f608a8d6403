"""Numbers as people write them in a sentence."""


def number(value: float, digits: int = 3) -> str:
    """With so many digits, and the whole number where that has more: 0.0123, 1.7, 165, 1,700."""
    return f"{value:,.0f}" if 10**digits - 0.5 <= abs(value) < 1e15 else f"{value:,.{digits}g}"
