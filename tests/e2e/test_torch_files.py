# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Files that torch.save wrote, in all the forms that checkpoints have: the same logits as from safetensors, and nothing in them runs."""

import json
import shutil
from collections import OrderedDict

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig

from program import BAD_INPUT, answer, complaint, run

CONFIG = LlamaConfig(
    vocab_size=90, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=1, max_position_embeddings=64
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model of random weights, its folder with safetensors, and its logits here for 20 tokens."""
    folder = tmp_path_factory.mktemp("original")
    torch.manual_seed(3)
    original = AutoModelForCausalLM.from_config(CONFIG)
    for weight in original.parameters():
        torch.nn.init.normal_(weight, 0, 0.2)
    original.save_pretrained(folder)
    ids = torch.randint(0, 90, (1, 20))
    save_file({"input_ids": ids}, folder / "ids.safetensors")
    return original, folder, original(ids).logits.detach()


def logits(folder, model, tmp_path):
    run("forward", folder, "--input", model[1] / "ids.safetensors", "-o", tmp_path / "out.safetensors")
    return load_file(tmp_path / "out.safetensors")["logits"]


def parameters(state):
    return OrderedDict((name, torch.nn.Parameter(tensor)) for name, tensor in state.items())


def turned(state):
    """Matrices whose numbers lie column by column."""
    return {name: tensor.t().contiguous().t() if tensor.dim() == 2 else tensor for name, tensor in state.items()}


def in_one_storage(state):
    whole = torch.cat([tensor.flatten() for tensor in state.values()])
    starts = torch.tensor([0, *(tensor.numel() for tensor in state.values())]).cumsum(0).tolist()
    return {name: whole[start : start + tensor.numel()].view(tensor.shape) for (name, tensor), start in zip(state.items(), starts)}


FORMS = {
    "module": (lambda state: state, {}),
    "plain": (dict, {}),
    "parameters": (parameters, {}),
    "turned": (turned, {}),
    "one-storage": (in_one_storage, {}),
    "protocol-4": (lambda state: state, {"pickle_protocol": 4}),
    "legacy": (lambda state: state, {"_use_new_zipfile_serialization": False}),
    "legacy-one-storage": (in_one_storage, {"_use_new_zipfile_serialization": False}),
    "legacy-protocol-4": (turned, {"_use_new_zipfile_serialization": False, "pickle_protocol": 4}),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_logits_of_the_model(form, model, tmp_path):
    change, options = FORMS[form]
    shutil.copy(model[1] / "config.json", tmp_path)
    torch.save(change(model[0].state_dict()), tmp_path / "pytorch_model.bin", **options)
    assert answer("inspect", tmp_path)["format"] == "pytorch"
    assert (logits(tmp_path, model, tmp_path) - model[2]).abs().max() < 1e-4


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_types_are_those_of_the_file(dtype, model, tmp_path):
    """An export carries over what it does not change, byte for byte; so the file's types and numbers can be seen."""
    shutil.copy(model[1] / "config.json", tmp_path)
    state = {name: tensor.to(dtype) for name, tensor in model[0].state_dict().items()}
    torch.save(state, tmp_path / "pytorch_model.bin")
    expected = AutoModelForCausalLM.from_pretrained(model[1], dtype=torch.float32)
    expected.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    ids = load_file(model[1] / "ids.safetensors")["input_ids"]
    assert (logits(tmp_path, model, tmp_path) - expected(ids).logits).abs().max() < 1e-4


def test_shards_and_their_index(model, tmp_path):
    shutil.copy(model[1] / "config.json", tmp_path)
    state = model[0].state_dict()
    names = sorted(state)
    shards = {"pytorch_model-00001-of-00002.bin": names[:9], "pytorch_model-00002-of-00002.bin": names[9:]}
    for file, part in shards.items():
        torch.save({name: state[name] for name in part}, tmp_path / file)
    weight_map = {name: file for file, part in shards.items() for name in part}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    assert (logits(tmp_path, model, tmp_path) - model[2]).abs().max() < 1e-4


class Payload:
    def __reduce__(self):
        return print, ("HOSTILE",)


@pytest.mark.parametrize("legacy", [False, True])
def test_what_would_run_is_refused_by_name(legacy, model, tmp_path):
    shutil.copy(model[1] / "config.json", tmp_path)
    torch.save({**model[0].state_dict(), "extra": Payload()}, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=not legacy)
    done = run("inspect", tmp_path, code=BAD_INPUT)
    assert "builtins.print" in complaint(done).replace("__builtin__", "builtins") and "HOSTILE" not in done.stdout + done.stderr


def test_a_training_checkpoint_is_told_so(model, tmp_path):
    shutil.copy(model[1] / "config.json", tmp_path)
    torch.save({"model": model[0].state_dict(), "step": 3}, tmp_path / "pytorch_model.bin")
    assert 'a dictionary as "model" instead of a tensor' in complaint(run("inspect", tmp_path, code=BAD_INPUT))
