"""How a width is shared among heads."""

from attending.errors import ConfigError


def check_heads(model: str, width: int, n_heads: int, *, even: bool = False, two_ways: bool = False) -> None:
    """Refuse a width that does not divide into heads.

    even       a head's part must be even: rotary angles turn pairs of dimensions
    two_ways   the heads must be even in number: half of them look one way, half the other

    Raises:
        ConfigError: it does not.
    """
    if width % (2 * n_heads if even else n_heads) or (two_ways and n_heads % 2):
        kind, also = "even" if even else "equal", ", n_heads being even" if two_ways else ""
        raise ConfigError(
            f"the 'width' of models.{model} must divide into n_heads {kind} parts{also}; "
            f"got width {width}, n_heads {n_heads}"
        )
