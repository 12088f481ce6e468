"""Docstrings, comments and names read as the field's plain English.

`COVERED` lists the packages that have been brought up to these rules. A package that is added to it
never leaves: a change that fails here is reworded, and the list grows until it names the library.
"""

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(
    not (ROOT / "metrics").is_dir(), reason="the installed library is tested, without its source"
)


def word_set(words: str) -> frozenset[str]:
    return frozenset(words.split())


COVERED = (
    "app",
    "metrics/__init__.py",
    "metrics/_fork.py",
    "metrics/_turns.py",
    "metrics/_version.py",
    "metrics/clock.py",
    "metrics/collectors",
    "metrics/deadline.py",
    "metrics/errors.py",
    "metrics/exporters",
    "metrics/instruments",
    "metrics/integrations",
    "metrics/lifecycle",
    "metrics/options.py",
    "metrics/registry",
    "metrics/reporters",
    "metrics/resources",
    "metrics/testing",
    "metrics/ticker.py",
)

PUBLIC_MODULES = word_set(
    "__init__ clock deadline errors options ticker aiohttp apscheduler asgi celery django grpc "
    "http httpx processes sqlalchemy uvicorn wsgi "
    "csv expvar geth_text graphite influx json log_lines openmetrics opentsdb otlp prometheus "
    "opentelemetry prometheus_client "
    "remote_write statsd file influxdb log pushgateway syslog plugin "
    "__main__ agent cli demo endpoint scrape series settings table text top trends"
)
"""Modules that programs import by name; all others begin with an underscore, or their package."""

RIDDLES = word_set(
    "what whatever which whichever who whoever whom whose where wherever when how "
    "these those this that it they he she "
    "something somebody someone anything anybody anyone everybody everyone nobody"
)
"""Words that no docstring begins with: the reader has to find out which noun they stand for."""

NO_VERBS = word_set(
    "a an the one each every all any no some its other another most both of in on at for from with "
    "as by to if while after before whether seconds none true false"
)
"""Beginnings of a function's docstring that certainly are no verb."""

VERBS_IN_S = word_set("address bypass compress cross discuss dismiss express pass process")
"""Imperatives that end in "s"; all other verbs that do are in the third person."""

CLASS_VERBS = word_set(
    "abandon begin build call cancel check collect count create deliver do end enter exit find get "
    "give guard have hold iterate keep let limit look make name note provide raise read reset "
    "return run say send set start stop store take wait watch wrap write yield"
)
"""Verbs that a class's or module's docstring does not begin with, in either form."""

NOUN_FOLLOWERS = word_set(
    "and as at between by for from in of on or that to under which whose with"
)
"""Words after "calls", "starts" and the like that make these nouns: "Starts of a container"."""

BANNED = {
    r"those": "name the noun",
    r"somebody|someone|whoever|nobody": "name the caller, thread or user",
    r"something|things?": "say the noun",
    r"told|tells?": "write 'emit', 'notify', 'log' or 'report'",
    r"anew": "write 'recreate' or 'reset'",
    r"lent|lends?": "write 'borrowed', or 'owned by another container'",
    r"(?:given|gives?|gave|giving) (?:it )?up": "write 'abandon' or 'close'",
    r"(?:asked|asks?|asking) for": "write 'request' or 'resolve'",
    r"parts|part(?! of)": "write 'resource'",
    r"(?:comes?|came|coming) up|(?:is|are|was|were) down": "write 'start' or 'stopped'",
    r"forgets?|forgot|forgotten": "write 'reset' or 'drop'",
    r"short cuts?": "write 'shortcut'",
    r"life[ -]cycles?": "write 'lifecycle'",
}
"""Words that no docstring or comment has, and what to write in their place."""

SUBJECTS = re.compile(r"(?:\A|[.:;]\s+)(what|whatever|who|whoever|those)\b", re.IGNORECASE)
"""Sentences whose subject is a riddle."""

INDEFINITE = word_set(
    "what whatever whichever who whom whoever those something somebody someone anything anybody "
    "anyone everybody everyone nobody thing things told tell tells telling anew"
)

MOST_INDEFINITE = 0.5
"""Indefinite words per 1,000 words of docstrings; svcs has 0.5, anyio and structlog about 1.2."""

PARTICIPLES = re.compile(
    r"_*(?:[a-z]+ed|begun|bound|done|drawn|found|given|gone|held|kept|known|left|lent|made|met|"
    r"run|said|seen|sent|shown|taken|told|written)"
)

ALLOWED_PARTICIPLES = {
    "measured": "public function of integrations, read as `wsgi.measured(app, container.http)`",
    "recorded": "public function of metrics.testing, read as `with recorded(registry) as changes`",
    "related": "as the property of dependency-injector that it returns",
    "ticked": "public hook of metrics.resources, read as `with ticked(...)`",
}
"""Functions named by a participle all the same, with the reason."""


class Finding(NamedTuple):
    """A place that breaks a rule, and the remedy."""

    place: str
    word: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {self.word!r}: {self.remedy}"


class Prose(NamedTuple):
    """A docstring or comment; `kind` is module, class, function, property, attribute or comment."""

    kind: str
    line: int
    text: str


@dataclass(frozen=True)
class Module:
    """A module as the rules read it, parsed once for all of them."""

    path: str
    source: str

    def at(self, line: int) -> str:
        return f"{self.path}:{line}"

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @cached_property
    def docstrings(self) -> list[Prose]:
        return [*self._docstrings()]

    def _docstrings(self) -> Iterator[Prose]:
        properties = {
            node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.FunctionDef)
            and any("property" in ast.unparse(each) for each in node.decorator_list)
        }
        for node in ast.walk(self.tree):
            body = getattr(node, "body", None)
            for place, statement in enumerate(body if isinstance(body, list) else ()):
                match statement:
                    case ast.Expr(value=ast.Constant(value=str(text), lineno=line)):
                        kind = "attribute" if place else KINDS.get(type(node), "attribute")
                        yield Prose("property" if node in properties else kind, line, text)

    @cached_property
    def comments(self) -> list[Prose]:
        return [*self._comments()]

    def _comments(self) -> Iterator[Prose]:
        """Yield each comment; lines below one another are one comment."""
        block: list[str] = []
        end = (0, 0)
        for token in tokenize.generate_tokens(io.StringIO(self.source).readline):
            text = token.string.removeprefix("#").strip()
            if token.type != tokenize.COMMENT or text.startswith(("noqa", "type:", "fmt:")):
                continue
            row, column = token.start
            if block and (row - 1, column) != end:
                yield Prose("comment", end[0] - len(block) + 1, "\n".join(block))
                block = []
            block.append(text)
            end = row, column
        if block:
            yield Prose("comment", end[0] - len(block) + 1, "\n".join(block))

    def definitions(self, *kinds: type[ast.AST]) -> Iterator[tuple[int, str]]:
        """Yield the line and the name of each top-level class or function."""
        for node in self.tree.body:
            if isinstance(node, kinds):
                yield node.lineno, node.name


KINDS = {
    ast.Module: "module",
    ast.ClassDef: "class",
    ast.FunctionDef: "function",
    ast.AsyncFunctionDef: "function",
}


def without_code(text: str) -> str:
    """Blank out names and code in backquotes; the lines stay."""
    return re.sub(r"`+[^`]*`+", lambda code: "`" + "\n" * code[0].count("\n"), text)


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z]+(?:'[a-z]+)?", without_code(text).lower())


def heads(module: Module) -> Iterator[Finding]:
    """Docstrings begin with the verb or the noun that they are about."""
    for kind, line, text in module.docstrings:
        head, following, *_ = [*re.findall(r"[a-z']+|`", text.lower()), "", ""]
        place = module.at(line)
        if head in RIDDLES:
            yield Finding(place, head, "begin with the verb or noun that it stands for")
        elif kind == "function" and (
            head in NO_VERBS or (head.endswith("s") and head not in VERBS_IN_S)
        ):
            yield Finding(place, head, "begin with a verb in the imperative: 'Return ...'")
        elif kind in {"class", "module"}:
            third_person = {f"{verb}s" for verb in CLASS_VERBS} | {"does", "has", "watches"}
            verb = head in CLASS_VERBS | third_person and following not in NOUN_FOLLOWERS
            if verb or head in {"as", "see"}:
                yield Finding(place, head, "begin with a noun phrase: 'Context manager that ...'")


def vocabulary(module: Module) -> Iterator[Finding]:
    """Docstrings and comments use the field's terms."""
    for prose in (*module.docstrings, *module.comments):
        text = without_code(prose.text)
        for words, remedy in BANNED.items():
            pattern = words.replace(" ", r"\s+")
            for found in re.finditer(rf"\b(?:{pattern})\b", text, re.IGNORECASE):
                line = prose.line + text.count("\n", 0, found.start())
                yield Finding(module.at(line), found[0], remedy)


def subjects(module: Module) -> Iterator[Finding]:
    """Sentences have a noun for a subject."""
    for prose in (*module.docstrings, *module.comments):
        for found in SUBJECTS.finditer(prose.text):
            line = prose.line + prose.text.count("\n", 0, found.start(1))
            yield Finding(module.at(line), found[1], "say the noun that is the subject")


def participles(module: Module) -> Iterator[Finding]:
    """Functions are named by a verb, or by the noun of their result."""
    for line, name in module.definitions(ast.FunctionDef, ast.AsyncFunctionDef):
        if PARTICIPLES.fullmatch(name) and name not in ALLOWED_PARTICIPLES:
            yield Finding(module.at(line), name, "name the result or the action: 'exported_name'")


def underscores(module: Module) -> Iterator[Finding]:
    """The tree shows which modules are a promise."""
    name = Path(module.path).stem
    is_private = any(part.startswith("_") for part in Path(module.path).parts[:-1])
    if name not in PUBLIC_MODULES and not name.startswith("_") and not is_private:
        yield Finding(module.at(1), name, f"rename it to '_{name}', or list it as public")


def repeated_classes(modules: Iterable[Module]) -> Iterator[Finding]:
    """A name means one class."""
    first: dict[str, str] = {}
    for module in modules:
        for line, name in module.definitions(ast.ClassDef):
            if name in first:
                yield Finding(module.at(line), name, f"rename it: {first[name]} has one as well")
            first.setdefault(name, module.at(line))


def indefinite_words(modules: Iterable[Module]) -> tuple[float, list[Finding]]:
    """Return how many of 1,000 words of docstrings are indefinite, and where they are."""
    count, found = 0, []
    for module in modules:
        for _, line, text in module.docstrings:
            words = words_of(text)
            count += len(words)
            found += [
                Finding(module.at(line), word, "say the noun")
                for word in words
                if word in INDEFINITE
            ]
    return 1000 * len(found) / max(count, 1), found


RULES: tuple[Callable[[Module], Iterator[Finding]], ...] = (
    heads,
    vocabulary,
    subjects,
    participles,
    underscores,
)


@pytest.fixture(scope="module")
def library() -> list[Module]:
    """Return the covered modules."""
    files = [
        file
        for path in COVERED
        for file in ([ROOT / path] if path.endswith(".py") else sorted((ROOT / path).rglob("*.py")))
    ]
    return [Module(str(file.relative_to(ROOT)), file.read_text()) for file in files]


def report(findings: Iterable[Finding]) -> str:
    return "\n".join(map(str, findings))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_covered_modules_follow_the_rule(
    rule: Callable[[Module], Iterator[Finding]], library: list[Module]
):
    found = [finding for module in library for finding in rule(module)]
    assert not found, f"{rule.__doc__}\n{report(found)}"


def test_no_two_classes_have_one_name(library: list[Module]):
    found = [*repeated_classes(library)]
    assert not found, report(found)


def test_docstrings_name_their_nouns(library: list[Module]):
    share, found = indefinite_words(library)
    assert share <= MOST_INDEFINITE, f"{share:.2f} words of 1,000 are indefinite\n{report(found)}"


def test_every_covered_path_is_there(library: list[Module]):
    assert all((ROOT / path).exists() for path in COVERED)
    assert len(library) > len(COVERED)


def test_every_allowed_participle_is_in_use_and_has_a_reason(library: list[Module]):
    names = {
        name
        for module in library
        for _, name in module.definitions(ast.FunctionDef, ast.AsyncFunctionDef)
    }
    assert names >= ALLOWED_PARTICIPLES.keys()
    assert all(ALLOWED_PARTICIPLES.values())


def findings(
    rule: Callable[[Module], Iterator[Finding]], source: str, path: str = "metrics/_example.py"
) -> list[tuple[str, str]]:
    return [(place, word) for place, word, _ in rule(Module(path, dedent(source)))]


@pytest.mark.parametrize(
    "docstring",
    [
        "What is left.",
        "Whoever waits.",
        "Those that are gone.",
        "Returns the name.",
        "The name of a resource.",
        "Every resource.",
        "Whether it runs.",
    ],
)
def test_a_function_begins_with_an_imperative(docstring: str):
    source = f'"""Example."""\n\n\ndef example():\n    """{docstring}"""\n'
    word = docstring.partition(" ")[0].lower()
    assert findings(heads, source) == [("metrics/_example.py:5", word)]


@pytest.mark.parametrize("docstring", ["Return the name.", "Process an event.", "Pass it on."])
def test_an_imperative_is_accepted(docstring: str):
    assert not findings(heads, f'async def example():\n    """{docstring}"""\n')


@pytest.mark.parametrize(
    ("docstring", "word"),
    [
        ("Something of which a copy is made.", "something"),
        ("Calls one function after another.", "calls"),
        ("Has a thread.", "has"),
        ("Return a name.", "return"),
        ("As `Other`, for a coroutine.", "as"),
        ("See `other`.", "see"),
        ("It runs.", "it"),
    ],
)
def test_a_class_begins_with_a_noun_phrase(docstring: str, word: str):
    source = f'class Example:\n    """{docstring}"""\n'
    assert findings(heads, source) == [("metrics/_example.py:2", word)]
    assert findings(heads, f'"""{docstring}"""\n') == [("metrics/_example.py:1", word)]


@pytest.mark.parametrize(
    "docstring", ["Starts and stops of containers.", "Calls of hooks.", "A hook.", "Names in use."]
)
def test_a_noun_phrase_is_accepted(docstring: str):
    assert not findings(heads, f'"""{docstring}"""\n')
    assert not findings(heads, f'class Example:\n    """{docstring}"""\n')


@pytest.mark.parametrize("decorator", ["property", "cached_property", "functools.cached_property"])
def test_a_property_may_be_a_noun_but_no_riddle(decorator: str):
    source = '''
        class Example:
            @{}
            def left(self):
                """{}"""
    '''
    assert not findings(heads, source.format(decorator, "The seconds that are left."))
    assert findings(heads, source.format(decorator, "What is left."))


def test_an_attribute_is_documented_by_a_noun():
    assert not findings(heads, 'LIMIT = 1.0\n"""Seconds of a stop."""\n')
    assert findings(heads, 'LIMIT = 1.0\n"""What a stop may take."""\n')


@pytest.mark.parametrize(
    "words",
    [
        "resources, those that run",
        "somebody waits",
        "a thing of its own",
        "a hook is told the time",
        "begins anew",
        "lent by its host",
        "a hook that was given up",
        "the name is asked for",
        "every part starts",
        "the parts of a container",
        "forget a singleton",
        "a hook that comes up",
        "the server is down",
        "a short cut",
        "a life cycle",
        "hold one\n    another time, somebody\n    waits",
    ],
)
def test_words_of_the_first_edition_are_found(words: str):
    docstring = f'def example():\n    """Keep {words}."""\n'
    assert len(findings(vocabulary, docstring)) == 1
    comment = " ".join(words.split())
    [(place, _)] = findings(vocabulary, f"\nx = 1  # {comment}\n")
    assert place == "metrics/_example.py:2"


@pytest.mark.parametrize(
    "text",
    [
        "a part of the time",
        "`part` and `forget` are names",
        "something_else",
        "partial results",
        "the lifecycle",
        "a given value",
    ],
)
def test_words_that_only_look_alike_are_accepted(text: str):
    text = text.replace("something_else", "`something_else`")
    assert not findings(vocabulary, f"# {text}\n")


def test_a_finding_has_its_own_line():
    docstring = (
        '"""Names.\n\n`a\nb` of resources that a hook has given\nup: those are FAILED.\n"""\n'
    )
    assert findings(vocabulary, docstring) == [
        ("metrics/_example.py:5", "those"),
        ("metrics/_example.py:4", "given\nup"),
    ]
    assert findings(subjects, docstring) == [("metrics/_example.py:5", "those")]
    comment = "# A resource, and\n# what it needs. Those\n# wait.\n"
    assert findings(subjects, comment) == [("metrics/_example.py:2", "Those")]


def test_strings_and_directives_are_not_prose():
    source = 'told = "somebody"  # noqa: E501 - somebody\n'
    assert not findings(vocabulary, source)


@pytest.mark.parametrize("text", ["Stop it. What hangs is named.", "Two: those wait."])
def test_a_sentence_has_a_noun_for_its_subject(text: str):
    assert len(findings(subjects, f'"""{text}"""\n')) == 1
    assert not findings(subjects, '"""Say what hangs, and who waits."""\n')


@pytest.mark.parametrize("name", ["told", "paced", "given", "settled", "noted", "_made"])
def test_a_function_is_no_bare_participle(name: str):
    assert findings(participles, f"def {name}(): ...\n") == [("metrics/_example.py:1", name)]
    assert not findings(participles, f"class Example:\n    def {name}(self): ...\n")


@pytest.mark.parametrize("name", ["exported_name", "wait_done", "quality_of", "plan", "is_closed"])
def test_a_function_is_a_verb_or_a_noun(name: str):
    assert not findings(participles, f"def {name}(): ...\n")


def test_a_module_that_is_no_promise_begins_with_an_underscore():
    assert findings(underscores, "", "metrics/example.py") == [("metrics/example.py:1", "example")]
    for path in ("metrics/errors.py", "metrics/_fork.py", "metrics/lifecycle/__init__.py"):
        assert not findings(underscores, "", path)


def test_two_classes_of_one_name_are_found():
    one, two = Module("one.py", "class Step: ...\n"), Module("two.py", "\nclass Step: ...\n")
    [found] = repeated_classes([one, two])
    assert str(found) == "two.py:2: 'Step': rename it: one.py:1 has one as well"
    assert not [*repeated_classes([one, Module("two.py", "class Stop: ...\n")])]


def test_indefinite_words_are_counted_in_docstrings_alone():
    source = '"""Say what `those` are, and no more than that in ten."""\n# what somebody told\n'
    share, found = indefinite_words([Module("one.py", source)])
    assert [(finding.place, finding.word) for finding in found] == [("one.py:1", "what")]
    assert share == pytest.approx(1000 / 10)
