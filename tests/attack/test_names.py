"""Names from outside: none leads out of its folder, and any that passes leaves the workspace usable."""

from __future__ import annotations

import os
import shutil
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.safe_names import is_name, is_path_below, is_recipe_name, within
from tests.attack.commands import CLEAN, call
from tests.attack.conftest import RECIPE
from tests.attack.examples import many, some

OURS = [
    "store",
    "rehearsal",
    "bench",
    "budget.yaml",
    "ledger.sqlite",
    "ledger.sqlite-wal",
    "ledger.sqlite-shm",
    "ledger.sqlite-journal",
]
names = (
    st.text(st.characters(codec="utf-8") | st.sampled_from("./\\-+_ab\x00\n"), max_size=12)
    | st.sampled_from(
        ["..", ".", "a/../b", "/x", "~", "C:x", "a" * 300, "é" * 100, "x.yaml", "X.YML", "a."]
    )
    | st.sampled_from(OURS).flatmap(
        lambda name: st.sampled_from([name, name.upper(), name.title(), name + ".", name + " "])
    )
)


@many
@given(names)
def test_a_path_made_of_a_name_lies_in_its_folder(name: str) -> None:
    folder = Path("/somewhere/runs")
    try:
        path = within(folder, name, ".html")
    except UserError:
        assert not is_name(name)
        return
    assert Path(os.path.normpath(path)).parent == folder and len(path.name.encode()) < 200
    assert not path.name.startswith(".") and is_path_below(name)


@many
@given(names)
def test_no_recipe_is_called_as_what_lies_in_a_workspace(name: str) -> None:
    if is_recipe_name(name):
        folded = unicodedata.normalize("NFKC", name).casefold()
        assert folded not in OURS and not folded.endswith((".yaml", ".yml"))


@pytest.mark.parametrize(
    "name",
    [
        *OURS,
        "Store",
        "LEDGER.SQLITE",
        "Ledger.sqlite-WAL",
        "Budget.Yaml",
        "ſtore",
        "ｓtore",
        "a.yaml",
        "a.",
        "..",
        "a/b",
        "",
    ],
)
def test_names_of_our_own_are_refused_whatever_their_case(name: str) -> None:
    assert not is_recipe_name(name)


@pytest.mark.parametrize(
    "name", ["vet", "alpaca-52k", "löwe", "a.b", "x_1", "stores", "1", "ledger", "budget"]
)
def test_ordinary_names_are_taken(name: str) -> None:
    assert is_recipe_name(name)


@some
@given(name=names)
def test_any_name_that_passes_leaves_the_workspace_usable(
    made: Path, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    home = tmp_path_factory.mktemp("named") / "home"
    shutil.copytree(made, home)
    os.chdir(home)
    os.environ["ALPACA_PIPE_CACHE"] = str(home / "cache")
    text = RECIPE.replace("name: small", f"name: {_quoted(name)}").replace("count: 6", "count: 2")
    (home / "r.yaml").write_text(text, encoding="utf-8", errors="surrogatepass")
    code, said = call("run", "r.yaml", "--until", "generate")
    assert code in CLEAN and "a bug in alpaca-pipe" not in said, said
    if code == 0:
        for words in (("status", name), ("history", name), ("ledger",), ("gc", "--dry-run")):
            answer, told = call(*words)
            assert answer == 0, (words, told)
    for words in (("status",), ("run", "small.yaml", "--until", "generate"), ("ledger", "small")):
        code, said = call(*words)
        assert code == 0, (words, said)
    shutil.rmtree(home.parent)


def _quoted(text: str) -> str:
    import json

    return json.dumps(text)
