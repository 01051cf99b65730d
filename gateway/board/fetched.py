"""One GET of a gateway's API whose answer is bounded: a board is told what a stranger says."""

import httpx

_SECONDS_MAX = 10.0
# What is asked for fits in a few kB; whoever sends more is no gateway.
_ANSWER_BYTES_MAX = 1 << 20


def fetched(url: str) -> tuple[int, bytes]:
    """Status and content. httpx.HTTPError or InvalidURL: no answer; ValueError: too long a one."""
    content = bytearray()
    # No proxy of the environment: as a rule the gateway is near.
    with httpx.stream("GET", url, timeout=_SECONDS_MAX, trust_env=False) as answer:
        for piece in answer.iter_bytes():
            content += piece
            if len(content) > _ANSWER_BYTES_MAX:
                raise ValueError(f"its answer has more than {_ANSWER_BYTES_MAX} bytes")
        return answer.status_code, bytes(content)
