"""Which language a text is in: eight by their small words and endings, some by their script; unknown when unsure.

`LANGUAGES` are told apart by frequent words (shared ones count less) and typical letters and endings. Scripts that
mostly one language uses are told by their letters. Everything else, texts of one or two words, and texts in two
languages at once, are `unknown`: a guess would send people's customers the wrong way.
"""

from __future__ import annotations

import re
from collections import Counter

from intercom_bulk.insights.text import folded

__all__ = ["LANGUAGES", "STOP_WORDS", "language_of"]

_WORDS = {
    "en": """
        the a an and or but is are was were be been i you he she it we they my your our their this that these
        those of in on at to for with from not no do does did dont doesnt didnt can cant could would should will
        wont have has had how what when where why who which there here please thanks thank hi hello if then than
        so as by about after before again any some im ive its youre just me us them am get got out up only also
        yes since still each into over because need want like would nobody anybody somebody one two new now
    """,
    "de": """
        der die das ein eine einen einem einer eines und oder aber ist sind war waren sein ich du er sie es wir
        ihr mein meine meinen meinem meiner unser unsere unseren dein deine euer eure ihre ihren dies diese dieser
        dieses von in im am an auf zu zum zur fur mit aus nicht kein keine keinen kann konnen konnte wird werden
        wurde haben hat habe hatte wie was wann wo warum wer welche bitte danke hallo guten wenn dann als so bei
        nach vor uber auch noch nur schon mehr mich mir uns man dass weil seit sehr wieder immer nichts alle ja
        nein
    """,
    "fr": """
        le la les un une des du de et ou mais est sont etait etre je tu il elle nous vous ils elles mon ma mes ton
        votre vos notre nos leur ce cet cette ces dans sur au aux a pour avec par pas ne plus peut puis pouvez
        pourriez peux avoir ai avez ont comment que quoi quand pourquoi qui quel quelle quels merci bonjour si
        alors comme apres avant aussi encore depuis tres toujours mais sans chez j l d n s c qu y en se me quand
        tout toute
    """,
    "es": """
        el la los las un una unos unas y o pero es son era ser estar esta estan yo tu usted ustedes nosotros ellos
        mi mis su sus nuestro nuestra este esta estos ese eso de del en a al por para con sin no ya puedo puede
        pueden tengo tiene hay he ha han como que cuando donde quien cual gracias hola si entonces muy mas tambien
        desde hace todo todos todavia siempre quiero necesito me se nos le lo les otra otro dos porque sobre
        aunque
    """,
    "pt": """
        o a os as um uma uns umas e ou mas sao era ser estar esta estao eu tu voce voces nos eles meu minha meus
        minhas seu sua nosso nossa este esta isso de do da dos das em no na nos nas ao por para com sem nao ja
        posso pode podem tenho tem ha foi fui como que quando onde quem qual obrigado obrigada ola se entao muito
        mais tambem desde tudo todos ainda sempre quero preciso me se lhe pela pelo mesma mesmo ninguem gostaria
        fazer faco encontro
    """,
    "it": """
        il lo la i gli le un uno una e o ma sono era essere io tu lui lei noi voi loro mio mia miei mie tuo suo
        nostro nostra questo questa questi quello di del della dello dei delle degli in nel nella a al alla ai da
        dal dalla per con senza non gia posso puo possono ho hai ha abbiamo avete hanno come che quando dove chi
        quale grazie ciao buongiorno se allora molto piu anche tutto tutti ancora sempre vorrei vorremmo devo mi
        si ci vi ne stato stati mai ogni volta faccio riesco stiamo siete sul sulla l d dopo
    """,
    "nl": """
        de het een en of maar is zijn was waren ik jij je u hij zij ze wij we jullie mijn jouw uw onze ons hun dit
        dat deze die van in op aan te tot voor met uit bij niet geen kan kunnen kunt kon wordt worden werd hebben
        heeft heb had hoe wat wanneer waar waarom wie welke alsjeblieft bedankt hallo als dan zo na ook nog alleen
        al meer mij er naar over omdat wil graag zou sinds steeds erg heel veel door om weer altijd niets alle
        nieuwe
    """,
    "sv": """
        den det en ett och eller men ar var vara jag du han hon vi ni de min mitt mina din ditt dina er ert var
        vart vara denna detta dessa av i pa at till for med fran inte ingen inget kan kunde blir blev har hade hur
        vad nar varfor vem vilken tack hej om da sa efter innan ocka ocksa annu bara redan mer mig oss dem man att
        som skulle vill sedan mycket alltid nagon alla igen eftersom fortfarande fler langre valdigt
    """,
}
_ENDINGS = {
    "en": r"(?:ing|ly|ed)\b|\b(?:th|wh)\w|ght|ck\b|\w'(?:t|re|ve|ll|m)\b",
    "de": r"(?:ung|keit|heit|lich|isch|ieren|en)\b|ß|sch|ü\w|ä\w",
    "fr": r"(?:eur|eux|tion|ment|é|ée|és|ez|aux)\b|\b[cdjlmnst]['’][aeiouéêh]|qu[ei]|ê|è|œ|ç",
    "es": r"(?:ción|dad|ado|ada|ar|os|as)\b|ñ|¿|¡|ll|ó\b|é\b",
    "pt": r"(?:ção|ções|ão|ões|dade|ado|mente|agem)\b|ã|õ|ç|lh|nh",
    "it": r"(?:zione|zioni|mente|are|ere|ire|ato|ata|issimi?|issimo)\b|zz|gl[ie]|cch|\b(?:(?:d|n)ell|un|l)['’]|à\b|ò\b",
    "nl": r"(?:en|lijk|heid|tje)\b|ij|oo|aa|ee|uu|cht|\bge\w+(?:d|t)\b|sch",
    "sv": r"(?:ar|or|na|en|et|ade|ning|het)\b|å|ö|ä|sj|ck",
}
LANGUAGES = tuple(_WORDS)
STOP_WORDS = frozenset(word for several in _WORDS.values() for word in several.split())
_HOLDERS: dict[str, list[str]] = {}
for _language, _several in _WORDS.items():
    for _word in sorted(set(_several.split())):
        _HOLDERS.setdefault(_word, []).append(_language)
_TYPICAL = {language: re.compile(pattern) for language, pattern in _ENDINGS.items()}
_LETTERS = re.compile(r"[^\W\d_]+")
_READ = 1_000
"""Characters: more would change no answer."""
_ENOUGH, _MARGIN = 1.5, 1.25
_SCRIPTS = (
    ("ja", re.compile(r"[\u3040-\u30ff]")),
    ("ko", re.compile(r"[\uac00-\ud7af]")),
    ("zh", re.compile(r"[\u4e00-\u9fff]")),
    ("el", re.compile(r"[\u0370-\u03ff]")),
    ("he", re.compile(r"[\u05d0-\u05ea]")),
    ("th", re.compile(r"[\u0e01-\u0e5b]")),
)
_CYRILLIC = re.compile(r"[\u0400-\u04ff]")
_NOT_RUSSIAN = re.compile(r"[\u0404\u0406\u0407\u0454\u0456\u0457\u0490\u0491\u0402-\u040f\u0452-\u045f]")
_RUSSIAN = re.compile(r"[ыэъё]|\b(?:как|что|это|не|для|мне|вы)\b", re.IGNORECASE)
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")


def language_of(text: str) -> str:
    """A code such as `en`, or `unknown`."""
    text = text[:_READ]
    if not text.isascii() and (found := _by_script(text)):
        return found
    return _by_words(text)


def _by_script(text: str) -> str | None:
    latin = len(_LATIN.findall(text))
    for language, letters in _SCRIPTS:
        if len(letters.findall(text)) > max(1, latin // 3):
            return language
    if len(_CYRILLIC.findall(text)) > max(2, latin // 2):
        return "ru" if _RUSSIAN.search(text) and not _NOT_RUSSIAN.search(text) else "unknown"
    return None


def _by_words(text: str) -> str:
    words = _LETTERS.findall(folded(text))
    if not words:
        return "unknown"
    scores: Counter[str] = Counter()
    for word in words:
        holders = _HOLDERS.get(word, ())
        for language in holders:
            scores[language] += 1.0 / len(holders)  # type: ignore[assignment]
    lower = text.casefold()
    for language, pattern in _TYPICAL.items():
        scores[language] += 0.35 * min(len(pattern.findall(lower)), len(words))  # type: ignore[assignment]
    (best, most), (_, second) = (scores.most_common(2) + [("", 0)] * 2)[:2]
    enough = most >= _ENOUGH or (most >= 1 and len(words) <= 6 and most >= 0.35 * len(words))
    return best if enough and most >= _MARGIN * second and most >= 0.12 * len(words) else "unknown"
