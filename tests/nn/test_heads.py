"""How a width may be shared among heads."""

import pytest

from attending.errors import ConfigError
from attending.nn.heads import check_heads


def test_widths_that_divide_are_taken() -> None:
    check_heads("lsan", 9, 3)
    check_heads("decoder", 12, 3, even=True)
    check_heads("transformer", 16, 4, even=True, two_ways=True)


def test_widths_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ConfigError, match="must divide into n_heads equal parts; got width 10, n_heads 4"):
        check_heads("lsan", 10, 4)
    with pytest.raises(ConfigError, match="must divide into n_heads even parts; got width 10, n_heads 2"):
        check_heads("decoder", 10, 2, even=True)
    with pytest.raises(ConfigError, match="n_heads being even"):
        check_heads("transformer", 12, 3, even=True, two_ways=True)
