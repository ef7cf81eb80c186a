# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Policies that choose tokens: how important each place of a layer is. Papers, and what is changed in them: help page Policies."""

from functools import cached_property

import torch
from torch.nn import functional

from .predictors_kvista import FORETELLERS, KVistaAttentionPredictor


class LayerView:
    """What the policy sees of one layer. `keys`, `values` [batch, heads, places, width] as the cache has them; `index` [batch, heads
    or 1, places]: which token of its row stands there, -1: none; `read` [batch, 1, 1]: how many each row has read."""

    def __init__(self, layer, entry, angles, index, mask):
        self.attention, self.window, self.entry = layer.self_attn, layer.window, entry
        self._angles, self.index, _ = entry.placed(angles, index, None)
        self.is_held, self.is_padded, self.read = self.index >= 0, bool((index < 0).any()), (index >= 0).sum(-1)[:, None, None]
        self._whole, self._mask, self._recent = index, mask, {}

    @cached_property
    def _cached(self):
        return self.attention.cached_heads(self.entry, self.index, self._angles)

    @property
    def keys(self):
        return self._cached[0].transpose(1, 2)

    @property
    def values(self):
        return self._cached[1].transpose(1, 2)

    def queries(self, asked):
        """The last `asked` [batch, query heads, asked, width], and which of them are of tokens, [batch, asked]."""
        queries = self.entry.queries[:, :, -asked:]
        return queries, self._whole[:, self._whole.shape[1] - queries.shape[2] :] >= 0

    def attention_weights(self, asked):
        """What each of the last queries gives each place: [batch, query heads, asked, places]."""
        attention, (queries, asks) = self.attention, self.queries(asked)
        past = self._whole.shape[1] - queries.shape[2]
        _, _, mask = self.entry.placed(None, self._whole, self._mask(self._whole >= 0, past, self.window))
        if mask.shape[1] > 1:
            mask = mask.repeat_interleave(attention.heads // mask.shape[1], 1)
        keys, _ = attention.attended_heads(*self._cached)
        keys = keys.transpose(1, 2).repeat_interleave(attention.heads // keys.shape[2], 1)
        scores = queries @ keys.transpose(-1, -2) * attention.scale
        if attention.score_cap is not None:
            scores = attention.score_cap * torch.tanh(scores / attention.score_cap)
        if attention.linear_biases is not None:
            scores = scores + attention.linear_biases_of(self.index, scores.dtype)
        weights = torch.softmax(scores.float().masked_fill(~mask, -torch.inf), -1)
        sees = mask.any(-1, keepdim=True) & asks[:, None, :, None]  # a query may see nothing that is left
        return weights.masked_fill(~sees, 0)

    def by_heads(self, of_query_heads):
        """[batch, query heads, ...] as [batch, heads, query heads of each, ...]."""
        return of_query_heads.unflatten(1, (self.attention.kv_heads, -1))

    def recent_attention(self, asked):
        """What each of the last queries gives each place, [batch, heads, asked, places], the mean over the query heads of each head."""
        if asked not in self._recent:
            self._recent[asked] = self.by_heads(self.attention_weights(asked)).mean(2)
        return self._recent[asked]


def ranks_of(scores):
    """Where each place stands when the highest come first; of equals the earlier one does."""
    order = torch.sort(scores, dim=-1, descending=True, stable=True).indices
    return torch.empty_like(order).scatter(-1, order, torch.arange(order.shape[-1], device=order.device).expand_as(order))


class Scorer:
    queries = 0  # how many of the last tokens' queries it looks at
    alike = False  # all heads of a layer keep the same tokens
    of_all = False  # the highest of all heads and layers stay, not as many of each
    reads_again = False  # it needs the tokens' ids

    def __init__(self, described):
        pass

    def prepare(self, model, cache, ids, index):
        """Before the layers are scored in rising order. `ids`, `index` [batch, all]: of all tokens; ids None unless `reads_again`."""

    def score(self, layer, view):
        """Importance of each place, [batch, heads or 1, places]; -infinity goes even where there is room."""
        raise NotImplementedError


class Recency(Scorer):
    """streaming-llm: the later, the more important."""

    alike = True

    def score(self, layer, view):
        return view.index.float()


class KeyNorm(Scorer):
    """l2-norm: keys of small norm draw the most attention."""

    def score(self, layer, view):
        return -view.keys.float().square().sum(-1).sqrt()


class Leverage(Scorer):
    """curdkv: of the squared norms of key and value each token's part among its neighbours', multiplied."""

    def __init__(self, described):
        self.neighbours = described["neighbours"]

    def part(self, rows, is_held):
        norms = rows.float().square().sum(-1) * is_held
        window = (is_held.long().cumsum(-1) - 1).clamp(min=0).div(self.neighbours, rounding_mode="floor").expand_as(norms)
        sums = torch.zeros_like(norms).scatter_add(2, window, norms)
        return norms / sums.gather(2, window).clamp(min=1e-20)

    def score(self, layer, view):
        return self.part(view.keys, view.is_held) * self.part(view.values, view.is_held)


class RecentAttention(Scorer):
    """snapkv: what the last queries look at, with its neighbours."""

    def __init__(self, described):
        self.queries, self.reach = described["queries"], described["reach"]

    def score(self, layer, view):
        attention = view.recent_attention(self.queries)
        sums = attention.sum(2)
        border = max(sums.size(-1) - attention.size(2), 0)  # The queries' own tokens are no neighbours of those before.
        parts = [part for part in (sums[..., :border], sums[..., border:]) if part.size(-1) > 0]
        return torch.cat([functional.max_pool1d(part, 2 * self.reach + 1, 1, self.reach) for part in parts], -1)


class Over(Scorer):
    """Works on another's scores."""

    def __init__(self, described):
        self.inner = scorer_of(described["over"])
        self.queries, self.reads_again = self.inner.queries, self.inner.reads_again

    def prepare(self, *context):
        self.inner.prepare(*context)


class Chunks(Over):
    """chunkkv: what the tokens of a chunk are worth together by another's scores, in the first of every `reuse` layers."""

    alike = True

    def __init__(self, described):
        super().__init__(described)
        self.size, self.reuse, self.worth = described["size"], described["reuse"], None

    def score(self, layer, view):
        index = view.index[:, :1]  # all heads hold the same tokens
        chunks = index.clamp(min=0).div(self.size, rounding_mode="floor")
        if layer % self.reuse == 0:
            scores = self.inner.score(layer, view).mean(1, keepdim=True).masked_fill(index < 0, 0)
            self.worth = scores.new_zeros(len(scores), 1, int(index.max()) // self.size + 1).scatter_add(2, chunks, scores)
        return self.worth.gather(2, chunks)


class StoppingRule(Over):
    """dbudgetkv: of another's scores only the highest, as many as hold all but `loss` of the Frobenius norm of what the last queries
    give."""

    def __init__(self, described):
        super().__init__(described)
        self.loss, self.sinks, self.window = described["loss"], described["sinks"], described["window"]
        self.queries = max(1, self.queries)

    def score(self, layer, view):
        energies = view.recent_attention(self.queries).double().square().sum(2)
        scores, index = self.inner.score(layer, view).expand_as(energies), view.index
        stays = (index < self.sinks) | (index >= view.read - self.window)
        ranks = ranks_of(scores.masked_fill(stays, torch.inf).masked_fill(index < 0, -torch.inf))
        in_order = torch.zeros_like(energies).scatter(-1, ranks, energies)
        before = in_order.cumsum(-1) - in_order
        needed = before < (1 - self.loss) ** 2 * in_order.sum(-1, keepdim=True)
        return scores.masked_fill(~needed.gather(-1, ranks), -torch.inf)


class Foretold(Scorer):
    """By a trained part of the model (predictors_kvista.py)."""

    def __init__(self, described):
        self.name, self.foreteller = described["name"], None

    def prepare(self, model, *context):
        if not isinstance(model.foreteller, FORETELLERS[self.name]):
            raise ValueError(f"The policy {self.name} foretells by tensors that this model does not have. Load an export that records it.")
        if self.foreteller is None and not all(bool(part.isfinite().all()) for part in model.foreteller.parameters()):
            raise ValueError(f"The tensors that the policy {self.name} foretells by are missing, or hold NaN or infinity; export it again.")
        self.foreteller = model.foreteller


class Gated(Foretold):
    """fast-kvzip."""

    of_all = True

    def score(self, layer, view):
        return self.foreteller(layer, view.keys, view.values)


class ForetoldAttention(Foretold):
    """attention-predictor."""

    queries = KVistaAttentionPredictor.HISTORY
    KEYS_AT_ONCE = 2**16

    def score(self, layer, view):
        attention = view.recent_attention(self.queries)
        scores = attention.new_zeros(attention.shape[0], attention.shape[1], attention.shape[3])
        for row, (own, is_held) in enumerate(zip(attention, view.is_held.expand(-1, attention.shape[1], -1))):
            keys = int(is_held[0].sum())  # as many in each head; what stands beside a key must be the token beside it
            order = torch.sort((~is_held).byte(), dim=-1, stable=True).indices[:, :keys]
            own = own.gather(2, order.unsqueeze(1).expand(-1, own.shape[1], -1))
            said = torch.cat([self.foreteller(some) for some in own.split(max(1, self.KEYS_AT_ONCE // max(keys, 1)))])
            scores[row] = scores[row].scatter(1, order, said)
        return scores


class Reconstruction(Scorer):
    """kvzip: the highest attention that a token gets while the model reads its text once more behind the cache, in parts that do not
    see each other, each led in by the tokens before it."""

    LEAD_IN = 8
    of_all = reads_again = True

    def __init__(self, described):
        self.part, self.highest = described["part"], []

    @torch.no_grad()
    def prepare(self, model, cache, ids, index):
        read = (index >= 0).sum(-1, keepdim=True)
        tokens = ids.long().gather(1, torch.sort((index < 0).byte(), dim=-1, stable=True).indices)
        self.check_length(int(read.max()), model.config.max_position_embeddings)
        self.highest = [None] * len(cache.layers)
        for begin in range(0, int(read.max()), self.part):
            first, end = max(0, begin - self.LEAD_IN), min(int(read.max()), begin + self.part)
            again = cache.aside(end - begin)
            is_read = torch.arange(first, end, device=index.device) < read
            seen = torch.cat([index >= 0, is_read], 1)
            model(tokens[:, first:end], attention_mask=seen, past_key_values=again, use_cache=True)
            whole = torch.where(seen, seen.long().cumsum(-1) - 1, -1)
            angles = model.angles(whole.clamp(min=0), again.layers[0].queries.dtype)
            for number, (layer, entry) in enumerate(zip(model.layers, again.layers)):
                view = LayerView(layer, entry, None if layer.rope is None else angles[layer.rope], whole, model.mask)
                weights = view.attention_weights(end - begin)[..., : cache.layers[number].places.shape[2]]
                own = view.by_heads(weights.amax(2)).amax(2)
                self.highest[number] = own if begin == 0 else torch.maximum(self.highest[number], own)

    def check_length(self, tokens, most):
        longest = max(most // 2, most - self.part - self.LEAD_IN)
        if most and tokens > longest:
            raise ValueError(
                f"To read {tokens} tokens again behind themselves, {self.part} at a time, takes "
                f"{tokens + min(tokens, self.part + self.LEAD_IN)} positions, and the model was made for {most}."
            )

    def score(self, layer, view):
        return self.highest[layer]


SCORERS = {
    "streaming-llm": Recency,
    "l2-norm": KeyNorm,
    "curdkv": Leverage,
    "snapkv": RecentAttention,
    "chunkkv": Chunks,
    "dbudgetkv": StoppingRule,
    "kvzip": Reconstruction,
    "fast-kvzip": Gated,
    "attention-predictor": ForetoldAttention,
}


def scorer_of(described):
    return SCORERS[described["name"]](described)
