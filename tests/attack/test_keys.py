"""The shapes of today's keys are known wherever they stand, and no word is taken for one. Letters and digits here are made up."""

from __future__ import annotations

import random
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.secrets import LOOKS_LIKE_A_KEY, holds_a_key, keys_hidden
from alpaca_pipe.teachers.openai.error_mapping import without_keys
from tests.attack.commands import call
from tests.attack.conftest import RECIPE
from tests.attack.examples import many


def drawn(length: int, among: str = string.ascii_letters + string.digits, seed: int = 1) -> str:
    return "a1" + "".join(random.Random(seed).choices(among, k=length))


PREFIXES = ["sk-", "sk-proj-", "sk-svcacct-", "sk-ant-api03-", "sk-or-v1-", "sk-lf-", "gsk_", "hf_", "xai-", "pplx-", "csk-",
            "nvapi-", "tgp_v1_", "fw_", "r8_", "rpa_", "jina_", "pcsk_", "tvly-", "lsv2_pt_", "lsv2_sk_", "dapi", "ghp_",
            "gho_", "ghs_", "github_pat_", "glpat-", "npm_", "pypi-", "xoxb-", "xapp-", "dop_v1_", "ya29.", "GOCSPX-",
            "rk_live_", "sk_live_", "vck_", "ntn_", "wandb_v1_", "flp_", "esecret_"]  # fmt: skip
KEYS = [prefix + drawn(34) for prefix in PREFIXES] + [
    "AIza" + drawn(33),
    "AKIA" + "A1B2C3D4E5F6G7H8",
    "ASIA" + "A1B2C3D4E5F6G7H8",
    f"eyJ{drawn(20)}.eyJ{drawn(30)}.{drawn(40)}",
]
PEM = "-----BEGIN OPENSSH PRIVATE KEY-----"
WORDS = ["hf-internal-testing/tiny-random", "key-performance-indicators", "sk-learn", "gpt-4.1-nano-2025-04-14", "api_key_env",
         "SmolLM2-135M-Instruct-Q8_0.gguf", "fw_accounts/models/llama-v3p1-8b-instruct", "pat-a-cake", "secret_garden_of_roses",
         "xai-is-a-company-of-texas", "hf_transfer", "gh_actions", "eyJ is how they begin", "AKIA", "sk_buff", "npm_config_registry",
         "pypi-simple-index", "dapier", "do_not_learn"]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key[:8])
def test_a_key_is_known_alone_and_in_a_sentence(key: str) -> None:
    for text in (key, f"use {key}, please", f'key="{key}"', f"# {key}"):
        assert holds_a_key(text), text
        assert key not in without_keys(text) and key not in keys_hidden(text)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key[:8])
def test_no_recipe_holds_one_in_a_value_or_a_comment(tmp_path: Path, key: str) -> None:
    for text in (f"{RECIPE}# {key}\n", RECIPE.replace("gpt-4.1-nano", key)):
        (tmp_path / "r.yaml").write_text(text)
        code, said = call("plan", "r.yaml")
        assert code == 2 and key not in said and "a key" in said


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_no_key(word: str) -> None:
    assert not holds_a_key(word) and keys_hidden(word) == word


def test_a_private_key_is_one() -> None:
    assert holds_a_key(PEM) and not holds_a_key("BEGIN PRIVATE KEY is how it begins")


@many
@given(st.sampled_from(PREFIXES), st.integers(0, 2**32), st.text(max_size=10), st.text(max_size=10))
def test_whatever_stands_around_it(prefix: str, seed: int, before: str, after: str) -> None:
    key = prefix + drawn(40, seed=seed)
    text = f"{before} {key} {after}"
    assert holds_a_key(text) and key not in keys_hidden(text)


def test_the_name_of_a_variable_is_none_of_them() -> None:
    for name in ("OPENAI_API_KEY", "HF_TOKEN", "MY_KEY_2", "GROQ_API_KEY"):
        assert not LOOKS_LIKE_A_KEY.search(name)
