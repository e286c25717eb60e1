"""Generated answers for eval_parity.py: plausible ones, and those that parsers stumble over.

The same seed gives the same lines.
"""

# ruff: noqa: E501

from __future__ import annotations

import random
from typing import Any

Line = dict[str, Any]

WORDS = (
    "red blue left right two 2 ten one none zero yes no not Yes No dog cat a an the dont isnt "
    "don't it's can't wont youre coca-cola stop sign 7-eleven $5.00 3.5 1,000 1,,000 .5 5. 50% "
    '10.0.0.1 e.g. U.S.A. Mr. new-york a/b (maybe) [x] {y} <z> "q" `b` a_b x=1 a+b c\\d @home '
    "I'm Im Ive let's somebody'd y'all ow's'at know nothing nope yesterday NO YES Not NOT n't"
).split()
UNICODE = [
    "é",
    "É",
    "İstanbul",
    "ß",
    "ＡＢ",
    "５",
    "٣",
    "naïve",
    "\u00a0",
    "\u3000",
    "日本",
    "🙂",
    "Ω",
    "Ⅳ",
    "ǅ",
    "½",
]
SPACES = [" ", "  ", "\n", "\t", "\u00a0", "", "\r\n", "\u2003"]
MARKS = list(".,;:!?'\"()[]{}-_/\\=+<>@`%$#*&|~^") + ["..", "...", ". ", " .", ", ", "n't", "'s"]
NUMBERS = [
    "0", "1", "5", "-5", "+5", "5.0", "5.", ".5", "05", "1e3", "1E-3", "1e400", "-1e400", "1e-400", "inf", "-Inf",
    "Infinity", "nan", "NaN", "1_000", "1__0", "_1", "1_", "1,000", "1,000,000", "12,34", "1,0000", "1,000.5", "5%",
    "5%%", " 5 ", "5 %", "%", "", "$5", "0x10", "１２", "٣.٥", "1e", "e5", "1.2.3", "100", "105", "95", "94.9",
    "104.99", "105.01", "0.05", "2.675", "0.125", "1.005", "-0.001", "12.5e3", "3e5,", "x1,234", "1,234x", "7-8",
]  # fmt: skip


def phrase(rng: random.Random, most: int = 5) -> str:
    parts = []
    for _ in range(rng.randrange(0, most + 1)):
        pool = rng.choice([WORDS, WORDS, WORDS, UNICODE, MARKS, NUMBERS])
        parts.append(rng.choice(pool))
    return "".join(
        part + rng.choice(SPACES if rng.random() < 0.3 else [" "]) for part in parts
    ).rstrip(" " if rng.random() < 0.8 else "")


def mutated(rng: random.Random, text: str) -> str:
    """The text with a few of the changes that scorers are meant to see through, or not."""
    for _ in range(rng.choice([0, 0, 1, 1, 2, 3])):
        at = rng.randrange(len(text) + 1)
        text = rng.choice(
            [
                text.upper(),
                text.lower(),
                text.title(),
                text + rng.choice(MARKS),
                rng.choice(MARKS) + text,
                rng.choice(SPACES) + text + rng.choice(SPACES),
                text[:at] + rng.choice(MARKS + SPACES) + text[at:],
                text[:at] + rng.choice(UNICODE) + text[at:],
                text[:at] + text[at + 1 :],
                text.replace(" ", rng.choice(SPACES)),
                "the " + text,
                text.replace("one", "1").replace("two", "2"),
            ]
        )
    return text


def vqa(rng: random.Random) -> Line:
    base = [phrase(rng, 3) for _ in range(rng.choice([1, 1, 2, 3, 4]))]
    same = rng.random() < 0.2
    references = (
        [base[0]] * 10
        if same
        else [
            mutated(rng, rng.choice(base)) if rng.random() < 0.3 else rng.choice(base)
            for _ in range(10)
        ]
    )
    return {"prediction": mutated(rng, rng.choice(base)), "references": references}


def short(rng: random.Random) -> Line:
    references = [phrase(rng, 4) for _ in range(rng.choice([1, 1, 2, 3]))]
    prediction = mutated(rng, rng.choice(references)) if rng.random() < 0.7 else phrase(rng, 4)
    return {"prediction": prediction, "references": references}


def numeric(rng: random.Random) -> Line:
    if rng.random() < 0.4:
        wanted = round(rng.uniform(-100, 1000), rng.randrange(0, 3))
        given = wanted * rng.choice([1, 1.05, 0.95, 1.0501, 0.9499, 1.1])
        form = rng.choice(["{}", "{}%", " {}", "{} ", "{}.", "${}"])
        return {"prediction": form.format(given), "references": [form.format(wanted)]}
    pool = NUMBERS + [phrase(rng, 2)]
    reference = rng.choice(pool)
    return {
        "prediction": mutated(rng, reference) if rng.random() < 0.4 else rng.choice(pool),
        "references": [reference],
    }


YES_NO = [
    "yes", "no", "Yes", "No", "YES", "NO", "yes.", "no.", "No,", "no!", "", " ", "\n", "y", "n", "Y.", "N ", " yes", "\nno",
    "Yes, there is a dog.", "No, there is no dog.", "It isn't.", "There is not.", "There is a dog. No cat.", "I do not know.",
    "nothing", "know", "yesterday", "The answer is yes", "The answer is no", "yes and no", "no yes", "not", "NOT", "n't",
    "There isn't,", "isn't.", "don't.", "no\u00a0dog", "not\n", "no\tdog", "ＹＥＳ", "ye.s", "n.o", "..no", "a no", "the yes", "yes5.", "5.no", "yes-no", "yes/no", "(no)", "-yes", "oh yes", "oh no",
]  # fmt: skip


def yes_no(rng: random.Random) -> Line:
    prediction = rng.choice(YES_NO)
    if rng.random() < 0.5:
        prediction = mutated(rng, prediction)
    return {"prediction": prediction, "answer": rng.choice(["yes", "no"])}


OPTIONS = [
    ["red apple", "green pear", "blue plum", "none"],
    ["1", "10", "100", "1000"],
    ["A cat", "A dog", "a catfish", "bird"],
    ["Yes", "No"],
    ["left", "right", "top left"],
    ["SPA", "B", "vitamin C", "D."],
]
CHOICES = [
    "{L}", "{l}", "({L})", "{L}.", "{L})", "{L}:", ":{L}", "({L}).", "{L},", " {L} ", "Answer: {L}", "Answer:{L}", "The answer is {L}.",
    "The answer is {L}", "The answer is {L}\n", "The answer is {L}. The answer is {M}.", "The answer is {L}The answer is {M}.", "{L}. {T}",
    "{L}.{T}", "{T}", "{t}", "{L} or {M}", "({L}) or ({M})", "{L},{M}", "A {T} is what I can see here", "I think that the answer is {T} in the end",
    "Both {T} and {U} are here, but I would say {T}", "{L} {M}", "'{L}'", "{L}'", "!{L}?", "SPA {L}", "none of them", "", "E", "E.", "(E)",
    "It is {L}. Not {M}.", "{L}. is right, {M}. is wrong", "the letter {L} is the one that fits best", "A", "a", "A.", "Ａ", "{L}\n{T}", "\n{L}",
    "option {L}", "The correct answer is **{L}**. Here is why: the {T} can be seen there, and {M} cannot be right", "the answer  is\n*{l}",
    "{L} is what I would say if I had to choose one", "Cannot determine the answer {L}", "Z {T}", "{L}{M}", "é{L} ", "({L}", "The answer is ({L}).", "Z", "{L}. ", "{L} . ", "{L} .",
]  # fmt: skip


def choice(rng: random.Random) -> Line:
    options = rng.choice(OPTIONS)
    i, j = rng.randrange(len(options)), rng.randrange(len(options))
    letters = "ABCD"
    prediction = rng.choice(CHOICES).format(
        L=letters[i],
        M=letters[j],
        l=letters[i].lower(),
        T=options[i],
        t=options[i].upper(),
        U=options[j],
    )
    if rng.random() < 0.3:
        prediction = mutated(rng, prediction)
    return {
        "prediction": prediction,
        "options": options,
        "answer": letters[rng.randrange(len(options))],
    }


OPEN = [
    "{N}", "The answer is {N}.", "x = {N}", "x={N}\ny={M}", "So {N}", "it could be {N}, so the result {M}", "therefore {W}", "The final answer is {W}.",
    "{N} and {M}", "{W}\n{N}", "is :", "is .", "The result = ", "answer {W} is\n{N}=", "{N}.\n\nThus {M}", "-{N}", "{N}-{M}", "{N}{M}", "is = {N}",
    "so is thus {N}", "{W} is {W} is {N}", ". {N} .", "The area is {N} cm, so the answer is {M}.", "{N},{M}", "a{N}b", "({N})", "{N}e5", "{W}",
]  # fmt: skip


def open_question(rng: random.Random) -> Line:
    n, m, w = rng.choice(NUMBERS), rng.choice(NUMBERS), phrase(rng, 3)
    prediction = rng.choice(OPEN).format(N=n, M=m, W=w)
    if rng.random() < 0.3:
        prediction = mutated(rng, prediction)
    references = [
        rng.choice([n, n, m, w, rng.choice(NUMBERS), rng.choice("abcXYZ")])
        for _ in range(rng.choice([1, 1, 1, 2]))
    ]
    return {"prediction": prediction, "references": references}


def losses(rng: random.Random) -> Line:
    count = rng.choice([2, 3, 4, 4, 4])
    values = [
        rng.choice([round(rng.uniform(0, 5), rng.randrange(0, 4)), 1, 0.5]) for _ in range(count)
    ]
    return {"prediction": "", "losses": values, "answer": "ABCD"[rng.randrange(count)]}


PLURALS = {"man": "men", "woman": "women", "child": "children", "knife": "knives", "goose": "geese", "sheep": "sheep", "cattle": "cattle",
           "people": "people", "scissors": "scissors", "skis": "skis", "oxen": "oxen", "policeman": "policemen", "gentleman": "gentlemen",
           "serviceman": "servicemen", "luggage": "luggage", "grandchild": "grandchildren", "thief": "thieves", "calf": "calves", "mouse": "mice"}  # fmt: skip


def plural(word: str) -> str:
    head, _, last = word.rpartition(" ")
    if last in PLURALS:
        last = PLURALS[last]
    elif last.endswith("y") and last[-2] not in "aeiou":
        last = last[:-1] + "ies"
    else:
        last += "es" if last.endswith(("s", "x", "ch", "sh")) else "s"
    return f"{head} {last}".strip()


CAPTIONS = [
    "a {a} and two {B} near the {c}", "the {a}, a {b}, and {C}", "{A} on a {b} with a {a}", "a baby {a} beside an adult {b}", "the toilet seat and a {a}",
    "a passenger {a} passes a {b}", "there isn't a {a} in the {b}'s {c}", "a train track, a home plate and {A}", "a {a} (and {B}): {C}!", "the {a} has a bow tie",
    "a stop, sign and a {a}", "the seat of a {a}", "{B} of {A} in the kitchen", "a red-haired {a}", "a {a}/{b}", "nothing at all",
]  # fmt: skip


def caption(rng: random.Random, terms: list[str], names: list[str]) -> Line:
    a, b, c = (rng.choice(terms) for _ in range(3))
    text = rng.choice(CAPTIONS).format(a=a, b=b, c=c, A=plural(a), B=plural(b), C=plural(c))
    if rng.random() < 0.5:
        text = text.capitalize() + rng.choice(["", ".", "!"])
    return {"prediction": text, "objects": rng.sample(names, rng.randrange(0, 4))}
