"""`init`: what it makes plans and rehearses as it is, says what is still the template's, and overwrites nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from alpaca_pipe.catalog import CATALOG
from alpaca_pipe.cli import app
from alpaca_pipe.core.errors import UserError
from alpaca_pipe.generate.seeds.seed_file import still_the_templates
from alpaca_pipe.generate.seeds.seeds import read_seeds
from alpaca_pipe.recipe.schema import load_recipe
from alpaca_pipe.start.folder import begin, hints
from alpaca_pipe.start.seed_check import print_check

NOTE = (
    "# Rules\n\n"
    + "The clinic is open from eight to six on weekdays, and dogs wait on a lead outside of the room. "
    * 3
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*words: str, code: int = 0) -> str:
    answer = CliRunner().invoke(app, list(words), catch_exceptions=True)
    assert answer.exit_code == code, answer.output + repr(answer.exception)
    return answer.output + (str(answer.exception) if code else "")


def test_what_it_makes_plans_as_it_is(home: Path) -> None:
    said = command("init", "vet", "--domain", "small-animal clinic")
    assert {path.name for path in (home / "vet").iterdir()} == {
        "vet.yaml",
        "seeds.csv",
        "README.md",
        ".gitignore",
    }
    assert "next: edit vet/seeds.csv" in said and "{{" not in "".join(
        path.read_text() for path in (home / "vet").iterdir()
    )
    recipe = load_recipe("vet", CATALOG)
    assert (
        recipe.name == "vet"
        and recipe.use == "internal"
        and set(recipe.stages) == {"generate", "curate", "train", "evaluate", "export"}
    )
    generate = recipe.stages["generate"].model_dump()
    assert generate["domain"] == "small-animal clinic" and generate["style"] == "alpaca"
    assert "10 of 10 seeds are still the template's" in command("plan", "vet")
    assert (
        "still the template's (lines 2, 3"
        in command("seeds", "vet")
        == command("seeds", "check", "vet/seeds.csv")
    )
    assert not (home / "runs").exists()


def test_the_embedded_teacher_of_the_head_comment_is_a_line_that_works(home: Path) -> None:
    (home / "documents").mkdir()
    (home / "documents" / "rules.md").write_text(NOTE)
    for name in ("plain", "asked"):
        begin(name, "a clinic", [Path("documents")] if name == "asked" else ())
        head = (home / name / f"{name}.yaml").read_text().split("\n\n")[0].splitlines()
        line = next(line for line in head if "local_server" in line)
        recipe = load_recipe(name, CATALOG, line.split()[4:])
        assert (
            recipe.stages["generate"].model_dump()["style"] == "two-step"
            and recipe.tables["teacher"].kind == "local_server"
        )


@pytest.mark.parametrize("place", ["documents", "vet/documents", "elsewhere"])
def test_documents_that_are_there_are_asked_about(home: Path, place: str) -> None:
    (home / place).mkdir(parents=True)
    (home / place / "rules.md").write_text(NOTE)
    begin("vet", 'the "best" clinic \\ here', [Path(place)] if place == "elsewhere" else ())
    generate = load_recipe("vet", CATALOG).stages["generate"].model_dump()
    assert generate["style"] == "documents" and generate["domain"] == 'the "best" clinic \\ here'
    assert [path.resolve() for path in generate["documents"]] == [home / place]
    assert (
        f"{'documents' if place == 'vet/documents' else '../' + place}`"
        in (home / "vet" / "README.md").read_text()
    )


def test_nothing_is_overwritten(home: Path) -> None:
    begin("vet", "a clinic")
    before = {path: path.read_bytes() for path in (home / "vet").iterdir()}
    with pytest.raises(UserError, match="it is there already, and nothing is overwritten"):
        begin("vet", "another")
    assert {path: path.read_bytes() for path in (home / "vet").iterdir()} == before


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("quickstart", "the name of a shipped recipe"),
        ("store", "cannot be called"),
        ("a b", "cannot be called"),
        ("taken", "this is a file"),
        ("..", "cannot be called"),
    ],
)
def test_names_that_cannot_be_taken(home: Path, name: str, said: str) -> None:
    (home / "taken").write_text("")
    with pytest.raises(UserError, match=said):
        begin(name, "a clinic")
    assert [path.name for path in home.iterdir()] == ["taken"]


def test_a_git_repository_is_told_what_to_keep_out(home: Path) -> None:
    (home / ".git").mkdir()
    (home / ".gitignore").write_text("runs/\n")
    assert "add .env to .gitignore" in "\n".join(hints(Path("vet")))


def test_a_row_that_was_reworded_is_the_users_own(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin("vet", "a clinic")
    file = home / "vet" / "seeds.csv"
    assert len(still_the_templates(read_seeds(file))) == 10
    file.write_text(
        file.read_text().replace("When are you open on Saturdays?", "When are you open on Fridays?")
    )
    assert len(still_the_templates(read_seeds(file))) == 9
    print_check(file)
    assert "9 of 10 are still the template's" in capsys.readouterr().out


def test_a_model_for_a_domain_is_asked_about_the_seeds_topics_and_told_its_domain(
    home: Path,
) -> None:
    from alpaca_pipe.generate.prompts.starting_pool import seating_of
    from alpaca_pipe.generate.styles import style_of

    begin("vet", "a clinic")
    recipe = load_recipe("vet", CATALOG)
    config, teacher = recipe.stages["generate"], recipe.tables["teacher"]
    style = style_of(config, teacher, frozenset())  # type: ignore[arg-type]
    seat = seating_of(config, style, 1, ()).round(0, 0, 1)[0]  # type: ignore[arg-type]
    topics = {seed.topic for seed in read_seeds(home / "vet" / "seeds.csv")}
    assert set(seat.topics) <= topics
    assert "It will work in this domain: a clinic." in style.request_for(seat).messages[0].content
