"""A key from `.env` reaches the teacher and nothing else: no file, no log, no line on the screen."""

from __future__ import annotations

from pathlib import Path

from tests.command import command
from tests.proving.start import proving

KEY = "sk-planted-0123456789abcdef"
RECIPE = """teacher:
  kind: openai_chat
  model: made-of-paper
  base_url: {url}
  api_key_env: CLINIC_KEY
  price: {{in: 0.1, out: 0.4}}
  max_attempts: 1
budget: {{api: 1}}
generate: {{count: 8, round_size: 4, seeds: short}}
curate: {{held_out: 2}}
export: {{dataset: [json]}}
"""


def alpaca(home: Path, *words: str) -> tuple[int, str]:
    said = command(*words, cwd=home)
    return said.code, said.out + said.err


def test_a_planted_key_is_nowhere_but_in_its_own_file(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "vet").mkdir(parents=True)
    with proving(tmp_path / "books.sqlite", key=KEY) as server:
        (home / "vet" / "vet.yaml").write_text(RECIPE.format(url=server.url))
        code, said = alpaca(home, "run", "vet")
        assert code == 2 and "CLINIC_KEY" in said
        (home / "vet" / ".env").write_text("CLINIC_KEY=sk-wrong-0123456789abcdef\n")
        wrong, more = alpaca(home, "run", "vet")
        assert wrong == 2
        (home / ".env").write_text(f"# ours\nexport CLINIC_KEY='{KEY}'\n")
        for words in (["run", "vet"], ["plan", "vet", "--json"], ["teachers", "check", "vet"]):
            code, told = alpaca(home, *words)
            assert code == 0, told
            more += told
    said += more
    files = [path for path in home.rglob("*") if path.is_file() and path.name != ".env"]
    assert len(files) > 10 and (home / "runs" / "vet" / "report.html").is_file()
    for text in (said.encode(), *(path.read_bytes() for path in files)):
        assert b"sk-planted" not in text and b"sk-wrong" not in text
