# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""The compressed cache: 16-bit latents as numbers, coded latents as packed bits.

A token of a layer is one record: the 16-bit directions of all groups as numbers in the model's dtype, and for each group
its other directions as codes in runs of 8, 4, 2 and 1 bit, every run padded to whole bytes. The first `exact_tokens` tokens of each
sequence are held as they are, and have no record.

Padding: a token's index counts the real tokens of its row, as the attention mask tells. The tokens with index below
`exact_tokens` are exact, so every row of a padded batch is computed as it would be alone. (Records exist for all columns
of the batch but the first `exact_tokens`, which can only hold padding or exact tokens; where padding has pushed an exact
token to a later column, its record is not used.)

Under a policy (policy_kvista.py) a layer holds the tokens of some columns only, its places; what belongs to all columns, such as
indices, masks and rotations, is brought to the places before attention sees it.
"""

import torch
from torch.nn import functional
from transformers.cache_utils import Cache

from .codes_kvista import pack_codes, record_parts, unpack_codes
from .policy_kvista import Policy


class LatentCoder:
    """How one group's latent is stored: `numbers` directions of 16 bits first, then coded runs."""

    def __init__(self, runs):
        self.rank = sum(count for _, count in runs)
        self.numbers = sum(count for bits, count in runs if bits == 16)
        self.runs = [(bits, count) for bits, count in runs if bits != 16]
        self.coded = self.rank - self.numbers
        self.parts = record_parts(self.runs)
        self.counts = [(bits, sum(self.runs[place][1] for place, _ in parts)) for bits, parts in self.parts]  # in the record's runs
        self.align(1, 1)

    def align(self, run, whole):
        """Pads every run to a multiple of `run` bytes and all of them to one of `whole`; kernels want 4 and 16."""
        self.sizes = [-(-count * bits // (8 * run)) * run for bits, count in self.counts]
        self.bytes = -(-sum(self.sizes) // whole) * whole

    def parts_as_directions(self, device):
        """Of each part of a code, in the record's order, its coded direction and what multiplies that one's step: what reads records
        without knowing of directions of several parts takes each part for a direction of its own, since (u - 31.5) step =
        (high - 1.5) 16 step + (low - 7.5) step for u = 16 high + low."""
        begins, directions, factors = [sum(count for _, count in self.runs[:place]) for place in range(len(self.runs))], [], []
        for place, shift in (part for _, parts in self.parts for part in parts):
            directions += range(begins[place], begins[place] + self.runs[place][1])
            factors += [2.0**shift] * self.runs[place][1]
        return torch.tensor(directions, device=device), torch.tensor(factors, device=device)

    def encode(self, latent, steps):
        """Latent [..., rank] to numbers [..., numbers] and bytes [..., bytes]. The quantiser is uniform and mid-rise:
        code = floor(z / step), clamped to 2**bits levels."""
        numbers, rest = latent.split([self.numbers, self.coded], -1)
        packed = []
        if self.coded:
            levels = torch.floor(rest.float() / steps.float()).split([count for _, count in self.runs], -1)
            halves = [2 ** (bits - 1) for bits, _ in self.runs]
            codes = [(level.clamp(-half, half - 1) + half).to(torch.uint8) for level, half in zip(levels, halves)]
            for (bits, parts), size in zip(self.parts, self.sizes):
                run = pack_codes(torch.cat([(codes[place] >> shift) & (2**bits - 1) for place, shift in parts], -1), bits)
                packed.append(functional.pad(run, (0, size - run.shape[-1])))
            packed[-1] = functional.pad(packed[-1], (0, self.bytes - sum(self.sizes)))
        return numbers, torch.cat(packed, -1) if packed else latent.new_zeros((*latent.shape[:-1], 0), dtype=torch.uint8)

    def decode(self, numbers, packed, steps):
        """The latent as attention sees it: codes become (code + 0.5) * step."""
        if not self.coded:
            return numbers
        levels = [0] * len(self.runs)
        for (bits, parts), (_, count), run in zip(self.parts, self.counts, packed[..., : sum(self.sizes)].split(self.sizes, -1)):
            codes = unpack_codes(run, bits, count).float() - (2 ** (bits - 1) - 0.5)
            for (place, shift), part in zip(parts, codes.split([self.runs[place][1] for place, _ in parts], -1)):
                levels[place] = levels[place] + part * 2**shift
        return torch.cat([numbers, (torch.cat(levels, -1) * steps.float()).to(numbers.dtype)], -1)


class LayerCache:
    """Records of one layer. All tensors are [batch, tokens, ...]."""

    asked = 0  # of the last tokens' queries, held for a policy
    heads = None  # how a policy holds keys and values in place of records

    def __init__(self, exact_tokens):
        self.exact_tokens = exact_tokens
        self.length = 0
        self.numbers = None
        self.packed = None
        self.exact = None

    def append(self, numbers, packed, outputs, index):
        """Adds new tokens. `outputs` [batch, new, width] are what exact tokens keep (None when there are none), `index`
        [batch, new] counts the real tokens of each row, -1 for padding."""
        skipped = min(max(self.exact_tokens - self.length, 0), numbers.shape[1])
        numbers, packed = numbers[:, skipped:], packed[:, skipped:]
        if self.numbers is None:
            self.numbers, self.packed = numbers.contiguous(), packed.contiguous()
        else:
            self.numbers = torch.cat([self.numbers, numbers], 1)
            self.packed = torch.cat([self.packed, packed], 1)
        self.length += index.shape[1]
        if self.exact_tokens:
            self._keep_exact(outputs, index)

    def _keep_exact(self, outputs, index):
        if self.exact is None:
            self.exact = outputs.new_zeros((outputs.shape[0], self.exact_tokens, outputs.shape[2]))
        found = index.unsqueeze(1) == torch.arange(self.exact_tokens, device=index.device)[:, None]
        column = found.int().argmax(-1, keepdim=True).expand(-1, -1, outputs.shape[2])
        self.exact = torch.where(found.any(-1, keepdim=True), outputs.gather(1, column), self.exact)

    def insert_exact(self, rebuilt, index, owners):
        """`rebuilt` [batch, records, width] with the exact tokens put in: [batch, length, width]."""
        if not self.exact_tokens:
            return rebuilt
        rebuilt = functional.pad(rebuilt, (0, 0, self.length - rebuilt.shape[1], 0))
        place = index.clamp(0, self.exact_tokens - 1).unsqueeze(-1).expand(-1, -1, rebuilt.shape[2])
        is_exact = (index >= 0) & (index < self.exact_tokens)
        return torch.where(is_exact.unsqueeze(-1), self.exact.gather(1, place), rebuilt)

    def placed(self, angles, index, mask):
        """What belongs to the tokens that are held, of what belongs to all."""
        return angles, index, mask

    def bytes_per_token(self):
        """Of a further token of one sequence."""
        records = [tensor for tensor in (self.numbers, self.packed) if tensor is not None]
        return sum(tensor.shape[-1] * tensor.element_size() for tensor in records)

    NAMES = ("numbers", "packed", "exact")

    def tensors(self):
        return [tensor for name in self.NAMES if (tensor := getattr(self, name)) is not None]

    def transform(self, change):
        """Applies `change` to every tensor (a choice of rows)."""
        for name in self.NAMES:
            tensor = getattr(self, name)
            if tensor is not None:
                setattr(self, name, change(tensor))

    def keep(self, length):
        """Forgets all tokens but the first `length`."""
        self.length = length
        if self.numbers is not None:
            records = max(length - self.exact_tokens, 0)
            self.numbers, self.packed = self.numbers[:, :records], self.packed[:, :records]


class PlacedLayer(LayerCache):
    """One layer under a policy. Each head, or all heads of a layer where their tokens can only go together, has tokens at places
    [batch, heads or 1, tokens], the columns of the batch where they stood; -1: an empty place. The exact tokens' records stay."""

    NAMES = (*LayerCache.NAMES, "places", "queries")

    def __init__(self, exact_tokens, units, asked, heads):
        super().__init__(exact_tokens)
        self.units, self.asked, self.heads = units, asked, heads
        self.places = self.queries = None

    def append(self, numbers, packed, outputs, index):
        self.numbers = numbers.contiguous() if self.numbers is None else torch.cat([self.numbers, numbers], 1)
        self.packed = packed.contiguous() if self.packed is None else torch.cat([self.packed, packed], 1)
        self._extend(index)
        if self.exact_tokens:
            self._keep_exact(outputs, index)

    def hold(self, keys, values, index):
        """In place of append, heads [batch, new, heads, width] as attention sees them."""
        self.heads.keys.append(keys.transpose(1, 2))
        self.heads.values.append(values.transpose(1, 2))
        self._extend(index)

    def _extend(self, index):
        columns = torch.arange(self.length, self.length + index.shape[1], dtype=torch.int32, device=index.device)
        columns = columns.expand(len(index), self.units, -1)
        self.places = columns.contiguous() if self.places is None else torch.cat([self.places, columns], 2)
        self.length += index.shape[1]

    def ask(self, queries):
        """Holds the last queries, [batch, heads, asked, width]."""
        queries = queries.transpose(1, 2)
        queries = queries if self.queries is None else torch.cat([self.queries, queries], 2)
        self.queries = queries[:, :, -self.asked :].contiguous()

    def placed(self, angles, index, mask):
        """Angles [batch, places, units, pairs], indices [batch, units, places] and mask [batch, units, new, places]."""
        places, is_held = self.places.clamp(min=0).long(), self.places >= 0
        rows = torch.arange(len(places), device=places.device)[:, None, None]
        if angles is not None:
            angles = tuple(part[rows, places].transpose(1, 2) for part in angles)
        if mask is not None:
            mask = mask.expand(-1, self.units, -1, -1).gather(3, places.unsqueeze(2).expand(-1, -1, mask.shape[2], -1))
            mask = mask & is_held.unsqueeze(2)
        return angles, index[rows, places].masked_fill(~is_held, -1), mask

    def insert_exact(self, rebuilt, index, owners):
        """`owners` [width]: of each column the head. Indices as `placed` answers them."""
        if not self.exact_tokens:
            return rebuilt
        index = index.transpose(1, 2)
        index = index[..., owners] if self.units > 1 else index.expand(-1, -1, len(owners))
        is_exact = (index >= 0) & (index < self.exact_tokens)
        return torch.where(is_exact, self.exact.gather(1, index.clamp(0, self.exact_tokens - 1)), rebuilt)

    def take(self, stays, groups):
        """Leaves the places where `stays` [batch, units, places] holds. `groups`: the unit of each group of latents and how many of a
        record's numbers and bytes are its."""
        counts = stays.sum(-1)
        order = torch.sort((~stays).byte(), dim=-1, stable=True).indices[..., : int(counts.max())]
        is_empty = torch.arange(order.shape[-1], device=order.device) >= counts.unsqueeze(-1)
        self.places = self.places.gather(2, order).masked_fill(is_empty, -1)
        if self.heads is not None:
            for side in (self.heads.keys, self.heads.values):
                side.take(order.expand(-1, side.stored[0].shape[1], -1))
            return
        units, *sizes = zip(*groups)
        for name, parts in zip(("numbers", "packed"), sizes):
            taken = [
                part.gather(1, order[:, unit].unsqueeze(-1).expand(-1, -1, part.shape[-1]))
                for unit, part in zip(units, getattr(self, name).split(parts, -1))
            ]
            setattr(self, name, torch.cat(taken, -1))

    def bytes_per_token(self):
        if self.heads is None:
            return super().bytes_per_token()
        return sum(part.shape[1] * part.shape[3] * part.element_size() for part in (self.heads.keys.fresh, self.heads.values.fresh))

    def tensors(self):
        return super().tensors() + ([] if self.heads is None else self.heads.tensors())

    def transform(self, change):
        super().transform(change)
        if self.heads is not None:
            self.heads.transform(change)

    def keep(self, length):
        raise NotImplementedError("A cache under a policy does not hold every token, so it cannot be taken back to an earlier one.")


class KVistaCache(Cache):
    """The cache of a whole model, filled by its forward pass: `KVistaCache(model.config)`. `config.kvista["policy"]` = None
    before it is made leaves out the policy that the model was exported with."""

    is_compileable = False

    def __init__(self, config):
        if isinstance(self, torch.nn.Module):  # transformers 4.44
            torch.nn.Module.__init__(self)
        self.config = config
        self.reset()

    def nbytes(self):
        """Bytes of everything the cache holds."""
        return sum(tensor.nbytes for layer in self.layers for tensor in layer.tensors())

    def bytes_per_token(self):
        """Bytes that each further token of one sequence costs, over all layers, measured on the tensors. A 16-bit
        direction counts as what it takes in the model's dtype, so 4 bytes in a model loaded as float32."""
        return sum(layer.bytes_per_token() for layer in self.layers)

    def get_seq_length(self, layer_idx=0):
        return self.layers[layer_idx].length

    def get_max_length(self, layer_idx=None):
        return None

    def get_max_cache_shape(self, layer_idx=0):
        return None

    def get_mask_sizes(self, query_length, layer_idx):
        return self.get_seq_length(layer_idx) + query_length, 0

    def update(self, key_states, value_states, layer_idx, cache_kwargs=None):
        raise NotImplementedError("KVistaCache is filled by the KVista model itself, not with keys and values.")

    def reorder_cache(self, beam_idx):
        self._transform(lambda tensor: tensor.index_select(0, beam_idx.to(tensor.device)))

    def batch_repeat_interleave(self, repeats):
        self._transform(lambda tensor: tensor.repeat_interleave(repeats, dim=0))

    def batch_select_indices(self, indices):
        self._transform(lambda tensor: tensor[indices.to(tensor.device)])

    def crop(self, max_length):
        """Keeps the first `max_length` tokens; a negative number takes that many away, 0 changes nothing."""
        for layer in self.layers:
            if max_length < 0:
                layer.keep(max(layer.length + max_length, 0))
            elif 0 < max_length < layer.length:
                layer.keep(max_length)

    def reset(self):
        exact_tokens, layers = self.config.kvista["exact_tokens"], range(self.config.num_hidden_layers)
        self.policy = Policy(self.config) if self.config.kvista.get("policy") else None
        if self.policy is None:
            self.layers = [LayerCache(exact_tokens) for _ in layers]
        else:
            self.layers = [PlacedLayer(exact_tokens, self.policy.units, self.policy.queries, self.policy.heads()) for _ in layers]

    def _transform(self, change):
        for layer in self.layers:
            layer.transform(change)

    def __len__(self):
        return len(self.layers)

    def __repr__(self):
        return f"KVistaCache(tokens={self.get_seq_length()}, nbytes={self.nbytes()})"

    @property
    def is_initialized(self):
        return self.get_seq_length() > 0

    @property
    def is_croppable(self):
        return self.policy is None

    @property
    def is_sliding(self):
        return [False] * len(self.layers)

    @property
    def batch_size(self):
        tensors = self.layers[0].tensors()
        return tensors[0].shape[0] if tensors else -1

    @property
    def max_batch_size(self):
        return self.batch_size
