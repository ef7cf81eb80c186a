# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Run-time policies that exports record: the model code in transformers against `kvista evaluate` on the same tokens."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM

from program import MODEL, TEXTS, USAGE, answer, complaint, run

EVALUATION = ["--text", TEXTS / "evaluation.txt", "--window", 128, "--windows", 2]
PROMPT, TOKENS, INTERVAL = 64, 128, 16


@pytest.fixture(scope="module")
def projects(tmp_path_factory):
    """Plans by name: heads apart at 16 bits after RoPE, one latent a layer before RoPE, codes, and nothing compressed."""
    folder = tmp_path_factory.mktemp("policies")
    run("calibrate", MODEL, "--text", TEXTS / "calibration.txt", "--window", 128, "--windows", 8, "-o", folder / "demo.kvstats")
    made = {}
    for name, method, share in (("heads", "kqsvd", 0.5), ("joint", "joint", 0.5), ("codes", "coded-head", 0.25), ("whole", "kqsvd", 1)):
        made[name] = folder / f"{name}.kvista"
        run("plan", MODEL, "--stats", folder / "demo.kvstats", "--method", method, "--share", share, "-o", made[name])
    return made


@pytest.fixture(scope="module")
def ids():
    """The tokens of `EVALUATION`."""
    tokens = answer("tokenize", MODEL, "--text-file", TEXTS / "evaluation.txt")["ids"]
    return torch.tensor(tokens[: 2 * TOKENS]).view(2, TOKENS)


@pytest.fixture(scope="module")
def models(projects, tmp_path_factory):
    """Exports by their plan's name, each loaded once; `recorded` puts another policy's record into its configuration."""
    loaded, folder = {}, tmp_path_factory.mktemp("exports")

    def load(name, policy):
        if name not in loaded:
            run("export", projects[name], "-o", folder / name, "--form", "latent", "--policy", policy)
            loaded[name] = AutoModelForCausalLM.from_pretrained(folder / name, trust_remote_code=True, torch_dtype=torch.float32).eval()
        else:
            run("export", projects[name], "-o", folder / "again", "--form", "latent", "--policy", policy, "--overwrite")
            config = json.loads((folder / "again/config.json").read_text())
            loaded[name].config.kvista["policy"] = config["kvista"]["policy"]
        return loaded[name]

    return load


@torch.no_grad()
def read(model, ids, interval=INTERVAL):
    """Mean loss behind the prompt, and the cache."""
    cache, logits = None, []
    for begin, end in [(0, PROMPT)] + [(begin, begin + interval) for begin in range(PROMPT, TOKENS, interval)]:
        output = model(ids[:, begin:end], past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        logits.append(output.logits)
    behind = torch.cat(logits, 1)[:, PROMPT:-1]
    return torch.nn.functional.cross_entropy(behind.flatten(0, 1), ids[:, PROMPT + 1 :].flatten()).item(), cache


CASES = [
    ("heads", "streaming-llm share=.25", 1e-4),
    ("heads", "l2-norm share=.25 window=8 exempt=0", 1e-4),
    ("heads", "curdkv share=.25 window=8", 1e-4),
    ("heads", "chunkkv share=.25 window=8 reuse=2", 1e-4),
    ("joint", "snapkv share=.25 window=8 queries=8", 1e-4),
    ("codes", "snapkv share=.1 window=8 queries=8", 5e-3),  # arithmetic of another order moves single numbers to the next code
    ("whole", "snapkv+fp8 share=.25 window=8 queries=8", 1e-3),
    ("whole", "fp8", 5e-4),
    ("whole", "hadamard bits=3", 5e-3),
    ("whole", "kivi window=32", 1e-3),
    ("whole", "think kept=.5", 1e-4),
]


@pytest.mark.parametrize("plan, policy, tolerance", CASES, ids=[f"{plan}-{policy.split()[0]}" for plan, policy, _ in CASES])
def test_the_model_code_does_what_evaluate_measures(projects, models, ids, plan, policy, tolerance):
    policy += f" interval={INTERVAL}"
    subject = MODEL if plan == "whole" else projects[plan]
    measured = answer("evaluate", subject, *EVALUATION, "--policy", policy, "--prompt", PROMPT)
    model = models(plan, policy)
    loss, cache = read(model, ids)
    assert abs(loss - measured["meanNllBehindPrompt"]) < tolerance
    model.config.kvista["policy"], record = None, model.config.kvista["policy"]
    assert abs(read(model, ids)[0] - loss) > 2 * tolerance, "the policy changes nothing"
    model.config.kvista["policy"] = record
    places = [(layer.places >= 0).sum(-1).float().mean().item() for layer in cache.layers]
    assert sum(places) / len(places) == measured["tokensKept"]
    assert cache.get_seq_length() == TOKENS
    assert cache.nbytes() < read_bytes(model, ids)


def read_bytes(model, ids):
    """Of the cache without a policy."""
    model.config.kvista["policy"], record = None, model.config.kvista["policy"]
    cache = read(model, ids)[1]
    model.config.kvista["policy"] = record
    return cache.nbytes()


def test_padded_rows_and_beams_generate_what_rows_generate_alone(models, ids):
    for plan, policy in (("heads", "curdkv share=.3 window=4 interval=8"), ("joint", "snapkv share=.3 window=4 queries=4 interval=8"),
                         ("whole", "hadamard bits=4 interval=8"), ("whole", "think kept=.5 window=4 queries=4 interval=8")):
        model = models(plan, policy)
        rows = [ids[0, :40], ids[1, :24]]
        padded = torch.stack([torch.nn.functional.pad(row, (40 - len(row), 0)) for row in rows])
        mask = torch.stack([torch.arange(40) >= 40 - len(row) for row in rows]).long()
        settings = dict(max_new_tokens=12, do_sample=False, pad_token_id=0, eos_token_id=None)
        together = model.generate(padded, attention_mask=mask, **settings)
        for number, row in enumerate(rows):
            alone = model.generate(row[None], attention_mask=torch.ones_like(row[None]), **settings)
            assert torch.equal(together[number, 40:], alone[0, len(row) :]), (plan, policy)
        beams = model.generate(rows[0][None], attention_mask=mask[:1], num_beams=2, **settings)
        assert beams.shape == (1, 52)


def test_what_the_model_code_does_not_do_is_refused(projects, tmp_path):
    for plan, policy, words in (
        ("heads", "kvzip share=.5", "does not have the policy kvzip"),
        ("heads", "chunkkv over=kvzip share=.5", "does not have the policy kvzip"),
        ("heads", "best", 'There is no policy "best"'),
        ("heads", "snapkv", "leaves everything in the cache"),
        ("heads", "snapkv share=2", 'The share of a policy is "2"'),
        ("heads", "snapkv often", '"often" stands behind'),
        ("heads", "kivi", "holds whole heads by kivi"),
        ("whole", "kivi share=.5", "cannot be kept by the policy kivi alone"),
    ):
        assert words in complaint(run("export", projects[plan], "-o", tmp_path / "no", "--policy", policy, code=USAGE))
    refused = run("export", projects["heads"], "-o", tmp_path / "no", "--form", "serve", "--policy", "snapkv share=.5", code=USAGE)
    assert "records no policy" in complaint(refused)
    assert not (tmp_path / "no").exists()


def test_the_card_and_the_report_say_it(projects, tmp_path):
    run("export", projects["heads"], "-o", tmp_path / "small", "--policy", "snapkv share=.25 interval=64")
    assert "`snapkv share=0.25 interval=64`" in (tmp_path / "small/README.md").read_text()
    assert json.loads((tmp_path / "small/kvista-report.json").read_text())["policy"] == "snapkv share=0.25 interval=64"
    config = json.loads((tmp_path / "small/config.json").read_text())["kvista"]["policy"]
    assert config["chooser"] == {"name": "snapkv", "queries": 32, "reach": 3, "sinks": 0, "window": 32, "exempt": 0}
    assert answer("verify", tmp_path / "small")["verified"]


def test_generate_writes_a_third_time_with_a_policy(projects):
    prompt = (TEXTS / "evaluation.txt").read_text()[:400]
    written = answer("generate", projects["joint"], "--prompt", prompt, "--tokens", 8, "--policy", "snapkv share=.25 window=8 interval=4")
    assert written["policy"]["overPlan"] and written["policy"]["tokens"] == written["plan"]["tokens"]
    assert written["policy"]["cacheBytes"] < 0.6 * written["plan"]["cacheBytes"]
    assert written["policy"]["cacheBytes"] <= 0.3 * written["original"]["cacheBytes"]
    alone = answer("generate", projects["joint"], "--prompt", prompt, "--tokens", 8, "--policy", "kivi window=8")
    assert not alone["policy"]["overPlan"]
    assert "no option" in complaint(run("generate", MODEL, "--prompt", prompt, "--policy", "snapkv size=3", code=USAGE))
