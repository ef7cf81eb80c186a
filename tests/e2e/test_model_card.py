# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""What every export has besides its plan: a model card that the Hub's own library reads, weight files of the size and the type
that were asked for, which transformers loads."""

import json
import shutil

import pytest
import torch
from huggingface_hub import ModelCard
from safetensors import safe_open
from transformers import AutoModelForCausalLM

from demo import first_layers
from program import MODEL, TEXTS, USAGE, answer, complaint, run

FORMS = ["latent", "dense", "palu"]
HEADER = """---
license: other
license_name: demo licence
license_link: LICENSE
base_model: somebody/else
language:
- en
tags: [stories]
---
# Their words
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plan")
    shutil.copytree(MODEL, folder / "model")
    (folder / "model/README.md").write_text(HEADER)
    run("calibrate", folder / "model", "--text", TEXTS / "calibration.txt", "--window", 64, "--tokens", 2048, "--no-response", "-o", folder / "statistics")
    said = answer("plan", folder / "model", "--stats", folder / "statistics", "--method", "separate", "--keep", 0.5, "-o", folder / "plan.kvista")
    return folder / "plan.kvista", said


@pytest.mark.parametrize("form", FORMS)
def test_cards_are_read_by_the_hubs_library(plan, form, tmp_path):
    said = answer("export", plan[0], "-o", tmp_path / "small", "--form", form)
    assert "README.md" in said["files"]
    card = ModelCard.load(tmp_path / "small/README.md")
    assert (card.data.license, card.data.license_name, card.data.license_link) == ("other", "demo licence", "LICENSE")
    assert card.data.base_model == ["somebody/else"] and card.data.language == ["en"]
    assert card.data.library_name == "transformers" and card.data.tags == ["stories", "kvista", "kv-cache"]
    assert "Their words" not in card.text and str(plan[0].parent) not in card.text
    assert f"| cache, bytes a token | {plan[1]['fullBytesPerToken']} | {said['bytesPerToken']} |" in card.text
    assert f"| perplexity, predicted from the calibration text | {plan[1]['basePerplexity']:.3f} | {plan[1]['predictedPerplexity']:.3f} |" in card.text
    assert "`calibration.txt`: 2048 tokens, in windows of 64" in card.text
    assert plan[1]["fingerprint"] in card.text
    for note in said["notes"]:
        assert note in card.text
    assert run("verify", tmp_path / "small")


def test_cards_of_compress_hold_what_was_measured(tmp_path):
    words = tmp_path / "words.txt"
    words.write_text((TEXTS / "calibration.txt").read_text()[:6000])
    said = answer("compress", first_layers(2, tmp_path / "model"), "--text", words, "--window", 64, "--windows", 8, "--evaluate-windows", 4,
                  "-o", tmp_path / "small")
    text = (tmp_path / "small/README.md").read_text()
    figures = f"{said['perplexityBefore']:.3f} | {said['perplexityAfter']:.3f} |"
    assert f"| perplexity, measured on what calibration left of `words.txt`, {said['predictions']} tokens | {figures}" in text
    assert f"{said['timesSmaller']:.2f} times less" in text


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_weights_in_each_type_and_in_shards_load_in_transformers(plan, form, name, tmp_path):
    folder, dtype = tmp_path / "small", getattr(torch, name)
    run("export", plan[0], "-o", folder, "--form", form, "--factor-dtype", name, "--weight-dtype", name, "--shard-size", "500kB")
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    files = sorted(folder.glob("*.safetensors"))
    assert len(files) > 2 and set(index["weight_map"].values()) == {file.name for file in files}
    for file in files:
        with safe_open(file, "pt") as shard:
            tensors = {key: shard.get_tensor(key) for key in shard.keys()}
        assert {tensor.dtype for tensor in tensors.values()} == {dtype}
        assert sum(tensor.nbytes for tensor in tensors.values()) <= 500_000 or len(tensors) == 1
    if form == "palu":
        return  # test_palu.py loads it
    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True, dtype="auto").eval()
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}
    ids = torch.arange(5, 37)[None]
    with torch.no_grad():
        found = model(ids).logits.float()
        reference = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True, dtype=torch.float32).eval()(ids).logits
    assert (found - reference).square().mean().sqrt() < 0.05 * reference.std()
    assert model.generate(ids, max_new_tokens=4, min_new_tokens=4, do_sample=False, pad_token_id=0).shape == (1, 36)


@pytest.mark.parametrize("size", ["0GB", "GB", "-1GB", "5TB", "1e3", "5 GB"])
def test_sizes_of_shards_that_are_none(plan, size, tmp_path):
    assert "5GB, 500MB or 2GiB" in complaint(run("export", plan[0], "-o", tmp_path / "small", f"--shard-size={size}", code=USAGE))
