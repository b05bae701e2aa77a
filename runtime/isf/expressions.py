"""The size of a pass: a small sum such as `floor($WIDTH/4.0)`, read once and worked out at every frame."""

from __future__ import annotations

import ast
import math
import operator
import re
import warnings
from collections.abc import Callable, Collection, Mapping
from typing import Final

LONGEST: Final = 200
DEEPEST: Final = 24
OPERATORS: Final[Mapping[type[ast.AST], Callable[..., float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: math.fmod,
    ast.Pow: math.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
FUNCTIONS: Final[Mapping[str, tuple[int, Callable[..., float]]]] = {
    "floor": (1, math.floor),
    "ceil": (1, math.ceil),
    "round": (1, lambda x: math.floor(x + 0.5)),
    "trunc": (1, math.trunc),
    "abs": (1, abs),
    "sqrt": (1, math.sqrt),
    "exp": (1, math.exp),
    "ln": (1, math.log),
    "log": (1, math.log10),
    "log2": (1, math.log2),
    "sin": (1, math.sin),
    "cos": (1, math.cos),
    "tan": (1, math.tan),
    "pow": (2, math.pow),
    "mod": (2, math.fmod),
    "min": (2, min),
    "max": (2, max),
}
"""By name: how many arguments at least; `min` and `max` take more."""
CONSTANTS: Final[Mapping[str, float]] = {"pi": math.pi, "e": math.e}
VARIABLE: Final = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
Sum = Callable[[Mapping[str, float]], float]


def expression(given: str | float, names: Collection[str]) -> Sum:
    """What `given` is worth where every variable of `names` has a value. The result may raise ArithmeticError
    or ValueError, as dividing by zero does.

    Raises ValueError for what is no such sum: only numbers, `$NAME`, + - * / %, brackets and a few functions
    are read, and nothing is ever run.
    """
    text = str(given).strip()
    if not text or len(text) > LONGEST:
        raise ValueError(f"an expression has 1 to {LONGEST} characters, not {len(text)}")
    try:
        # A variable is marked so that `$floor` is no function and `WIDTH` alone no variable.
        with warnings.catch_warnings(action="ignore"):  # of numbers such as 1and: the sum is judged here
            parsed = ast.parse(VARIABLE.sub(r"__\1", text), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"'{text}' cannot be read as a sum") from error
    return _read(parsed.body, text, names, 0)


def _read(node: ast.AST, text: str, names: Collection[str], depth: int) -> Sum:
    if depth > DEEPEST:
        raise ValueError(f"'{text}' is nested too deeply")

    def inner(one: ast.AST) -> Sum:
        return _read(one, text, names, depth + 1)

    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        number = float(node.value) if abs(node.value) < 1e12 else math.inf
        return lambda values: number
    if isinstance(node, ast.Name):
        return _name(node.id, text, names)
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        left, right, does = inner(node.left), inner(node.right), OPERATORS[type(node.op)]
        return lambda values: does(left(values), right(values))
    if isinstance(node, ast.UnaryOp) and type(node.op) in OPERATORS:
        whole, turns = inner(node.operand), OPERATORS[type(node.op)]
        return lambda values: turns(whole(values))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        return _call(node.func.id, [inner(argument) for argument in node.args], text)
    raise ValueError(f"'{text}' holds more than numbers, $NAMES, + - * / %, brackets and functions")


def _name(name: str, text: str, names: Collection[str]) -> Sum:
    if name in CONSTANTS:
        number = CONSTANTS[name]
        return lambda values: number
    variable = name.removeprefix("__")
    if variable == name or variable not in names:
        known = ", ".join(f"${one}" for one in names)
        raise ValueError(f"'{text}' names {variable}, which is none of {known}")
    return lambda values: values[variable]


def _call(name: str, arguments: list[Sum], text: str) -> Sum:
    if name in CONSTANTS and not arguments:  # pi() is written too
        number = CONSTANTS[name]
        return lambda values: number
    if name not in FUNCTIONS:
        raise ValueError(f"'{text}' calls {name}, which is none of {', '.join(FUNCTIONS)}")
    wanted, does = FUNCTIONS[name]
    if len(arguments) != wanted and not (name in ("min", "max") and len(arguments) > wanted):
        raise ValueError(f"'{text}' gives {name} {len(arguments)} arguments; it takes {wanted}")
    return lambda values: float(does(*(argument(values) for argument in arguments)))
