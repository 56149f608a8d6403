"""Tokens one by one with a cache give what all tokens at once give."""

import pytest
import torch

from transgan.layers.attention import Attention, Cache
from transgan.layers.block import Transformer


@pytest.mark.parametrize("pieces", [[6], [1] * 6, [3, 1, 2]])
@pytest.mark.parametrize("rotary, bias", [(True, False), (False, True), (True, True), (False, False)])
def test_pieces_equal_the_whole(pieces, rotary, bias):
    stack = Transformer(16, 2, 2, (2, 3), causal=True, rotary=rotary, relative_position=bias).double().eval()
    x = torch.randn(4, 6, 16, dtype=torch.float64)
    caches = stack.caches()
    with torch.no_grad():
        found = torch.cat([stack.decode(part, caches) for part in x.split(pieces, 1)], 1)
        torch.testing.assert_close(found, stack(x), rtol=0, atol=1e-12)
    assert [cache.length for cache in caches] == [6, 6]


def test_prefix_tokens_have_room():
    stack = Transformer(8, 1, 2, (1, 3), causal=True, num_prefix_tokens=2).double()
    x = torch.randn(1, 5, 8, dtype=torch.float64)
    caches = stack.caches()
    assert caches[0].capacity == 5
    found = torch.cat([stack.decode(part, caches) for part in x.split(1, 1)], 1)
    torch.testing.assert_close(found, stack(x), rtol=0, atol=1e-12)


def test_only_causal_attention_can_decode():
    with pytest.raises(AssertionError, match="only causal attention can decode token by token"):
        Attention(8, 2)(torch.randn(1, 1, 8), Cache(4))
