# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Folders as people have them: shards without an index, a head stored beside the embedding that it is said to be, weights elsewhere."""

import shutil

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from program import BAD_INPUT, answer, complaint, run
from small_models import IDS, make
from test_families import own_logits


@pytest.fixture
def model(tmp_path):
    return make("llama", tmp_path / "model", num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True)


def split(folder, ending, save):
    """The weights in three shards, without an index."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    for shard in range(3):
        save({name: tensor for i, (name, tensor) in enumerate(tensors.items()) if i % 3 == shard}, folder / f"{ending[0]}-0000{shard + 1}-of-00003{ending[1]}")


@pytest.mark.parametrize("ending, save", [(("model", ".safetensors"), save_file), (("pytorch_model", ".bin"), torch.save)], ids=["safetensors", "bin"])
@torch.no_grad()
def test_shards_without_an_index_are_taken_together(model, ending, save, tmp_path):
    split(tmp_path / "model", ending, save)
    torch.testing.assert_close(own_logits(tmp_path / "model", IDS, tmp_path), model(IDS).logits, atol=1e-4, rtol=1e-4)
    assert any("has no index; its 3 shards are taken together" in problem for problem in answer("inspect", tmp_path / "model")["problems"])
    (tmp_path / "model" / f"{ending[0]}-00002-of-00003{ending[1]}").unlink()
    assert "holds 2 of 3 shards" in complaint(run("inspect", tmp_path / "model", code=BAD_INPUT))


@pytest.mark.skipif(int(transformers.__version__.split(".")[0]) < 5, reason="older versions tie a head whatever is stored")
@torch.no_grad()
def test_a_stored_head_with_other_numbers_counts(model, tmp_path):
    file = tmp_path / "model/model.safetensors"
    tensors = load_file(file)
    save_file({**tensors, "lm_head.weight": tensors["model.embed_tokens.weight"].clone()}, file)
    assert not answer("inspect", tmp_path / "model")["problems"], "twice the same numbers"
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].flip(0).contiguous()
    save_file(tensors, file)
    assert any("the head is the embedding, but" in problem for problem in answer("inspect", tmp_path / "model")["problems"])
    expected = AutoModelForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.float32)(IDS).logits
    torch.testing.assert_close(own_logits(tmp_path / "model", IDS, tmp_path), expected, atol=1e-4, rtol=1e-4)
    assert (expected - model(IDS).logits).abs().max() > 0.1


def test_where_the_model_is_instead_is_said(model, tmp_path):
    folder = tmp_path / "training"
    shutil.move(tmp_path / "model", folder / "checkpoint-500")
    assert f"{folder}/checkpoint-500 has one: give that folder." in complaint(run("inspect", folder, code=BAD_INPUT))
    shutil.copytree(folder / "checkpoint-500", folder / "checkpoint-900")
    assert "2 folders in it have one, such as" in complaint(run("inspect", folder, code=BAD_INPUT))
    (tmp_path / "original").mkdir()
    (tmp_path / "original/params.json").write_text("{}")
    assert "get the model in the format of transformers" in complaint(run("inspect", tmp_path / "original", code=BAD_INPUT))
