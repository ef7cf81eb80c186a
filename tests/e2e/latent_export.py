# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Test helper: writes a `latent` export of a stock transformers model with given factors, and computes what it must answer
from the stock model itself."""

import contextlib
import json
import math
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import save_file

MODEL_CODE = Path(__file__).resolve().parents[2] / "resources" / "model_code"


@dataclass
class Group:
    """Factors as core/compress/factors.h describes them; `up` None: the identity."""

    slots: list
    widths: list  # of the kept directions, falling
    up: torch.Tensor | None = None  # [n, r]
    down: torch.Tensor | None = None  # [r, n]
    steps: torch.Tensor = field(default_factory=lambda: torch.zeros(0))  # of the coded directions
    prediction: torch.Tensor | None = None  # [n, n], of what the layer `predicted_from` has rebuilt
    predicted_from: int | None = None

    @property
    def runs(self):
        return [[bits, self.widths.count(bits)] for bits in sorted(set(self.widths), reverse=True)]

    def simulate(self, outputs):
        """What attention sees of `outputs` [..., n]."""
        if self.up is None:
            return outputs
        latent = outputs @ self.down.T
        coded = torch.tensor([width != 16 for width in self.widths])
        half = torch.tensor([2.0 ** (width - 1) for width in self.widths if width != 16])
        code = torch.floor(latent[..., coded] / self.steps)
        latent[..., coded] = (torch.maximum(torch.minimum(code, half - 1), -half) + 0.5) * self.steps
        return latent @ self.up.T


@dataclass
class Plan:
    layers: list  # of lists of Group
    exact_tokens: int = 0
    after_rope: bool = False
    token_numbers: bool = False  # in the first layer, which has no groups then

    def bytes_per_token(self, number_bytes=2):
        total = 4 if self.token_numbers else 0
        for group in (group for layer in self.layers for group in layer):
            for bits in (16, 8, 4, 2, 1):
                count = sum(bits & width > 0 for width in group.widths)  # a code of 6 bits is one of 4 and one of 2
                total += count * number_bytes if bits == 16 else math.ceil(count * bits / 8)
        return total


def random_group(generator, slots, width, widths, scale=1.0):
    """A random orthonormal basis with a little scaling, so that `down` is not the transpose of `up`."""
    n = len(slots) * width
    kept = sorted((bits for bits in widths if bits), reverse=True)
    assert len(kept) <= n
    basis = torch.linalg.qr(torch.randn(n, n, generator=generator))[0][:, : len(kept)]
    stretch = torch.rand(n, generator=generator) + 0.5
    steps = torch.tensor([scale * 4.0 / 2**bits for bits in kept if bits != 16])
    return Group(slots, kept, (basis / stretch[:, None]).contiguous(), (basis * stretch[:, None]).T.contiguous(), steps)


def columns_of(slots, config, head_dim):
    offset = {"key": 0, "value": config.num_key_value_heads * head_dim}
    return [offset[side] + head * head_dim + i for side, head in slots for i in range(head_dim)]


def describe(model):
    """The `decoder` object of a model whose layers are all of one kind."""
    config, attention, mlp = model.config, model.model.layers[0].self_attn, model.model.layers[0].mlp
    rotary = (model.model if hasattr(model.model, "rotary_emb") else attention).rotary_emb  # the latter before 4.48

    def biases(**projections):
        return [name for name, module in projections.items() if module.bias is not None]

    def norm(width):
        return {"width": width, "epsilon": config.rms_norm_eps}

    described = {
        "scale": attention.head_dim**-0.5,
        "rope": 0,
        "biases": biases(query=attention.q_proj, key=attention.k_proj, value=attention.v_proj, output=attention.o_proj),
    }
    if getattr(config, "sliding_window", None) is not None:
        described["window"] = config.sliding_window
    if hasattr(attention, "q_norm"):
        described["query_norm"] = described["key_norm"] = norm(attention.head_dim)
    block = {
        "attention_norm": norm(config.hidden_size),
        "attention": described,
        "feed_forward_norm": norm(config.hidden_size),
        "feed_forward": {
            "activation": config.hidden_act,
            "mlp": {
                "width": config.intermediate_size,
                "biases": biases(gate=mlp.gate_proj, up=mlp.up_proj, down=mlp.down_proj),
            },
        },
    }
    rope = {
        "rotary_dim": 2 * len(rotary.inv_freq),
        "scale": getattr(rotary, "attention_scaling", 1.0),
        "inverse_frequencies": rotary.inv_freq.double().tolist(),
    }
    return {"embedding": {}, "blocks": [block], "head": {"norm": norm(config.hidden_size)}, "ropes": [rope]}


def write_export(model, plan, folder, dtype=None):
    """Writes `model` with `plan` as KVista's exporter does."""
    folder.mkdir(parents=True, exist_ok=True)
    config, head_dim = model.config, model.model.layers[0].self_attn.head_dim
    tensors = {name: tensor for name, tensor in model.state_dict().items() if "rotary" not in name}
    if config.tie_word_embeddings:
        tensors.pop("lm_head.weight", None)
    layers = []
    for number, groups in enumerate(plan.layers):
        prefix = f"model.layers.{number}.self_attn."
        weight = torch.cat([tensors[prefix + "k_proj.weight"], tensors[prefix + "v_proj.weight"]])
        described = []
        kept = {"key", "value"} if plan.token_numbers and number == 0 else set()
        for place, group in enumerate(groups):
            rotated = plan.after_rope and group.slots[0][0] == "key"
            hidden = plan.exact_tokens == 0 and not rotated and group.prediction is None
            if not hidden:
                kept.update(side for side, _ in group.slots)
            rows = weight[columns_of(group.slots, config, head_dim)]
            name = f"{prefix}groups.{place}."
            if group.up is not None:
                tensors[name + "up.weight"] = group.up
                tensors[name + "down.weight"] = group.down @ rows if hidden else group.down
            elif hidden:
                tensors[name + "down.weight"] = rows
            if group.prediction is not None:
                tensors[name + "prediction.weight"] = group.prediction
            if len(group.steps):
                tensors[name + "steps"] = group.steps
            described.append(
                {
                    "slots": [list(slot) for slot in group.slots],
                    "input": "hidden" if hidden else "heads",
                    "identity": group.up is None,
                    "predicted_from": group.predicted_from,
                    "runs": group.runs,
                }
            )
        for side, projection in (("key", "k_proj"), ("value", "v_proj")):
            if side not in kept:
                tensors.pop(prefix + projection + ".weight")
        layers.append({"block": 0, "groups": described})
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors", {"format": "pt"})
    top = {
        "model_type": "kvista",
        "architectures": ["KVistaForCausalLM"],
        "auto_map": {
            "AutoConfig": "configuration_kvista.KVistaConfig",
            "AutoModel": "modeling_kvista.KVistaModel",
            "AutoModelForCausalLM": "modeling_kvista.KVistaForCausalLM",
        },
        "torch_dtype": dtype or "float32",
        **{
            key: getattr(config, key)
            for key in (
                "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
                "num_key_value_heads", "max_position_embeddings", "tie_word_embeddings", "bos_token_id", "eos_token_id",
                "pad_token_id",
            )
        },
        "head_dim": head_dim,
        "kvista": {
            "format": 2,
            "base_config": {"model_type": config.model_type},
            "decoder": describe(model),
            "key_position": "after_rope" if plan.after_rope else "before_rope",
            "exact_tokens": plan.exact_tokens,
            "token_numbers": plan.token_numbers,
            "layers": layers,
        },
    }
    (folder / "config.json").write_text(json.dumps(top, indent=2))
    for file in MODEL_CODE.glob("*.py"):
        shutil.copy(file, folder)


def simulate_layer(plan, layer, outputs, config, head_dim, befores=()):
    """Keys and values of one layer after compression; `outputs` [batch, tokens, keys and values], `befores` what became of those of the
    layers before. Groups whose columns are not there (None) are left out."""
    result = outputs.clone()
    for group in plan.layers[layer]:
        if group.prediction is not None:
            foreseen = befores[group.predicted_from] @ group.prediction.T
            result[:, plan.exact_tokens :] = (foreseen + group.simulate(outputs - foreseen))[:, plan.exact_tokens :]
            continue
        columns = columns_of(group.slots, config, head_dim)
        result[:, plan.exact_tokens :, columns] = group.simulate(outputs[:, plan.exact_tokens :, columns])
    return result


@contextlib.contextmanager
def compressed(model, plan):
    """Within this context the stock `model`'s forward pass (no cache, no padding) computes what the plan says."""
    config, undo = model.config, contextlib.ExitStack()
    held = {}
    with undo:
        for number, layer in enumerate(model.model.layers):
            attention = layer.self_attn
            key_width = attention.k_proj.out_features

            def on_input(module, args, kwargs, number=number, attention=attention, key_width=key_width):
                hidden = kwargs.get("hidden_states", args[0] if args else None)
                raw = [hidden @ attention.k_proj.weight.T, hidden @ attention.v_proj.weight.T]
                if plan.after_rope:
                    raw[0] = torch.zeros_like(raw[0])  # rotated keys are done in the rotation itself
                befores = [torch.cat(held[earlier], -1) for earlier in range(number)]
                changed = simulate_layer(plan, number, torch.cat(raw, -1), config, attention.head_dim, befores)
                held[number] = changed.split([key_width, changed.shape[-1] - key_width], -1)
                held["layer"] = number

            def on_output(module, args, output, number=number, side=0):
                changed = held[number][side]
                return changed if module.bias is None else changed + module.bias

            hooks = [attention.register_forward_pre_hook(on_input, with_kwargs=True)]
            if not plan.after_rope:
                hooks.append(attention.k_proj.register_forward_hook(on_output))
            hooks.append(
                attention.v_proj.register_forward_hook(
                    lambda module, args, output, call=on_output, number=number: call(module, args, output, number, 1)
                )
            )
            for hook in hooks:
                undo.callback(hook.remove)
        if plan.after_rope:
            undo.enter_context(rotated_keys_changed(model, plan, held))
        yield


@contextlib.contextmanager
def rotated_keys_changed(model, plan, held):
    module = sys.modules[type(model).__module__]
    original = module.apply_rotary_pos_emb
    head_dim = model.model.layers[0].self_attn.head_dim

    def changed(queries, keys, *args, **kwargs):
        queries, keys = original(queries, keys, *args, **kwargs)
        flat = keys.transpose(1, 2).flatten(-2)
        both = torch.cat([flat, torch.zeros_like(flat)], -1)
        both = simulate_layer(plan, held["layer"], both, model.config, head_dim)
        return queries, both[..., : flat.shape[-1]].unflatten(-1, (-1, head_dim)).transpose(1, 2)

    module.apply_rotary_pos_emb = changed
    try:
        yield
    finally:
        module.apply_rotary_pos_emb = original
