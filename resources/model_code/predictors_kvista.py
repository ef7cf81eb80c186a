# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Small trained parts of policies that travel with the model's weights, as `model.foreteller`; made by `kvista gate`. All in
float32."""

import torch
from torch import nn


class KVistaGate(nn.Module):
    """fast-kvzip (Kim et al. 2026): of each head a linear map of a token's features comes near the logarithm of what kvzip says of
    it."""

    def __init__(self, config):
        super().__init__()
        ropes, self.ropes = config.kvista["decoder"]["ropes"], []
        for layer in range(config.num_hidden_layers):
            rope = config.block_of(layer)["attention"].get("rope")
            self.ropes.append(None if rope is None else (ropes[rope]["rotary_dim"], ropes[rope].get("interleaved", False)))
        width = config.kvista.get("value_head_dim", config.head_dim) + config.head_dim + 3
        features = [width - (0 if rope is None else rope[0] // 2) for rope in self.ropes]
        heads = config.num_key_value_heads
        self.weights = nn.ParameterList([nn.Parameter(torch.zeros(heads, count), requires_grad=False) for count in features])

    def features(self, layer, keys, values):
        """The value, the length of each of the key's rotary pairs and its other numbers, the lengths of key and value, and 1."""
        keys, values, turning = keys.float(), values.float(), keys.float()
        if self.ropes[layer] is not None:
            width, interleaved = self.ropes[layer]
            pairs = keys[..., :width].square()
            pairs = pairs.unflatten(-1, (-1, 2)).sum(-1) if interleaved else pairs.unflatten(-1, (2, -1)).sum(-2)
            turning = torch.cat([pairs.sqrt(), keys[..., width:]], -1)
        lengths = [part.square().sum(-1, keepdim=True).sqrt() for part in (keys, values)]
        return torch.cat([values, turning, *lengths, torch.ones_like(lengths[0])], -1)

    def forward(self, layer, keys, values):
        """Importance of each place, [batch, heads, places]."""
        return (self.features(layer, keys, values) @ self.weights[layer].float().unsqueeze(-1)).squeeze(-1)


class KVistaAttentionPredictor(nn.Module):
    """attention-predictor (Yang et al. 2025): a history of attention, queries down and keys across, is a picture on which
    convolutions see what the next queries will look at."""

    HISTORY, LEAST = 64, 1e-3  # queries; of a key's fair part of the attention

    def __init__(self, config):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, stride=(2, 1), padding=1)
        self.second = nn.Conv2d(8, 16, 3, stride=(2, 1), padding=1)
        self.last = nn.Conv2d(16, 1, (self.HISTORY // 4, 1), bias=False)
        self.requires_grad_(False)

    def forward(self, history):
        """What the next queries will give each key up to a factor, as a logarithm: [n, keys]. `history` [n, queries, keys]."""
        fair = nn.functional.pad(history, (0, 0, self.HISTORY - history.shape[1], 0)) * float(history.shape[2])
        picture = (fair.clamp(min=self.LEAST).log() / 4).unsqueeze(1)
        for layer in (self.first, self.second):
            picture = torch.relu(self._through(layer, picture, layer.bias.float()))
        return (fair.mean(1) + self.LEAST).log() + self._through(self.last, picture, None).squeeze(2).squeeze(1)

    @staticmethod
    def _through(layer, picture, bias):
        """In float32, whatever the model was loaded as."""
        return nn.functional.conv2d(picture, layer.weight.float(), bias, layer.stride, layer.padding)


FORETELLERS = {"fast-kvzip": KVistaGate, "attention-predictor": KVistaAttentionPredictor}


def foreteller_of(config):
    """What the recorded policy foretells by; None where it has no such part."""
    name = ((config.kvista.get("policy") or {}).get("chooser") or {}).get("name")
    return FORETELLERS[name](config) if name in FORETELLERS else None
