"""The core takes time, chance and parameters as arguments, and computes in integers.

import-linter forbids the known offenders by name; here is the list of what is allowed, so that a
new offender has to be argued for.
"""

import ast

ALLOWED_IMPORTS = {
    # standard library: values, containers, hashing, exact arithmetic
    "__future__", "abc", "base64", "binascii", "bisect", "collections", "dataclasses", "enum",
    "fractions", "functools", "hashlib", "heapq", "hmac", "itertools", "json", "math",
    "operator", "re", "string", "struct", "tomllib", "types", "typing", "unicodedata",
    # formats, signatures, hashes, cells, arrays
    "cbor2", "Crypto", "ed25519_zebra", "h3", "nacl", "numpy", "sha3",
    "gateway",
}  # fmt: skip
EXACT_MATH = {"comb", "gcd", "isqrt", "lcm", "prod"}
FLOAT_DTYPES = {"float16", "float32", "float64", "true_divide", "mean", "std", "quantile"}


def test_core_imports_only_what_is_listed(tree, expect_none):
    found = []
    for name, node in tree.walk("gateway/core/"):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules = [node.module or ""]
        else:
            continue
        found += [
            f"{name}:{node.lineno}: imports {module}"
            for module in modules
            if module.split(".")[0] not in ALLOWED_IMPORTS
            or (module.split(".")[0] == "gateway" and not module.startswith("gateway.core"))
        ]
    expect_none(found)


def _inexact(node: ast.AST) -> str | None:
    match node:
        case ast.Constant(value=float()):
            return f"float {node.value}"
        case ast.Name(id="float"):
            return "float()"
        case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
            return "division that is not //"
        case ast.Attribute(value=ast.Name(id="math")) if node.attr not in EXACT_MATH:
            return f"math.{node.attr}"
        case ast.ImportFrom(module="math"):
            inexact = {alias.name for alias in node.names} - EXACT_MATH
            return f"math.{inexact}" if inexact else None
        case ast.Attribute() if node.attr in FLOAT_DTYPES:
            return node.attr
    return None


def test_core_computes_in_integers(tree, expect_none):
    expect_none(
        [
            f"{name}:{node.lineno}: {what}"
            for name, node in tree.walk("gateway/core/")
            if (what := _inexact(node))
        ]
    )
