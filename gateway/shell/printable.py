"""What strangers wrote, as it may be shown to a person."""


def printable(text: str, also: str = "") -> str:
    """Text without control characters, which a stranger could steer a terminal with; `also` may
    stay.
    """
    return "".join(
        sign if sign.isprintable() or sign in also else "\N{REPLACEMENT CHARACTER}"
        for sign in text
    )
