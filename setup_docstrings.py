"""Docstrings and signatures for the C code of mypyc, which drops them.

mypyc keeps a signature if it can fold every default to a literal, and never a docstring. Both are
read from the source and written into the tables of the C code before the compilation, so that they
are constants of the binary, and importing it runs no code for them.

The form is that of Argument Clinic, which `inspect` reads: `name($self, n=1)`, a line of two dashes
and the docstring. It has no annotations, and only literals as defaults: a name becomes the literal
that it stands for, and a default that is an object (a clock) becomes `...`, as in a stub file.
Objects that mypyc makes for coroutine functions show neither docstrings nor signatures.
"""

import ast
import operator
import re
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from mypyc.namegen import NameGenerator

Function = ast.FunctionDef | ast.AsyncFunctionDef

# A docstring in C code, and the entries before it of functions and methods, properties, classes and
# modules, with the symbol as the second group.
DOC = r'(?:NULL|PyDoc_STR\((?:NULL|(?:"(?:[^"\\]|\\.)*"\s*)+)\))'
PLACES = [
    r"(\(PyCFunction\)CPyPy_(\w+),\s*METH_[\w |]*,\s*)",
    r"(\(getter\)(\w+),\s*(?:NULL|\(setter\)\w+),\s*)",
    r"(PyTypeObject CPyType_(\w+)_template_ = \{[^}]*?\.tp_doc = )",
    r'(PyModuleDef_HEAD_INIT,\s*"([\w.]+)",\s*)',
]

ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], object]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


def add_docstrings(sources: list[str], files: Iterable[Path]) -> None:
    """Add the docstrings and signatures of source files to the C code that mypyc made of them.

    Raises:
        LookupError: some have no place in the C code, because this version of mypyc has another
            layout. They are left out; the code is complete without them.
    """
    modules = [source.removesuffix(".py").replace("/", ".") for source in sources]
    names = NameGenerator([modules])
    docs = {symbol: doc for module in modules for symbol, doc in docs_of(module, names) if doc}

    def with_doc(place: re.Match[str]) -> str:
        doc = docs.pop(place[2], None)
        return place[0] if doc is None else f"{place[1]}PyDoc_STR({c_string(doc)})"

    for file in files:
        code = documented = file.read_text(encoding="utf-8")
        for place in PLACES:
            documented = re.sub(place + DOC, with_doc, documented)
        if documented != code:
            file.write_text(documented, encoding="utf-8")
    if docs:
        raise LookupError(f"no place for {len(docs)} of them, such as {min(docs)}")


def c_string(text: str) -> str:
    """Return a string literal of C, one piece for each line."""
    # MSVC takes at most 2048 bytes in a piece, and reads bytes above ASCII in its own code page.
    return "\n".join(
        '"' + re.sub(rb'[^ -~]|["\\?]', octal, line.encode()).decode() + '"'
        for line in text.splitlines(keepends=True)
    )


def octal(byte: re.Match[bytes]) -> bytes:
    """Return a byte as an octal escape, which has a fixed length, unlike a hexadecimal one."""
    return b"\\%03o" % ord(byte[0])


def docs_of(module: str, names: NameGenerator) -> Iterator[tuple[str, str]]:
    """Yield the symbol and the documentation of a module and each of its definitions."""
    yield module, docstring(tree(module))
    for name, node in bindings(module).items():
        symbol = names.private_name(module, name)
        if isinstance(node, Function):
            yield symbol, f"{name}({parameters(module, node)})\n--\n\n{docstring(node)}"
        # mypyc has `typing` create named tuples, with one docstring for all of them.
        elif isinstance(node, ast.ClassDef) and "NamedTuple" not in map(ast.unparse, node.bases):
            yield symbol, f"{name}({constructor(module, node)})\n--\n\n{docstring(node)}"
            for member in node.body:
                if isinstance(member, Function):
                    yield from docs_of_member(module, name, member, names)


def docs_of_member(
    module: str, owner: str, node: Function, names: NameGenerator
) -> Iterator[tuple[str, str]]:
    """Yield the symbol and the documentation of a method or a property."""
    decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
    if "property" in decorators:
        yield names.private_name(module, f"{owner}_get_{node.name}"), docstring(node)
    elif f"{node.name}.setter" not in decorators:
        # inspect drops a parameter with this mark from the signature of a bound method.
        mark = "" if "staticmethod" in decorators else "$"
        signature = f"{node.name}({mark}{parameters(module, node)})"
        symbol = names.private_name(module, f"{owner}.{node.name}")
        yield symbol, f"{signature}\n--\n\n{docstring(node)}"


def docstring(node: ast.Module | ast.ClassDef | Function) -> str:
    """Return a docstring without its indentation."""
    return ast.get_docstring(node) or ""


def constructor(module: str, node: ast.ClassDef) -> str:
    """Return the parameters of a class: of its own `__init__`, or of an inherited one."""
    for member in node.body:
        if isinstance(member, Function) and member.name == "__init__":
            return parameters(module, member, bound=True)
    for base in node.bases:
        origin, definition = definition_of(module, ast.unparse(base))
        if isinstance(definition, ast.ClassDef):
            return constructor(origin, definition)
    return ""


def parameters(module: str, node: Function, *, bound: bool = False) -> str:
    """Return the parameters of a function without annotations, and without `self` if bound."""
    arguments = deepcopy(node.args)
    for argument in ast.walk(arguments):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    if bound:
        del (arguments.posonlyargs or arguments.args)[0]
    arguments.defaults = [literal(module, default) for default in arguments.defaults]
    arguments.kw_defaults = [
        default and literal(module, default) for default in arguments.kw_defaults
    ]
    return ast.unparse(arguments)


def literal(module: str, default: ast.expr) -> ast.expr:
    """Return a default as a literal: `...` if its value is no constant."""
    try:
        return ast.Constant(constant(module, default))
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return ast.Constant(...)


def constant(module: str, node: ast.expr) -> Any:
    """Return the value of an expression of literals, names of constants and arithmetic.

    Raises:
        ArithmeticError, LookupError, TypeError, ValueError: the expression is no constant.
    """
    match node:
        case ast.Name(name):
            origin, definition = definition_of(module, name)
            if isinstance(definition, ast.Assign | ast.AnnAssign) and definition.value:
                return constant(origin, definition.value)
        case ast.Tuple(elements):
            return tuple(constant(module, element) for element in elements)
        case ast.BinOp(left, operation, right):
            return ARITHMETIC[type(operation)](constant(module, left), constant(module, right))
        case _:
            pass
    return ast.literal_eval(node)


def definition_of(module: str, name: str) -> tuple[str, ast.stmt | None]:
    """Return the module that defines a name, and the definition, None outside of the library."""
    node = bindings(module).get(name)
    if isinstance(node, ast.ImportFrom):
        (original,) = [alias.name for alias in node.names if name == (alias.asname or alias.name)]
        return definition_of(node.module or "", original)
    return module, node


@cache
def bindings(module: str) -> dict[str, ast.stmt]:
    """Return the top-level statements of a module by the names that they bind."""
    found: dict[str, ast.stmt] = {}
    for node in tree(module).body:
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                found[node.name] = node
            case ast.Assign(targets=[ast.Name(name)]) | ast.AnnAssign(target=ast.Name(name)):
                found[name] = node
            case ast.ImportFrom(names=aliases):
                found |= {alias.asname or alias.name: node for alias in aliases}
            case _:
                pass
    return found


def tree(module: str) -> ast.Module:
    """Return the parsed source of a module, empty for a module of another library."""
    path = Path(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(path.read_bytes() if path.exists() else b"")
