# SPDX-FileCopyrightText: 2026 The KVista authors
# SPDX-License-Identifier: Apache-2.0
"""Conversations in the forms that are recognised by a template's marks, beside what transformers makes of the templates."""

import json
import shutil

import pytest
from transformers import AutoTokenizer

from engine import Engine
from program import MODEL, USAGE, answer, complaint, run

# The forms as templates say them; the marks and where they stand are the models'.
TEMPLATES = {
    "chatml": "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "llama3": "{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] | trim"
    " + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
    "mistral": "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% else %}{{ m['content'] + eos_token }}{% endif %}{% endfor %}",
    "zephyr": "{% for m in messages %}{% if m['role'] == 'user' %}{{ '<|user|>\n' + m['content'] + eos_token + '\n' }}"
    "{% elif m['role'] == 'system' %}{{ '<|system|>\n' + m['content'] + eos_token + '\n' }}"
    "{% else %}{{ '<|assistant|>\n' + m['content'] + eos_token + '\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}",
    "tulu": "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'system' %}{{ '<|system|>\n' + message['content'] + '\n' }}"
    "{% elif message['role'] == 'user' %}{{ '<|user|>\n' + message['content'] + '\n' }}"
    "{% else %}{{ '<|assistant|>\n' + message['content'] + eos_token + '\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}",
    "llama2": "{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}{% set system = messages[0]['content'] %}"
    "{% else %}{% set rest = messages %}{% set system = false %}{% endif %}{% for message in rest %}"
    "{% if loop.index0 == 0 and system != false %}{% set content = '<<SYS>>\n' + system + '\n<</SYS>>\n\n' + message['content'] %}"
    "{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% else %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
    "gemma": "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'assistant' %}{% set role = 'model' %}{% else %}"
    "{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}",
    "phi3": "{% for message in messages %}{% if message['role'] == 'system' %}{{ '<|system|>\n' + message['content'] + '<|end|>\n' }}"
    "{% elif message['role'] == 'user' %}{{ '<|user|>\n' + message['content'] + '<|end|>\n' }}"
    "{% else %}{{ '<|assistant|>\n' + message['content'] + '<|end|>\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}",
    "phi4": "{% for message in messages %}{% if message['role'] == 'system' %}{{ '<|im_start|>system<|im_sep|>' + message['content'] + '<|im_end|>' }}"
    "{% elif message['role'] == 'user' %}{{ '<|im_start|>user<|im_sep|>' + message['content'] + '<|im_end|>' }}"
    "{% else %}{{ '<|im_start|>assistant<|im_sep|>' + message['content'] + '<|im_end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant<|im_sep|>' }}{% endif %}",
    "phi4-mini": "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}",
    "deepseek": "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ 'User: ' + message['content'] + '\n\n' }}"
    "{% elif message['role'] == 'assistant' %}{{ 'Assistant: ' + message['content'] + eos_token }}"
    "{% else %}{{ message['content'] + '\n\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}",
    "command-r": "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'system' %}"
    "{{ '<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>' + message['content'] + '<|END_OF_TURN_TOKEN|>' }}{% elif message['role'] == 'user' %}"
    "{{ '<|START_OF_TURN_TOKEN|><|USER_TOKEN|>' + message['content'] + '<|END_OF_TURN_TOKEN|>' }}{% else %}"
    "{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' + message['content'] + '<|END_OF_TURN_TOKEN|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}{% endif %}",
}
WITHOUT_SYSTEM = {"mistral", "gemma"}  # their templates have no place for the system
TURNS = [
    {"role": "user", "content": "Who was Emma?"},
    {"role": "assistant", "content": "A young lady, handsome, clever and rich."},
]
SYSTEM = {"role": "system", "content": "Answer as Miss Bates would."}


def model_with(template, folder):
    shutil.copytree(MODEL, folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def engine():
    with Engine() as engine:
        yield engine


@pytest.mark.parametrize("name", TEMPLATES)
def test_speaks_as_the_template_would(name, engine, tmp_path):
    model = model_with(TEMPLATES[name], tmp_path / name)
    tokenizer = AutoTokenizer.from_pretrained(model)
    conversations = [[], TURNS, TURNS + TURNS]
    if name not in WITHOUT_SYSTEM:
        conversations.append([SYSTEM, *TURNS])
    for turns in conversations:
        said = engine.call("generate", model=model, prompt="And Harriet?", maxTokens=3, chat=True, turns=turns)
        assert said["chatTemplate"] == name
        whole = turns + [{"role": "user", "content": "And Harriet?"}]
        assert said["prompt"] == tokenizer.apply_chat_template(whole, tokenize=False, add_generation_prompt=True)
        # The marks are read as they stand: nothing is put before them.
        ids = tokenizer(said["prompt"], add_special_tokens=False)["input_ids"]
        assert len(ids) <= said["original"]["tokens"] <= len(ids) + 2


def test_command_line_speaks_so_too(tmp_path):
    model = model_with(TEMPLATES["chatml"], tmp_path / "chatml")
    (tmp_path / "turns.json").write_text(json.dumps([SYSTEM, *TURNS]))
    said = answer("generate", model, "--prompt", "And Harriet?", "--tokens", 3, "--turns", tmp_path / "turns.json")
    whole = [SYSTEM, *TURNS, {"role": "user", "content": "And Harriet?"}]
    assert said["prompt"] == AutoTokenizer.from_pretrained(model).apply_chat_template(whole, tokenize=False, add_generation_prompt=True)
    assert "chat template chatml" in run("generate", model, "--prompt", "a", "--tokens", 1, "--chat").stdout


def test_engine_says_which_template_a_model_has(tmp_path):
    # A template in a file of its own, and one that only shares marks with a known form.
    alone = tmp_path / "alone"
    shutil.copytree(MODEL, alone)
    (alone / "chat_template.jinja").write_text(TEMPLATES["zephyr"])
    glm4 = model_with("{{ '[gMASK]<sop><|user|>\n' + messages[0]['content'] + '<|assistant|>' }}", tmp_path / "glm4")
    vicuna = model_with("{{ 'USER: ' + messages[0]['content'] + ' ASSISTANT:' }}", tmp_path / "vicuna")
    with Engine() as engine:
        assert engine.call("open", path=alone)["chatTemplate"] == "zephyr"
        for model in (glm4, vicuna):
            opened = engine.call("open", path=model)
            assert opened["chatTemplate"] == "" and "form that is not known here; known are chatml, llama2, llama3" in opened["chatTemplateProblem"]
        bare = engine.call("open", path=MODEL)
        assert (bare["chatTemplate"], bare["chatTemplateProblem"]) == ("", "")
        both = engine.call("generate", model=alone, prompt="And Harriet?", maxTokens=2, turns=[SYSTEM, *TURNS])
    assert both["chatTemplate"] == "zephyr"
    assert "form that is not known here" in complaint(run("generate", vicuna, "--prompt", "a", "--chat", code=USAGE))
    assert "has no chat template" in complaint(run("generate", MODEL, "--prompt", "a", "--chat", code=USAGE))


def test_a_turn_of_the_model_ends_where_it_writes_the_mark(tmp_path):
    """The comma becomes the mark that ends a turn: a text that just goes on writes it, an answer ends there."""
    model = model_with(TEMPLATES["chatml"], tmp_path / "model")
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    vocabulary, merges = tokenizer["model"]["vocab"], tokenizer["model"]["merges"]
    pairs = [pair if isinstance(pair, list) else pair.split(" ") for pair in merges]
    tokenizer["model"]["merges"] = [merge for merge, pair in zip(merges, pairs, strict=True) if "," not in pair]
    vocabulary["<|im_end|>"] = vocabulary.pop(",")
    mark = {"id": vocabulary["<|im_end|>"], "content": "<|im_end|>", "single_word": False, "lstrip": False, "rstrip": False}
    tokenizer["added_tokens"].append({**mark, "normalized": False, "special": False})
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))
    drawn = ["--tokens", 64, "--temperature", 1, "--seed", 2]
    turn = answer("generate", model, "--prompt", "And Harriet?", "--chat", *drawn)
    on = answer("generate", model, "--prompt", turn["prompt"], *drawn)["original"]["text"]
    assert "<|im_end|>" in on
    assert turn["original"]["text"] == on.split("<|im_end|>")[0]


@pytest.mark.parametrize(
    ("turns", "words"),
    [
        ([{"role": "assistant", "content": "a"}], 'is of "assistant", where "user" was expected'),
        ([{"role": "user", "content": "a"}], 'Turn 2 of the conversation is of "user"'),
        ([*TURNS, SYSTEM], '"system"'),
        ([{"role": "user"}], "'content'"),
        ({"role": "user"}, "not a list"),
    ],
)
def test_wrong_turns_are_named(turns, words, tmp_path):
    model = model_with(TEMPLATES["chatml"], tmp_path / "model")
    (tmp_path / "turns.json").write_text(json.dumps(turns))
    done = run("generate", model, "--prompt", "a", "--turns", tmp_path / "turns.json", code=USAGE)
    assert words in complaint(done)
