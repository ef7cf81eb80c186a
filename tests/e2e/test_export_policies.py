# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Run-time policies that exports record: the model code in transformers against `kvista evaluate` on the same tokens."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

from program import BAD_INPUT, MODEL, TEXTS, USAGE, answer, complaint, run

EVALUATION = ["--text", TEXTS / "evaluation.txt", "--window", 128, "--windows", 2]
PROMPT, TOKENS, INTERVAL = 64, 128, 16
CONFIG = json.loads((MODEL / "config.json").read_text())


@pytest.fixture(scope="module")
def projects(tmp_path_factory):
    """Plans by name: heads apart at 16 bits after RoPE, one latent a layer before RoPE, codes, and nothing compressed."""
    folder = tmp_path_factory.mktemp("policies")
    windows = ["--window", 128, "--windows", 8, "--no-response"]
    run("calibrate", MODEL, "--text", TEXTS / "calibration.txt", *windows, "-o", folder / "demo.kvstats")
    made = {}
    plans = {
        "heads": ("kqsvd", 0.5),
        "joint": ("joint", 0.5),
        "codes": ("coded-head", 0.25),
        "common": ("commonkv", 0.5),
        "whole": ("kqsvd", 1),
    }
    for name, (method, share) in plans.items():
        made[name] = folder / f"{name}.kvista"
        run("plan", MODEL, "--stats", folder / "demo.kvstats", "--method", method, "--share", share, "-o", made[name])
    return made


def write_predictor(file, kind, model):
    """As `kvista gate` does, of random numbers, for the model of that content hash."""
    generator = torch.Generator().manual_seed(5)

    def drawn(*shape):
        return torch.randn(shape, generator=generator) / 4

    if kind == "fast-kvzip":
        layers, heads, width = (CONFIG[name] for name in ("num_hidden_layers", "num_key_value_heads", "head_dim"))
        tensors, name = {str(layer): drawn(heads, 2 * width - width // 2 + 3) for layer in range(layers)}, "kvista.gate"
    else:
        shapes = {"first.weight": (8, 1, 3, 3), "first.bias": (8,), "second.weight": (16, 8, 3, 3), "second.bias": (16,),
                  "last.weight": (1, 16, 16, 1)}  # fmt: skip
        tensors, name = {part: drawn(*shape) for part, shape in shapes.items()}, "kvista.attention_predictor"
    text = json.dumps({"model": model}).encode()
    save_file({**tensors, name: torch.tensor(list(text), dtype=torch.uint8)}, file)


@pytest.fixture(scope="module")
def predictors(projects, tmp_path_factory):
    """Files that policies foretell by, and one for another model."""
    folder, model = tmp_path_factory.mktemp("predictors"), json.loads(projects["heads"].read_text())["model"]["hash"]
    files = {kind: folder / f"{kind}.gate" for kind in ("fast-kvzip", "attention-predictor", "other")}
    for kind, file in files.items():
        write_predictor(file, "fast-kvzip" if kind == "other" else kind, "0" * 16 if kind == "other" else model)
    return files


@pytest.fixture(scope="module")
def ids():
    """The tokens of `EVALUATION`."""
    tokens = answer("tokenize", MODEL, "--text-file", TEXTS / "evaluation.txt")["ids"]
    return torch.tensor(tokens[: 2 * TOKENS]).view(2, TOKENS)


@pytest.fixture(scope="module")
def models(projects, tmp_path_factory):
    """Exports by their plan's name, each loaded once; others' records are put into its configuration where the weights are the same."""
    loaded, folder = {}, tmp_path_factory.mktemp("exports")

    def load(name, policy):
        has_own_weights = any(word in policy for word in ("kvzip", "predictor", "cskv"))
        if name not in loaded or has_own_weights:
            target = folder / (f"{name}-own" if has_own_weights else name)
            run("export", projects[name], "-o", target, "--form", "latent", "--policy", policy, "--overwrite")
            model = AutoModelForCausalLM.from_pretrained(target, trust_remote_code=True, torch_dtype=torch.float32).eval()
            if has_own_weights:
                return model
            loaded[name] = model
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
    ("heads", "chunkkv share=.25 window=8 reuse=2", 1e-4),
    ("heads", "snapkv share=.25 window=8", 1e-4),  # some queries see nothing that is left
    ("joint", "dbudgetkv over=l2-norm loss=.05 window=8", 1e-4),  # its rule alone
    ("heads", "kvzip share=.25 window=8 part=48", 1e-4),
    ("whole", "kvzip+fp8 share=.2 window=8", 1e-3),
    ("joint", "fast-kvzip gate=FILE share=.25 window=8", 1e-4),
    ("heads", "attention-predictor gate=FILE share=.25 window=8", 1e-4),
    ("codes", "snapkv share=.1 window=8 queries=8", 5e-3),  # arithmetic of another order moves single numbers to the next code
    ("joint", "hadamard bits=3", 5e-3),
    ("joint", "snapkv+fp8 share=.12 window=8 queries=8", 1e-3),
    ("heads", "snapkv+cskv share=.5 window=4", 1e-4),
    ("common", "commonkv window=16 merged=.8", 1e-4),
    ("whole", "commonkv window=16", 1e-4),
    ("whole", "hadamard bits=3", 5e-3),
    ("whole", "kivi window=32", 1e-3),
    ("heads", "kivi window=32 group=8", 1e-3),
    ("joint", "decoquant bits=2 block=8", 5e-3),
    ("heads", "curdkv+zipcache share=.1 window=8 high=3 low=1", 2e-3),
    ("whole", "fast-kvzip+think gate=FILE share=.45 window=8 kept=.4", 1e-4),  # heads hold different numbers of recent tokens
    ("whole", "snapkv+zipcache share=.15 window=8", 2e-3),
]


@pytest.mark.parametrize("plan, policy, tolerance", CASES, ids=[f"{plan}-{policy.split()[0]}" for plan, policy, _ in CASES])
def test_the_model_code_does_what_evaluate_measures(projects, models, predictors, ids, plan, policy, tolerance):
    policy = policy.replace("FILE", str(predictors.get(policy.split()[0].split("+")[0]))) + f" interval={INTERVAL}"
    subject = MODEL if plan == "whole" else projects[plan]
    measured = answer("evaluate", subject, *EVALUATION, "--policy", policy, "--prompt", PROMPT)
    model = models(plan, policy)
    loss, cache = read(model, ids)
    assert abs(loss - measured["meanNllBehindPrompt"]) < tolerance
    model.config.kvista["policy"], record = None, model.config.kvista["policy"]
    plain, plain_cache = read(model, ids)
    model.config.kvista["policy"] = record
    assert abs(plain - loss) > 2 * tolerance, "the policy changes nothing"
    places = [(layer.all_places() >= 0).sum(-1).float().mean().item() for layer in cache.layers]
    assert sum(places) / len(places) == measured["tokensKept"]
    assert cache.get_seq_length() == TOKENS
    queries = sum(layer.queries.nbytes for layer in cache.layers if layer.queries is not None)
    # Numbers of 16 bits are held in the model's float32; what stays exact beside a plan takes more than the plan alone.
    whole = 2 * len(ids) * measured["fullBytes"]
    assert cache.nbytes() - queries < (whole if "cskv" in policy else plain_cache.nbytes())


def test_latents_of_inputs_are_merged_too(projects, ids, tmp_path):
    """Of a model with a quarter of the heads, whose keys and values do not determine the latents that layers share."""
    statistics, few, project = projects["heads"].parent / "demo.kvstats", tmp_path / "few", tmp_path / "common.kvista"
    run("plan", MODEL, "--stats", statistics, "--method", "gqa", "--times-smaller", 4, "-o", tmp_path / "few.kvista")
    run("export", tmp_path / "few.kvista", "-o", few, "--form", "gqa")
    run("plan", few, "--method", "commonkv", "--share", 0.5, "-o", project)
    policy = f"commonkv window=16 merged=.8 interval={INTERVAL}"
    measured = answer("evaluate", project, *EVALUATION, "--policy", policy, "--prompt", PROMPT)
    run("export", project, "-o", tmp_path / "small", "--form", "latent", "--policy", policy)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "small", trust_remote_code=True, torch_dtype=torch.float32).eval()
    loss, _ = read(model, ids)
    assert abs(loss - measured["meanNllBehindPrompt"]) < 1e-4
    model.config.kvista["policy"] = None
    plain, _ = read(model, ids)
    assert abs(plain - measured["withoutPolicy"]["plan"]["meanNllBehindPrompt"]) < 1e-4 < abs(plain - loss)
    opened = answer("evaluate", tmp_path / "small", *EVALUATION, "--policy", policy, "--prompt", PROMPT)  # what it rebuilds says its latents
    assert abs(opened["meanNllBehindPrompt"] - loss) < 1e-4


def test_padded_rows_and_beams_generate_what_rows_generate_alone(models, predictors, ids):
    for plan, policy, beams in (
        ("joint", "hadamard bits=4", 1),
        ("joint", "kvzip share=.3 window=4 part=16", 2),
        ("common", "commonkv window=6", 2),
        ("heads", f"attention-predictor gate={predictors['attention-predictor']} share=.3 window=4", 1),
        ("whole", f"fast-kvzip+think gate={predictors['fast-kvzip']} share=.6 kept=.5 window=8 queries=4", 2),
        ("whole", "snapkv+zipcache share=.2 window=4 queries=4", 2),
    ):
        model = models(plan, policy + " interval=8")
        rows = [ids[0, :40], ids[1, :24]]
        padded = torch.stack([torch.nn.functional.pad(row, (40 - len(row), 0)) for row in rows])
        mask = torch.stack([torch.arange(40) >= 40 - len(row) for row in rows]).long()
        settings = dict(max_new_tokens=10, do_sample=False, pad_token_id=0, eos_token_id=None)
        together = model.generate(padded, attention_mask=mask, **settings)
        alone = model.generate(rows[1][None], attention_mask=mask[1:, 16:], **settings)
        assert torch.equal(together[1, 40:], alone[0, 24:]), (plan, policy)
        if beams > 1:
            assert model.generate(rows[0][None], attention_mask=mask[:1], num_beams=beams, **settings).shape == (1, 50)


def test_what_the_model_code_does_not_do_is_refused(projects, predictors, tmp_path):
    for plan, policy, words in (
        ("joint", "commonkv", "lie in another space in each layer"),
        ("common", "commonkv layers=16", "the model has 8"),
        ("heads", "chunkkv over=dbudgetkv share=.5", "dbudgetkv has no scores of its own"),
        ("heads", "chunkkv over=fast-kvzip share=.5", "fast-kvzip needs a file"),
        ("heads", "best", 'There is no policy "best"'),
        ("heads", "snapkv", "leaves everything in the cache"),
        ("heads", "snapkv share=2", 'The share of a policy is "2"'),
        ("heads", "snapkv often", '"often" stands behind'),
        ("heads", "think", "The policy think drops channels"),
        ("codes", "fp8", "those of the plan are quantised already"),
        ("whole", "kivi share=.5", "cannot be kept by the policy kivi alone"),
        ("joint", "fast-kvzip share=.5", "kvista gate"),
        ("joint", f"fast-kvzip share=.5 gate={predictors['other']}", "is of another model"),
    ):
        refused = run("export", projects[plan], "-o", tmp_path / "no", "--policy", policy, code=USAGE)
        assert words in refused.stderr and complaint(refused)
    for gate, words in ((MODEL / "model.safetensors", "holds no gate"), (tmp_path / "none", "none")):
        asked = f"fast-kvzip share=.5 gate={gate}"
        assert words in complaint(run("export", projects["joint"], "-o", tmp_path / "no", "--policy", asked, code=BAD_INPUT))
    refused = run("export", projects["heads"], "-o", tmp_path / "no", "--form", "serve", "--policy", "snapkv share=.5", code=USAGE)
    assert "records no policy" in complaint(refused)
    assert not (tmp_path / "no").exists()


def test_what_a_policy_foretells_by_is_in_the_export(projects, predictors, ids, tmp_path):
    gate, folder, policy = predictors["fast-kvzip"], tmp_path / "small model", "fast-kvzip share=.3 window=4"
    run("export", projects["joint"], "-o", folder, "--policy", f"{policy} gate={gate}")
    assert answer("verify", folder)["verified"]
    # What is recorded is measured, by the gate among the weights; it can be named, but is not another model's.
    of_project = answer("evaluate", projects["joint"], *EVALUATION, "--policy", f"{policy} gate={gate}")["meanNllBehindPrompt"]
    of_export = answer("evaluate", folder, *EVALUATION)
    assert of_export["meanNllBehindPrompt"] == pytest.approx(of_project, abs=1e-4)
    asked = answer("losses", folder, "--text", TEXTS / "evaluation.txt", "--tokens", 64, "--policy", f'{policy} gate="{folder}"')
    assert asked["policy"]["line"] == f'fast-kvzip share=0.3 gate="{folder}" window=4'
    said = complaint(run("evaluate", projects["joint"], *EVALUATION, "--policy", f'{policy} gate="{folder}"', code=USAGE))
    assert "is of another model" in said
    texts = [file.read_text() for file in folder.iterdir() if file.suffix in (".json", ".md")]
    assert not any(str(gate) in text or gate.name in text for text in texts)
    tensors, given = load_file(folder / "model.safetensors"), load_file(gate)
    for layer in range(CONFIG["num_hidden_layers"]):
        assert torch.equal(tensors[f"model.foreteller.weights.{layer}"], given[str(layer)])

    def opened():
        return AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True, torch_dtype=torch.bfloat16)

    assert opened().model.foreteller.weights[0].dtype == torch.float32
    for wrong in (torch.nan, None):
        if wrong is None:
            del tensors["model.foreteller.weights.3"]
        else:
            tensors["model.foreteller.weights.3"] = torch.full_like(given["3"], wrong)
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        with pytest.raises(ValueError, match="missing, or hold NaN"):
            opened()(ids[:1, :32])
    tensors["model.foreteller.weights.3"] = torch.zeros(2, 2)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(RuntimeError, match="size mismatch|ignore_mismatched_sizes"):
        opened()


def test_a_predictor_that_misses_a_tensor_foretells_nothing(projects, predictors, ids, tmp_path):
    folder = tmp_path / "small"
    run("export", projects["joint"], "-o", folder, "--policy", f"attention-predictor share=.3 window=4 gate={predictors['attention-predictor']}")
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.foreteller.second.weight"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match="missing, or hold NaN"):
        AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)(ids[:1, :32])


def test_wrong_fields_of_a_recorded_policy_are_named(projects, tmp_path):
    folder = tmp_path / "small"
    run("export", projects["joint"], "-o", folder, "--policy", "dbudgetkv+fp8 share=.3 loss=.1")
    whole = (folder / "config.json").read_text()
    for path, value, words in (
        ("share", 0, "share in config.json is 0"),
        ("interval", -1, "interval"),
        ("interval", 1.5, "whole number"),
        ("positions", "some", "none, layer or unit"),
        ("chooser", None, None),
        ("chooser.name", "best", "chooser.name in config.json is 'best'"),
        ("chooser.loss", True, "chooser.loss"),
        ("chooser.window", "32", "chooser.window"),
        ("chooser.over.name", "chunkkv", "chooser.over.name"),
        ("chooser.over.queries", 0, "from 1 to 4096"),
        ("chooser.over.name", "kvzip", "chooser.over.part"),
        ("holder", {}, "holder.name"),
        ("holder", {"name": "fp8", "latents": 1}, "holder.latents"),
        ("holder", {"name": "think", "kept": 0.5, "queries": 8, "window": 8, "latents": True}, "holder.latents"),
        ("holder", {"name": "fp8"}, "holds whole heads"),
        ("holder", {"name": "kivi", "bits": 2, "group": 8, "window": 8}, "holds tokens together"),
        ("holder", {"name": "cskv", "window": 8}, "as the model makes them"),
        ("holder", {"name": "commonkv", "merged": 0.5, "layers": 4, "sinks": 0, "window": 8, "latents": True}, "holds tokens together"),
    ):
        config = json.loads(whole)
        place = config["kvista"]["policy"]
        *way, last = path.split(".")
        for name in way:
            place = place[name]
        place[last] = value
        (folder / "config.json").write_text(json.dumps(config))
        if words is None:
            AutoConfig.from_pretrained(folder, trust_remote_code=True)
        else:
            with pytest.raises(ValueError, match=words):
                AutoConfig.from_pretrained(folder, trust_remote_code=True)


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
    alone = answer("generate", projects["joint"], "--prompt", prompt, "--tokens", 8, "--policy", "think window=8")
    assert not alone["policy"]["overPlan"]
    assert "no option" in complaint(run("generate", MODEL, "--prompt", prompt, "--policy", "snapkv size=3", code=USAGE))
