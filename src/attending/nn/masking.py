"""Masked tokens: hide some of a history and learn to say what they were.

Devlin et al., "BERT", NAACL 2019: of the tokens, a share is chosen; of the chosen, 80 % become a mask token, 10 % a
random token, and 10 % stay as they are, so that a model can trust no token blindly. The loss is the cross-entropy of
the chosen tokens alone,

    h = LayerNorm(GELU(W x + b)),    logits = D h + c,    loss = mean over chosen of -log softmax(logits)[token]

with D a table of its own or, tied, the table that embeds the tokens.
"""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, gelu

from attending.batch import Batch
from attending.nn.precision import exact

MASKED, RANDOM = 0.8, 0.1  # of the chosen tokens; the others stay
EPSILON = 1e-12  # BERT's, in every LayerNorm


def mask_tokens(batch: Batch, n_tokens: int, share: float = 0.15) -> tuple[Batch, Bool[Tensor, " token"]]:
    """Hide a share of the tokens, at least one, and say which were chosen.

    The mask token is number `n_tokens`, so a table of embeddings needs one row more. A chosen token loses its value,
    which would tell its bin. Random choices come from torch's generator.
    """
    n, device = len(batch.tokens), batch.tokens.device
    chosen = torch.rand(n, device=device) < share
    if n:
        chosen[torch.randint(n, (1,), device=device)] |= ~chosen.any()
    fate = torch.rand(n, device=device)
    noise = torch.randint(n_tokens, (n,), device=device)
    hidden = torch.where(fate < MASKED + RANDOM, noise, batch.tokens)
    hidden = torch.where(fate < MASKED, n_tokens, hidden)
    tokens = torch.where(chosen, hidden, batch.tokens)
    return replace(batch, tokens=tokens, values=batch.values.masked_fill(chosen, 0.0)), chosen


class CodeHead(nn.Module):
    """Says of each state which token stood there: dense, GELU, LayerNorm, and one logit a token.

    With `tied`, the caller gives the table of embeddings at each call, and it is the decoder.
    """

    def __init__(self, width: int, n_tokens: int, *, tied: bool = False) -> None:
        super().__init__()
        self.transform = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.bias = nn.Parameter(torch.zeros(n_tokens))
        if not tied:
            self.decoder = nn.Parameter(torch.randn(n_tokens, width) / width**0.5)

    def forward(
        self, x: Float[Tensor, "chosen width"], table: Float[Tensor, "rows width"] | None = None
    ) -> Float[Tensor, "chosen vocabulary"]:
        """Return the logits of the vocabulary; of a tied `table`, the first rows are the vocabulary."""
        decoder = self.decoder if table is None else table[: len(self.bias)]
        return nn.functional.linear(self.norm(gelu(self.transform(x))), decoder, self.bias)


def masked_loss(
    logits: Float[Tensor, "chosen vocabulary"], tokens: Int64[Tensor, " chosen"]
) -> Float[Tensor, ""]:
    """Return the mean cross-entropy of the chosen tokens; 0, with gradients of 0, where none is chosen."""
    if len(tokens) == 0:
        return logits.sum() * 0
    return cross_entropy(exact(logits), tokens)
