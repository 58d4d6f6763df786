"""Passages of a user's files, and whether a task keeps to its passage."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_pipe.core.errors import UserError, UserErrors
from alpaca_pipe.core.word_count import word_count
from alpaca_pipe.generate.sources.groundedness import ungrounded
from alpaca_pipe.generate.sources.passages import chunks, passages, read_text

LONG = "The clinic opens at eight on weekdays and at nine on Saturdays, and it closes at noon on the day before a holiday."


@given(
    st.lists(st.text("ab .\n", min_size=1, max_size=300), max_size=8).map("\n\n".join),
    st.integers(20, 60),
)
def test_passages_are_spans_of_the_text_in_order_and_within_their_size(
    text: str, words: int
) -> None:
    after = 0
    for start, end, passage in passages(text, words):
        assert text[start:end] == passage == passage.strip()
        assert after <= start < end
        assert 20 <= len(passage.split()) <= words
        after = end


def test_paragraphs_stay_whole_where_they_fit() -> None:
    text = "\n\n".join([LONG] * 3)
    assert [passage for _, _, passage in passages(text, 50)] == [f"{LONG}\n\n{LONG}", LONG]
    assert [passage for _, _, passage in passages(" ".join([LONG] * 3), 30)] == [LONG] * 3


def test_every_kind_of_file_is_read(tmp_path: Path) -> None:
    pytest.importorskip("bs4", reason="the extra 'documents' is not installed")
    from docx import Document

    (tmp_path / "a.txt").write_text(LONG)
    (tmp_path / "b.md").write_text(f"# Title\n\n{LONG}\n")
    (tmp_path / "c.html").write_text(
        f"<nav>Home</nav><script>x=1</script><h1>Title</h1><p>{LONG}</p>"
    )
    document = Document()
    document.add_paragraph(LONG)
    document.save(str(tmp_path / "d.docx"))
    (tmp_path / "e.pdf").write_bytes(_pdf(LONG))
    (tmp_path / "ignored.png").write_bytes(b"\x89PNG")
    found = chunks([tmp_path], 100)
    assert [chunk.file for chunk in found] == ["a.txt", "b.md", "c.html", "d.docx", "e.pdf"]
    for chunk in found:
        assert "closes at noon" in " ".join(chunk.text.split())
        assert "Home" not in chunk.text and "x=1" not in chunk.text
        assert read_text(tmp_path / chunk.file)[chunk.start : chunk.end] == chunk.text


def _pdf(text: str) -> bytes:
    """The smallest PDF with one page of text."""
    half = len(text) // 2
    stream = f"BT /F1 8 Tf 20 100 Td ({text[:half]}) Tj 0 -12 Td ({text[half:]}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 200] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return (
        out
        + b"xref\n0 6\n0000000000 65535 f \n%strailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF"
        % (table, len(out))
    )


def test_broken_files_are_all_told_at_once(tmp_path: Path) -> None:
    pytest.importorskip("bs4", reason="the extra 'documents' is not installed")
    (tmp_path / "a.txt").write_bytes(b"caf\xe9 " * 30)
    (tmp_path / "b.pdf").write_bytes(b"no pdf at all")
    (tmp_path / "c.docx").write_bytes(b"PK\x03\x04 broken")
    (tmp_path / "d.md").write_text(" \n")
    with pytest.raises(UserErrors) as caught:
        chunks([tmp_path], 100)
    said = str(caught.value)
    for what in (
        "a.txt: not UTF-8 at byte 3",
        "b.pdf: cannot be read",
        "c.docx: cannot be read",
        "d.md: it holds no text",
    ):
        assert what in said
    (tmp_path / "short").mkdir()
    (tmp_path / "short" / "a.txt").write_text("Too short.")
    with pytest.raises(UserError, match="no passage of 20 words or more"):
        chunks([tmp_path / "short"], 100)
    with pytest.raises(UserErrors, match="not read - convert it to one of"):
        chunks([tmp_path / "b.png"] if (tmp_path / "b.png").write_bytes(b"x") else [], 100)


PASSAGE = "Dr. Amara Okoye founded the clinic in Leeds in 1994. It treats 12,500 cats a year; vaccination costs £45.50."


@pytest.mark.parametrize(
    "text, missing",
    [
        ("The clinic was founded by Amara Okoye in 1994.", ""),
        ("It costs 45.50 and treats 12500 cats.", ""),
        ("Okoye's clinic is in Leeds.", ""),
        ("1. It is in Leeds\n2. It treats cats", ""),
        ("Vaccinations cost money. Ask the clinic first.", ""),
        ("I'd call the clinic.", ""),
        ("It was founded in 1995.", "1995"),
        ("It treats 12,600 cats.", "12600"),
        ("The clinic is in York.", "York"),
        ('He said: "Call the NHS today"', "NHS"),
        ("YouTube has a video of it.", "YouTube"),
    ],
)
def test_numbers_and_names_must_stand_in_the_passage(text: str, missing: str) -> None:
    assert ungrounded(text, PASSAGE) == missing


@given(st.text(max_size=200))
def test_a_passage_grounds_itself(text: str) -> None:
    assert ungrounded(text, text) == ""


@pytest.mark.parametrize(
    ("sentence", "most"),
    [
        ("土壤表面干了再浇水，大约每周一次。", 40),
        ("土の表面が乾いたら水をやります。", 40),
        ("รดน้ำเมื่อผิวดินแห้ง สัปดาห์ละครั้งก็พอ ", 40),
    ],
)
def test_a_text_without_blanks_is_cut_at_its_sentences(sentence: str, most: int) -> None:
    """Before, a whole chapter counted as one word and was one passage."""
    text = sentence * 60
    found = list(passages(text, most))
    assert len(found) > 5
    for start, end, passage in found:
        assert text[start:end] == passage and 10 <= word_count(passage) <= most
    assert sum(len(passage.replace(" ", "")) for _, _, passage in found) >= 0.95 * len(
        text.replace(" ", "")
    )
