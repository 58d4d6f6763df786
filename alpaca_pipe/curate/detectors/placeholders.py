"""Words that stand for nothing: "No input", `<noinput>`, "N/A", in the languages that instruction data is written in."""

from __future__ import annotations

import re

from alpaca_pipe.core.example import Example
from alpaca_pipe.core.lazy_regex import lazy_regex

_AROUND = (
    r"""[\s"'`<>()\[\]{}\\.,:!?。、「」（）【】《》«»„“”*-]*"""  # what a placeholder is dressed in
)
_LABEL = r"(?:(?:input|context|eingabe|entrada|entrée|输入|輸入|入力|입력)\s*[:：]\s*)?"
_NEEDED = (
    r"(?:\s+(?:is\s+|was\s+)?(?:required|needed|necessary|provided|given|available|applicable)"
    r"(?:\s+(?:for|in|with)\s+(?:this|the)\s+(?:task|instruction|question|prompt|example))?)?"
)
# In other languages: "no input" and its like, which means nothing else.
_ABROAD = (
    r"(?:无|無|没有|沒有)(?:需|须)?(?:任何)?(?:输入|輸入)(?:内容|内容|数据|數據)?|不适用|不適用|入力(?:なし|無し|はありません|不要)|該当なし"
    r"|입력\s?(?:값\s?)?(?:없음|불필요)|입력이\s없습니다|해당\s?없음|kein(?:e|en)?\s(?:eingaben?|input)(?:\s(?:erforderlich|nötig))?"
    r"|nicht\szutreffend|(?:sin|no\shay|ninguna)\s(?:datos\sde\s)?entrada|no\saplica|no\sse\srequiere\s(?:ninguna\s)?entrada"
    r"|(?:aucune|pas\sd['’]|sans)\s?entrée|sans\sobjet|non\sapplicable|(?:sem|nenhuma)\sentrada|não\s(?:aplicável|se\saplica)"
    r"|ness?un\sinput|non\sapplicabile|geen\s(?:invoer|input)|niet\svan\stoepassing|n\.v\.t"
    r"|(?:нет|без)\s(?:ввода|входных\sданных)|входные\sданные\s(?:отсутствуют|не\sтребуются)|не\sприменимо|немає\sвхідних\sданих"
    r"|brak\s(?:danych(?:\swejściowych)?|wejścia)|nie\sdotyczy|(?:giriş|girdi)\syok|không\scó(?:\s(?:dữ\sliệu\s)?đầu\svào)?"
    r"|không\sáp\sdụng|tidak\sada\s(?:masukan|input)|ingen\s(?:inmatning|indata|inndata|input)|inga\sindata|ei\ssyötettä"
    r"|žádný\svstup|bez\svstupu|nincs\sbemenet|fără\sintrare|nicio\sintrare|(?:χωρίς|καμία)\sείσοδος?"
    r"|لا\s(?:يوجد|توجد)\s(?:إدخال|مدخلات|مدخل)|بدون\s(?:إدخال|مدخلات|ورودی)|אין\sקלט|(?:कोई\s)?इनपुट\sनहीं(?:\sहै)?|কোনো?\sইনপুট\sনেই"
    r"|ไม่มี(?:อินพุต|ข้อมูล(?:นำ)?เข้า)"
)
# One word for "none": it may be what a task about words works on.
_BARE = r"NA|NaN|nil|无|無|なし|無し|없음|keine|ninguna|ninguno|aucune?|néant|nenhuma?|nessuno|geen|нет|brak|yok|tidak\sada|không|ไม่มี"
_NO_INPUT = lazy_regex(
    rf"{_AROUND}{_LABEL}{_AROUND}(?:(?:there\s+is\s+)?no[\s_-]*(?:(?:additional|further|specific|extra|other)\s+)?(?:inputs?|context|information)(?:\s+data)?{_NEEDED}"
    rf"|n\s*/\s*a(?:{_AROUND}no[\s_-]*inputs?{_NEEDED})?|n\.a|none(?:{_NEEDED})|null|not (?:applicable|required|needed|provided|given|available)|{_ABROAD}){_AROUND}",
    re.IGNORECASE,
)
_BARE_INPUT = lazy_regex(rf"{_AROUND}{_LABEL}{_AROUND}(?:{_BARE}){_AROUND}", re.IGNORECASE)
# Whose input such a word may well be: translations, spellings, abbreviations and symbols.
_ABOUT_A_WORD = lazy_regex(
    r"\b(?:translat\w*|words?|terms?|abbreviat\w*|acronyms?|symbols?|elements?|codes?|stands?\sfor|mean\w*|defin\w*|synonyms?"
    r"|antonyms?|plurals?|spell\w*|language|initials?|countr\w+|class\w*|answers?|übersetz\w*|wort|traduc\w*|palabra|mot|tradui\w*"
    r"|перевед\w*|слово)\b|[译譯訳词詞번역]",
    re.IGNORECASE,
)
_ABOUT_A_SIGN = lazy_regex(
    r"\b(?:signs?|marks?|symbols?|characters?|punctuat\w*|emoticons?|emojis?|lists?|arrays?|json|dict\w*|objects?|code|brackets?"
    r"|quot\w*|functions?|strings?|regex\w*|expressions?|texts?|inputs?)\b",
    re.IGNORECASE,
)
_EMPTY = frozenset(('""', "''", "-", "--", "---", "–", "—", "//", "[]", "{}", "()", "<>", "“”"))
# "none" may be an answer, and so it is no placeholder here
_NO_OUTPUT = lazy_regex(
    rf"{_AROUND}(?:no[\s_-]*(?:in|out)puts?{_NEEDED}|n\s*/\s*a|null|not applicable|{_ABROAD}"
    r"|(?:无|無|没有|沒有)(?:输出|輸出)|出力なし|출력\s?없음|keine\sausgabe|sin\ssalida|(?:aucune|pas\sde)\ssortie|sem\ssaída|ness?un\soutput"
    rf"|нет\sвывода|không\scó\sđầu\sra){_AROUND}",
    re.IGNORECASE,
)

_LONGEST = 120  # characters, blanks and brackets among them

_NO_INPUT_MARK = rf"<\s*(?:no[\s_-]*inputs?\b[^<>\n]{{0,60}}|(?:{_ABROAD})\s*)>"
MARK = lazy_regex(rf"{_NO_INPUT_MARK}|<\s*no[\s_-]*outputs?\b[^<>\n]{{0,60}}>", re.IGNORECASE)
_MARK_LINE = rf"[\s\"'`\\]*(?:{_NO_INPUT_MARK}|<?noinput>?)[\s\"'`\\.]*"
_FIRST = lazy_regex(
    rf"(?:{_MARK_LINE}(?:\n\s*|$)|\s*{_NO_INPUT_MARK}\s*)(?:outputs?[ \t]*:\s*)?",
    re.IGNORECASE,
)
_LAST = lazy_regex(rf"\n(?:{_MARK_LINE})$", re.IGNORECASE)
_ONLY_LABEL = lazy_regex(rf"[^\W\d_][\w /()-]{{0,40}}[:：]\s*(?:{_MARK_LINE})?", re.IGNORECASE)


def is_no_input(text: str, instruction: str = "") -> bool:
    """One of the spellings of "there is no input": `No input`, `<noinput>.`, `N/A`, `None`, 无输入, `Keine Eingabe` ... and
    nothing else. A bare word for none ("NA", "keine") or a sign ("-", "[]") only where the instruction is not about words."""
    if len(text) > _LONGEST:
        return False
    if not any(map(str.isalnum, text)):
        return text.strip() in _EMPTY and not _ABOUT_A_SIGN.search(instruction)
    return bool(
        _NO_INPUT.fullmatch(text)
        or (_BARE_INPUT.fullmatch(text) and not _ABOUT_A_WORD.search(instruction))
    )


def is_no_output(text: str) -> bool:
    """One of the spellings of "there is no output", and nothing else."""
    return len(text) <= _LONGEST and bool(_NO_OUTPUT.fullmatch(text))


def without_marks(text: str) -> str:
    """The text without a `<noinput>` on a line of its own before or after it; "" where no word is left, or only a label
    ("Photo:")."""
    if "<" not in text and "noinput" not in text.casefold():
        return text
    if _ONLY_LABEL.fullmatch(text):
        return ""
    rest = _LAST.sub("", text.rstrip())
    if found := _FIRST.match(rest):
        rest = rest[found.end() :]
    if rest == text.rstrip():
        return text
    return rest.rstrip() if any(map(str.isalpha, rest)) and not _ONLY_LABEL.fullmatch(rest) else ""


def stray_mark(example: Example) -> tuple[str, str] | None:
    """(field, mark) of a `<noinput>` that stands within a text, so that something is missing there; None where
    nothing else stands there, where `without_marks` takes it out, and in a task about such marks."""
    for name in ("input", "output"):
        text = getattr(example, name)
        if (
            "<" in text
            and (found := MARK.search(text))
            and not (without_marks(text) != text or is_no_output(text) or is_no_input(text))
            and not MARK.search(example.instruction)
        ):
            return name, found.group()
    return None
