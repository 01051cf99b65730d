"""`python -m gateway.shell.api.document > spec/openapi.json`: the document that is committed."""

import json

from gateway.shell.api.app import document


def text() -> str:
    """The document as it is committed: one key a line, in a fixed order."""
    return json.dumps(document(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(text(), end="")  # noqa: T201 - its output is the file
