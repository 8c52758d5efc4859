"""Segments of text messages, beside a packing by hand."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from channels.segments import Cost, Prices, Segments, cost, segments

BASIC = "abcXYZ 019@£Δ_Ω\n!?ÄÖñü"
EXTENDED = "^{}\\[~]|€"
texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=400)
gsm_texts = st.text(alphabet=BASIC + EXTENDED, max_size=700)


def packed(sizes: list[int], room: int) -> int:
    """The same in another way: whole characters into boxes, one after the other."""
    boxes = [0]
    for size in sizes:
        if boxes[-1] + size > room:
            boxes.append(0)
        boxes[-1] += size
    return len(boxes)


@settings(deadline=None)
@given(gsm_texts)
def test_letters_of_the_old_alphabet_take_septets(text: str) -> None:
    sizes = [2 if character in EXTENDED else 1 for character in text]
    expected = 1 if sum(sizes) <= 160 else packed(sizes, 153)
    assert segments(text) == Segments("gsm-7", sum(sizes), expected)


@settings(deadline=None)
@given(texts.map(lambda text: text + "汉"))
def test_one_letter_outside_it_makes_all_of_them_two_bytes(text: str) -> None:
    sizes = [len(character.encode("utf-16-le")) // 2 for character in text]
    expected = 1 if sum(sizes) <= 70 else packed(sizes, 67)
    assert segments(text) == Segments("ucs-2", sum(sizes), expected)


@settings(deadline=None)
@given(texts, texts)
def test_more_text_never_takes_fewer_segments(text: str, more: str) -> None:
    assert segments(text + more).segments >= segments(text).segments


def test_the_bounds_are_those_of_the_standard() -> None:
    assert segments("") == Segments("gsm-7", 0, 1)
    assert [segments("a" * n).segments for n in (160, 161, 306, 307)] == [1, 2, 2, 3]
    assert [segments("汉" * n).segments for n in (70, 71, 134, 135)] == [1, 2, 2, 3]


def test_an_extended_letter_counts_twice_and_is_not_cut() -> None:
    assert segments("€" * 80) == Segments("gsm-7", 160, 1)
    assert segments("a" * 152 + "€" + "a" * 10).segments == 2
    # 152 and one euro do not fit into 153, so the third segment begins earlier than the sum would say.
    assert segments("a" * 152 + "€" + "a" * 151).units == 305
    assert segments("a" * 152 + "€" + "a" * 151).segments == 2
    assert segments("a" * 152 + "€" + "a" * 152).segments == 3


def test_an_emoji_is_two_units_and_is_not_cut() -> None:
    assert segments("😀" * 35) == Segments("ucs-2", 70, 1)
    # 67 is odd: 33 of them to a segment, so 67 need three although 134 units would fit into two.
    assert segments("😀" * 67) == Segments("ucs-2", 134, 3)


def test_the_price_is_that_of_the_longest_beginning() -> None:
    prices = Prices(
        currency="EUR", per_segment={"+4": Decimal("0.05"), "+420": Decimal("0.03")}, elsewhere=Decimal("0.2")
    )
    assert cost("a" * 161, "+420601000001", prices) == Cost(2, Decimal("0.06"), "EUR")
    assert cost("a", "+4915112345678", prices).amount == Decimal("0.05")
    assert cost("a", "+8613800138000", prices).amount == Decimal("0.2")


def test_without_a_price_the_cost_is_unknown() -> None:
    assert cost("a", "+8613800138000", Prices()) == Cost(1, None, "USD")
