# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""The compressed cache: 16-bit latents as numbers, coded latents as packed bits.

A token of a layer is one record: the 16-bit directions of all groups as numbers in the model's dtype, and for each group
its other directions as codes in runs of 8, 4, 2 and 1 bit, every run padded to whole bytes. The first `exact_tokens` tokens of each
sequence are held as they are, and have no record. Where the first layer stores the numbers of tokens, these are its records, of all tokens.

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
from .layer_cache_kvista import LayerCache, PlacedLayer
from .policy_kvista import Policy
from .trellis_kvista import WIDEST, trellis_codes, trellis_levels


class LatentCoder:
    """How one group's latent is stored: `numbers` directions of 16 bits first, then coded runs, those of few bits through a trellis
    each if there is one."""

    def __init__(self, runs, trellis=False):
        self.trellis = trellis
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
            scaled = (rest.float() / steps.float()).split([count for _, count in self.runs], -1)
            codes = [self._codes(own, bits) for own, (bits, _) in zip(scaled, self.runs)]
            for (bits, parts), size in zip(self.parts, self.sizes):
                run = pack_codes(torch.cat([(codes[place] >> shift) & (2**bits - 1) for place, shift in parts], -1), bits)
                packed.append(functional.pad(run, (0, size - run.shape[-1])))
            packed[-1] = functional.pad(packed[-1], (0, self.bytes - sum(self.sizes)))
        return numbers, torch.cat(packed, -1) if packed else latent.new_zeros((*latent.shape[:-1], 0), dtype=torch.uint8)

    def _codes(self, scaled, bits):
        if self.trellis and bits <= WIDEST:
            return trellis_codes(scaled, bits)
        half = 2 ** (bits - 1)
        return (torch.floor(scaled).clamp(-half, half - 1) + half).to(torch.uint8)

    def decode(self, numbers, packed, steps):
        """The latent as attention sees it: codes become (code + 0.5) * step, or what their trellis says."""
        if not self.coded:
            return numbers
        codes = [0] * len(self.runs)
        for (bits, parts), (_, count), run in zip(self.parts, self.counts, packed[..., : sum(self.sizes)].split(self.sizes, -1)):
            for (place, shift), part in zip(parts, unpack_codes(run, bits, count).split([self.runs[place][1] for place, _ in parts], -1)):
                codes[place] = codes[place] | part << shift
        levels = torch.cat([self._levels(own, bits) for own, (bits, _) in zip(codes, self.runs)], -1)
        return torch.cat([numbers, (levels * steps.float()).to(numbers.dtype)], -1)

    def _levels(self, codes, bits):
        return trellis_levels(codes, bits) if self.trellis and bits <= WIDEST else codes.float() - (2 ** (bits - 1) - 0.5)


class Unchanged:
    """In place of a policy: all that a cache under one reads more stays as it is."""

    def read(self, *context):
        pass


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
        own = [] if self.policy is None else self.policy.tensors()
        return sum(tensor.nbytes for tensor in own) + sum(tensor.nbytes for layer in self.layers for tensor in layer.tensors())

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
            self.layers = [LayerCache(0 if self.config.numbers_tokens(layer) else exact_tokens) for layer in layers]
        else:
            self.layers = [PlacedLayer(exact_tokens, self.policy, layer) for layer in layers]

    def aside(self, asked):
        """A copy under a policy that can read more, which the policy leaves as it is, while this stays as it is; the last `asked`
        queries are held. What it reads is exact, as a policy that reads again has it."""
        groups = [group for layer in self.config.kvista["layers"] for group in layer["groups"]]
        other = KVistaCache(self.config)
        other.policy = Unchanged()
        other.layers = [layer.aside(asked, not all(group["identity"] for group in groups)) for layer in self.layers]
        return other

    def _transform(self, change):
        if self.policy is not None:
            self.policy.transform(change)
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
