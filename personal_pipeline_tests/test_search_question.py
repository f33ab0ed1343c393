"""What is found, judged by a plain search through all texts, and that nothing typed is an error."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from personal_pipeline.home import Home
from personal_pipeline.search import finding
from personal_pipeline.search.finding import Found, found
from personal_pipeline.search.index import write_search
from personal_pipeline.search.question import Question, parsed, period_of
from personal_pipeline.search.words import matches, pieces_of, snippet_of
from personal_pipeline_tests.examples import examples
from personal_pipeline_tests.published_timeline import Event, event, house_of, write_timeline

LATIN = ("run", "running", "Café", "cafe", "Zürich", "naïve", "x", "42", "ÉCOLE")
PAIRED = ("東京", "東京都", "京都", "ラーメン", "の", "한국어", "한국", "กิน", "สวัสดี")
PUNCTUATED = ("don't", "foo_bar", "ann@example.com")
PLACES = ("", "Zürich", "東京都 渋谷")

# --------------------------------------------------------------------------- a plain search


def is_paired(word: str) -> bool:
    return word in PAIRED


def plain(word: str) -> str:
    kept = unicodedata.normalize("NFC", word).lower()
    if is_paired(word):
        return kept
    return "".join(c for c in unicodedata.normalize("NFD", kept) if not unicodedata.combining(c))


@dataclass(frozen=True)
class Asked:
    """A term of a question: words side by side, of which the last may be a beginning."""

    words: tuple[str, ...]
    is_prefix: bool = False

    @property
    def typed(self) -> str:
        text = " ".join(self.words)
        return (f'"{text}"' if len(self.words) > 1 else text) + ("*" if self.is_prefix else "")

    def is_in(self, texts: Sequence[str]) -> bool:
        return any(
            self._is_at(words[place:])
            for text in texts
            if (words := text.split())
            for place in range(len(words))
        )

    def _is_at(self, words: Sequence[str]) -> bool:
        if len(words) < len(self.words):
            return False
        last = len(self.words) - 1
        for place, (asked, there) in enumerate(zip(self.words, words, strict=False)):
            one, other = plain(asked), plain(there)
            if not is_paired(asked):
                is_same = other == one or (
                    place == last and self.is_prefix and other.startswith(one)
                )
            elif not is_paired(there):
                is_same = False
            elif place == 0 == last:
                is_same = one in other
            elif place == 0:
                is_same = other.endswith(one)
            elif place == last:
                is_same = other.startswith(one)
            else:
                is_same = other == one
            if not is_same:
                return False
        return True


WORDS = st.sampled_from(LATIN + PAIRED)
TEXTS = st.lists(WORDS, min_size=1, max_size=5).map(" ".join)
BEGINNINGS = st.sampled_from([*LATIN, *(word[:2] for word in LATIN), *(w[:1] for w in PAIRED)])
TERMS = st.one_of(
    st.builds(lambda word: Asked((word,)), WORDS),
    st.builds(lambda words: Asked(tuple(words)), st.lists(WORDS, min_size=2, max_size=3)),
    st.builds(lambda word: Asked((word,), True), st.sampled_from([w[:2] for w in LATIN])),
)
DAYS = st.integers(0, 400).map(lambda number: date(2024, 1, 1) + timedelta(days=number))
SOURCES = ("bank", "apple_health")
KINDS = ("transaction", "night")


@st.composite
def timelines(draw: st.DrawFn) -> list[Event]:
    return [
        event(
            f"{draw(DAYS)}",
            draw(TEXTS),
            event_id=f"a:b:{number}",
            source=draw(st.sampled_from(SOURCES)),
            kind=draw(st.sampled_from(KINDS)),
            detail=draw(st.one_of(st.none(), TEXTS)),
            text=draw(st.one_of(st.none(), TEXTS)),
            place=draw(st.sampled_from(PLACES)) or None,
        )
        for number in range(draw(st.integers(1, 8)))
    ]


FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "source": st.sampled_from(SOURCES),
        "kind": st.sampled_from(KINDS),
        "-source": st.sampled_from(SOURCES),
        "after": DAYS,
        "before": DAYS,
    },
)


def is_wanted(
    each: Event, wanted: list[Asked], unwanted: list[Asked], filters: dict[str, object]
) -> bool:
    texts = [text for text in (each.title, each.detail, each.text, each.place) if text]
    return (
        all(term.is_in(texts) for term in wanted)
        and not any(term.is_in(texts) for term in unwanted)
        and filters.get("source", each.source) == each.source
        and filters.get("kind", each.kind) == each.kind
        and filters.get("-source") != each.source
        and f"{filters.get('after', each.local_day)}" <= f"{each.local_day}"
        and f"{each.local_day}" < f"{filters.get('before', '9')}"
    )


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("small")).ensure()


QUESTIONS = st.tuples(st.lists(TERMS, max_size=2), st.lists(TERMS, max_size=1), FILTERS)


@examples(30)
@given(timelines(), st.lists(QUESTIONS, min_size=1, max_size=20))
def test_it_finds_what_a_plain_search_finds(
    small: Home,
    timeline: list[Event],
    questions: list[tuple[list[Asked], list[Asked], dict[str, object]]],
) -> None:
    write_timeline(small, timeline)
    write_search(house_of(small))
    for wanted, unwanted, filters in questions:
        parts = [term.typed for term in wanted]
        parts += [f"-{term.typed}" for term in unwanted]
        parts += [f"{name}:{value}" for name, value in filters.items()]
        typed = " ".join(parts)
        answer = found(small.search, parsed(typed))
        if answer.instead:
            continue  # nothing was found, and something near was shown
        expected = {e.event_id for e in timeline if is_wanted(e, wanted, unwanted, filters)}
        assert {hit.event_id for hit in answer.hits} == (expected if parts else set()), typed


# ------------------------------------------------------------------------------ what is typed


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("life")).ensure()
    write_timeline(
        home,
        [
            event(
                "2024-06-01 07:30", "Marathon training", text=f"{'a long run ' * 50}by the river"
            ),
            event("2024-06-02", "Groceries", detail="before the marathon", place="Market"),
            event("2024-06-03", "Dinner", people=["Zoë Müller", "Ben"], amount=Decimal(-40)),
            event("2024-06-04", "Email", text="write to ann@example.com, don't forget foo_bar"),
            event("2024-07-01", "東京タワー", detail="ﾗｰﾒﾝ with 山田さん"),
            event("2024-07-02", "การเดินทาง", detail="हिन्दी में"),
            *(event(f"2024-08-{day:02}", "Coffee", event_id=f"c{day}") for day in range(1, 31)),
        ],
    )
    write_search(house_of(home))
    return home


def ask(home: Home, text: str, **more: bool) -> list[str]:
    return titles(found(home.search, parsed(text, **more)))


def titles(answer: Found) -> list[str]:
    return ["".join(piece for piece, _ in hit.title) for hit in answer.hits]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        # a title counts more than a detail, and case and diacritics do not count
        ("MARATHON", ["Marathon training", "Groceries"]),
        ("zoe muller", ["Dinner"]),
        ("ann@example.com", ["Email"]),
        ("don't foo_bar", ["Email"]),
        ("“the river”", ["Marathon training"]),
        ('"river the"', []),
        ('"by the', ["Marathon training"]),
        ("mar* -training", ["Groceries"]),
        ("東京", ["東京タワー"]),
        ("京", ["東京タワー"]),
        ("山田", ["東京タワー"]),
        ("ラーメン", ["東京タワー"]),
        ("ーメ", ["東京タワー"]),
        ("京東", []),
        ("เดิน", ["การเดินทาง"]),
        ("हिन्दी", ["การเดินทาง"]),
        ("email re:invent", []),
        ("groceries before:lunch", []),
        ("marathon after:2024-06-02", ["Groceries"]),
        ("marathon before:2024-06-02", ["Marathon training"]),
        ("source:BANK marathon training", ["Marathon training"]),
        ("-source:bank", []),
        ("source:nowhere", []),
        ("before:2024-06-02", ["Marathon training"]),
        ("", []),
        ("!!! ???", []),
        ('"" * - : ( ) NEAR', []),
    ],
)
def test_examples(life: Home, typed: str, expected: list[str]) -> None:
    assert ask(life, typed) == expected


HOSTILE = st.text(alphabet='"*-:() ^{}+ANDORNTE0aé東\x00\ud800\ue000\u202e', max_size=30)


@given(st.one_of(st.text(max_size=40), HOSTILE), st.booleans())
@example('"', False)
@example("x* OR NOT (", True)
@example("\x00", False)
@example("\udcff", False)
@example("a" * 5000, False)
@example("a -" * 500, False)
@example('source:" kind:* -after: before:0000 after:9999-12-31 before:2024-13', False)
def test_nothing_that_can_be_typed_is_an_error(life: Home, typed: str, typing: bool) -> None:
    answer = found(life.search, parsed(typed, typing=typing))
    assert len(answer.hits) <= answer.count


def test_while_typing_the_last_word_may_be_unfinished(life: Home) -> None:
    assert ask(life, "marathon tra", typing=True) == ["Marathon training"]
    assert ask(life, "tra marathon", typing=True) == []
    # a word that is finished, or quoted, is what it is
    assert ask(life, "marathon tra ", typing=True) == []
    assert ask(life, '"tra"', typing=True) == []


@pytest.mark.parametrize(
    ("typed", "near", "expected"),
    [
        ("marathn", (("marathn", "marathon"),), ["Marathon training", "Groceries"]),
        ("zoé mueler", (("mueler", "muller"),), ["Dinner"]),
        # another initial letter
        ("xarathon", (("xarathon", "marathon"),), ["Marathon training", "Groceries"]),
        # each word is there, but not together
        ("marathon dinner", (), []),
        ("qqqqqqqq", (), []),
        # filters hold for what is shown instead
        ("marathn before:2024-06-02", (("marathn", "marathon"),), ["Marathon training"]),
        ("marathn before:2024-06-01", (), []),
    ],
)
def test_if_nothing_is_found_the_nearest_words_are_shown(
    life: Home, typed: str, near: tuple[tuple[str, str], ...], expected: list[str]
) -> None:
    answer = found(life.search, parsed(typed))
    assert answer.instead == near
    assert titles(answer) == expected


def test_very_many_hits_are_ordered_by_time(life: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    ranked = found(life.search, parsed("coffee"), 3)
    assert (ranked.count, ranked.is_by_time, ranked.is_more) == (30, False, False)
    monkeypatch.setattr(finding, "BY_TIME_ABOVE", 20)
    answer = found(life.search, parsed("coffee"), 3)
    assert [hit.local_day for hit in answer.hits] == ["2024-08-30", "2024-08-29", "2024-08-28"]
    assert (answer.count, answer.is_by_time, answer.is_more) == (21, True, True)


def test_what_was_looked_for_is_marked_in_the_original(life: Home) -> None:
    (hit,) = found(life.search, parsed("ラーメン 東京")).hits
    assert hit.title == (("東京", True), ("タワー", False))
    assert hit.snippet == (("ﾗｰﾒﾝ", True), (" with 山田さん", False))
    (hit,) = found(life.search, parsed("zoe")).hits
    assert hit.snippet == (("Zoë", True), (" Müller, Ben", False))
    (hit,) = found(life.search, parsed("river")).hits
    assert hit.snippet[0] == ("…", False)
    assert hit.snippet[-1] == ("river", True)
    assert len("".join(piece for piece, _ in hit.snippet)) < 200


@given(st.text(max_size=60), st.lists(st.text(min_size=1, max_size=4), max_size=3))
def test_pieces_add_up_to_the_text(text: str, words: list[str]) -> None:
    terms = [term.folded for term in parsed(" ".join(words)).wanted if term.folded[0]]
    spans = matches(text, terms)
    assert "".join(piece for piece, _ in pieces_of(text, spans)) == text
    shown = "".join(piece for piece, _ in snippet_of(text, spans, 20)).strip("…")
    assert shown in text


def test_periods() -> None:
    assert period_of("2024") == (date(2024, 1, 1), date(2025, 1, 1))
    assert period_of("2024-12") == (date(2024, 12, 1), date(2025, 1, 1))
    assert period_of("2024-2-29") == (date(2024, 2, 29), date(2024, 3, 1))
    for text in ("2023-02-29", "0000", "9999", "9999-12-31", "24", "x", "2024-13", ""):
        assert period_of(text) is None


def test_options_narrow_what_is_typed() -> None:
    narrowed = parsed("a after:2024-02 before:2024-05").within(
        since=date(2024, 1, 1), until=date(2024, 3, 1), source="Bank"
    )
    assert narrowed == Question(
        wanted=parsed("a").wanted,
        chosen=frozenset({("source", "bank")}),
        since=date(2024, 2, 1),
        until=date(2024, 3, 1),
    )
