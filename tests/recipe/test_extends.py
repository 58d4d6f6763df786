"""`extends:`: tables merge key by key, every fault is said with the line of its own file, and the split does not matter."""

from __future__ import annotations

from pathlib import Path

import pytest

from alpaca_pipe import catalog
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.core.files import file_digest
from alpaca_pipe.recipe.extends import find_recipe
from alpaca_pipe.recipe.plan import identify
from alpaca_pipe.recipe.schema import Recipe, load_recipe
from tests.recipe.toy import CATALOG


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "base.yaml").write_text(
        "name: ground\nseed: 7\npaint: {brush: 3}\nsow:\n  count: 5\n  share: 0.7\n"
    )
    return tmp_path


def write(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text)
    return name


def identities(recipe: Recipe) -> list[object]:
    return [
        identify(CATALOG.stage(kind), config, recipe, {}) for kind, config in recipe.stages.items()
    ]


def test_ours_win_key_by_key_and_the_rest_is_theirs(files: Path) -> None:
    recipe = load_recipe(
        write(files, "mine.yaml", "extends: base/base.yaml\nsow:\n  count: 9\nreap:\n"), CATALOG
    )
    assert recipe.name == "mine" and recipe.seed == 7
    assert (
        recipe.stages["sow"].model_dump()["count"] == 9
        and str(recipe.stages["sow"].model_dump()["share"]) == "0.7"
    )
    assert [path.name for path in recipe.files] == ["mine.yaml", "base.yaml"]
    assert recipe.written == {
        "seed": 7,
        "paint": {"brush": 3},
        "sow": {"count": 9, "share": 0.7},
        "reap": {},
    }


def test_how_a_recipe_is_split_does_not_enter_its_identity(files: Path) -> None:
    whole = load_recipe(
        write(
            files, "a.yaml", "seed: 7\npaint: {brush: 3}\nsow: {count: 9, share: 0.7}\nreap: {}\n"
        ),
        CATALOG,
    )
    write(files, "middle.yaml", "extends: base/base.yaml\nreap: {}\n")
    split = load_recipe(write(files, "b.yaml", "extends: middle.yaml\nsow: {count: 9}\n"), CATALOG)
    assert identities(whole) == identities(split)


def test_a_fault_is_said_with_the_line_of_its_own_file(files: Path) -> None:
    write(files / "base", "base.yaml", "sow:\n  share: lots\n  cuont: 4\n")
    with pytest.raises(UserError) as caught:
        load_recipe(
            write(files, "mine.yaml", "extends: base/base.yaml\nseed: x\nsow: {count: no}\n"),
            CATALOG,
        )
    lines = str(caught.value).splitlines()
    assert [line.split(" ")[0] for line in lines] == [
        "mine.yaml:2:",
        "mine.yaml:3:",
        "base/base.yaml:2:",
        "base/base.yaml:3:",
    ]
    assert lines[3] == "base/base.yaml:3: sow.cuont: unknown key - did you mean 'count'?"


def test_a_path_is_read_from_the_folder_of_the_file_that_says_it(files: Path) -> None:
    for folder, text in ((files, "mine"), (files / "base", "theirs")):
        (folder / "rows.txt").write_text(text)
    write(files / "base", "base.yaml", "sow: {source: rows.txt}\n")
    theirs = load_recipe(write(files, "a.yaml", "extends: base/base.yaml\nseed: 3\n"), CATALOG)
    mine = load_recipe(
        write(files, "b.yaml", "extends: base/base.yaml\nsow: {source: rows.txt}\n"), CATALOG
    )
    assert theirs.stages["sow"].identity()["source"] == file_digest(files / "base" / "rows.txt")
    assert mine.stages["sow"].identity()["source"] == file_digest(files / "rows.txt")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "extends: nowhere.yaml\nsow: {}\n",
            "mine.yaml:1: extends: no such recipe: nowhere.yaml, and none that is shipped",
        ),
        (
            "sow: {}\nextends: quikstart\n",
            "mine.yaml:2: extends: no such recipe: quikstart, and none that is shipped - did you mean 'quick",
        ),
        (
            "extends: mine.yaml\nsow: {}\n",
            "mine.yaml:1: extends: a recipe cannot extend itself: mine.yaml -> mine.yaml",
        ),
        ("extends: [a, b]\nsow: {}\n", "mine.yaml:1: extends: should be the path of a recipe"),
        (
            "extends: new.yaml\nsow: {}\n",
            "new.yaml:1: recipe_version: 2 is newer than this alpaca-pipe knows (1) - upgrade",
        ),
        ("extends: broken.yaml\nsow: {}\n", "broken.yaml:2: "),
    ],
)
def test_what_cannot_be_extended(files: Path, text: str, said: str) -> None:
    write(files, "new.yaml", "recipe_version: 2\nsow: {whatever: 1}\n")
    write(files, "broken.yaml", "sow: {\n")
    with pytest.raises(UserError) as caught:
        load_recipe(write(files, "mine.yaml", text), CATALOG)
    assert str(caught.value).startswith(said)


def test_a_circle_of_three_is_told_as_it_goes(files: Path) -> None:
    for name, base in (("a", "b"), ("b", "c"), ("c", "b")):
        write(files, f"{name}.yaml", f"extends: {base}.yaml\nsow: {{}}\n")
    with pytest.raises(
        UserError,
        match="c.yaml:1: extends: a recipe cannot extend itself: b.yaml -> c.yaml -> b.yaml",
    ):
        load_recipe("a.yaml", CATALOG)


def test_it_is_not_set_on_the_command_line(files: Path) -> None:
    with pytest.raises(UserError, match="is written in its file"):
        load_recipe(write(files, "mine.yaml", "sow: {}\n"), CATALOG, ["extends=base/base.yaml"])


def test_a_folder_holds_the_recipe_of_its_name(files: Path) -> None:
    (files / "vet").mkdir()
    with pytest.raises(
        UserError, match="vet: this folder holds no vet.yaml - name the recipe's file"
    ):
        load_recipe("vet", CATALOG)
    write(files / "vet", "vet.yaml", "sow: {}\n")
    assert load_recipe("vet", CATALOG).name == load_recipe("vet/", CATALOG).name == "vet"


def test_a_shipped_recipe_can_be_extended_by_name(files: Path) -> None:
    mine = load_recipe(
        write(files, "mine.yaml", "extends: domain\ngenerate: {count: 20}\n"), catalog.CATALOG
    )
    shipped = load_recipe("domain", catalog.CATALOG)
    ours, theirs = mine.stages["generate"].identity(), shipped.stages["generate"].identity()
    assert ours == {**theirs, "count": 20}


def test_a_past_run_is_no_recipe_and_what_it_would_mean_is_said() -> None:
    with pytest.raises(UserError, match="acme@1 is a past run of acme, .*run acme --again"):
        find_recipe("acme@1")
