"""Find the words of a text in any script, by Unicode's segmentation (UAX #29), as ICU does it.

Chinese, Japanese, Thai, Lao, Khmer and Burmese write no blanks between words; ICU finds them by its dictionaries.
"""

from icu4py.breakers import WordBreaker


def split(text: str) -> list[str]:
    """Return the words: segments with a letter or a digit. "isn't" is one, "e-mail" two."""
    whole = text.encode(errors="replace").decode()  # ICU takes no half of a character
    return [segment for segment in WordBreaker(whole, "en") if any(map(str.isalnum, segment))]


def count(text: str) -> int:
    """Return the number of words."""
    return len(split(text))
