"""Whether a text is English: asked before a rule that only knows English is applied."""

from __future__ import annotations

import re


def _listed(*words: str) -> frozenset[str]:
    return frozenset(" ".join(words).split())


# The commonest small words of English, and those of other languages that are no English words of their own.
_ENGLISH = _listed(
    "the of and to for with that this these those it its from by you your they their them she his her we our have has had",
    "not but which who what when there been would could should about into than then are were if my how can because while",
    "such only more most other some any each i",
)
_OTHERS = _listed(
    "der die das und ist nicht ein eine einen dem den des im zu mit auf für von sich auch als wie oder werden wird sind",
    "er sie wir ich ihr seinen seine ihre bei nach aus",
    "de het een en van dat op te zijn voor met aan niet ook naar maar",
    "le la les un une du et est dans pour que qui sur pas avec par ce au aux il elle nous vous",
    "el los las y es por para con se su lo como más al pero",
    "os da em não uma ao dos das na com mais",
    "di che per non sono nel della gli alla dei una ed",
    "och att det som på är av för inte af og jeg han hun ikke",  # Scandinavian
    "w z nie się jest że od po ale przez",  # Polish
    "ve bir bu için ile çok olarak",  # Turkish
    "yang dan dengan untuk dari pada ini itu adalah dalam tidak",  # Indonesian and Malay
    "și în cu nu sau pe este",  # Romanian
)
_ENGLISH_TASK = _ENGLISH | _listed(
    "a an is are in on name list write give tell describe explain create generate find make translate compare define identify",
    "summarize summarise rewrite sort convert do add calculate compute solve classify suggest provide design choose state",
    "say show help use pick take think turn change edit fix count order arrange imagine discuss analyze analyse combine complete",
    "construct develop evaluate extract invent outline predict propose recommend replace research select simplify tell who why",
)
_WORD = re.compile(r"[^\W\d_]+")


def is_english(text: str) -> bool:
    """No other language has more of its small words. False where a tenth of the letters are not ASCII. Code and names are
    in no language, and count as English."""
    if not text.isascii():
        letters = "".join(filter(str.isalpha, text))
        if sum(map(str.isascii, letters)) < 0.9 * len(letters):
            return False
    every = _WORD.findall(text.lower())
    return sum(word in _ENGLISH for word in every) >= sum(word in _OTHERS for word in every)


def is_foreign(text: str) -> bool:
    """Nothing says that it is in English: neither a small word, nor one of those that tasks begin with."""
    return not is_english(text) or _ENGLISH_TASK.isdisjoint(_WORD.findall(text.lower()))
