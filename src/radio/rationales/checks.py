"""Checks of a rationale: which of the ways to be of no use as a teacher it shows."""

from __future__ import annotations

import unicodedata
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import regex

from radio import contracts
from radio.cache import Cache, Fingerprinted, fingerprint
from radio.encoders import Encoder, model_fingerprint
from radio.metrics import findable, has_answer
from radio.models import capped, check_token_ids, load_model, load_tokenizer, place, positions
from radio.ranges import check
from radio.schema import InputError, Passage, Question, Rationale

CHECKS = (
    "empty",
    "refusal",
    "truncated",
    "no_answer",
    "repeats",
    "too_long",
    "contradicts",
    "unsupported",
)

Item = tuple[Question, Rationale, Sequence[Passage]]

KEY = "data.init_args.rationale_checks.init_args"
"""Where a configuration has these settings, for error messages."""

# scripts that put no space between words: each character counts as one
_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
_WORD = regex.compile(rf"(?V1){_UNSPACED}|[[\p{{L}}\p{{N}}]--{_UNSPACED}]+")
_SUFFIX = regex.compile(r"(?<=\w{3})(?:ing|ed|ly|ies|es|s|e|y)$")
_STOP_WORDS = frozenset(
    "a about above after again against all also although am an and another any are as at be "
    "because been before being below between both but by can cannot could did do does doing done "
    "down during each either even ever every few for from further had has have having he hence "
    "her here hers herself him himself his how however i if in into is it its itself just made "
    "make makes many may me might more most much must my myself neither no nor not now of off on "
    "once one only or other our ours out over own same shall she should since so some such than "
    "that the their theirs them themselves then there therefore these they this those though "
    "through thus to too under until up upon us very was we were what when where whether which "
    "while who whom whose why will with within without would yet you your yours yourself s t d ll "
    "m re ve "
    # what a sentence about an answer says whatever the answer is
    "answer answered answers answering called choice correct correctly known named option question "
    "questions right "
    "said true".split()
)
_DIGITS = {
    name: str(number)
    for number, name in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve".split()
    )
}
_POLARITY = frozenset("yes no true false not right wrong".split())
"""Words of answers that a rationale gives by what it says, not by the word."""

# Only what a model says of itself, in the first person and in the case of a sentence: "I Can't
# Explain" and "I'm Sorry" are songs, "I cannot be divided" is a proof, and "There is not enough
# evidence" may be why the answer is right.
_SORRY = r"(?:I(?:'m| am) (?:\w+ )?sorry|[Ss]orry|I apologi[sz]e|My apologies)"
_CANNOT = (
    r"(?:can(?:'t|not| not)|could(?:n't| not)|won't|will not|(?:am|'m) (?:not able|unable) to)"
)
_DO = (
    r"(?:help(?: you| with| here|[.,;]|$)|assist|provide|verify|confirm|answer|comply|fulfil|respond|complete|write|"
    r"give|offer|generate|produce|create|explain|justify|support|determine|find|access|browse|discuss|share|engage|"
    r"continue|say\b|do (?:that|this|so)\b|in good conscience)"
)
_DECLINE = (
    rf"[Ii](?: simply| really| also)? ?(?:{_CANNOT} (?:\w+ly )?{_DO}"
    r"|(?:must|have to|need to|will have to) (?:respectfully )?(?:decline|refuse)"
    r"|(?:'m| am) not (?:comfortable|allowed|permitted|in a position)"
    r"|(?:do not|don't) (?:know|have (?:access|enough|sufficient|the ability|any information)|feel comfortable)\b)"
)
_REFUSAL = regex.compile(
    r"[\s*_#>-]*(?:(?:Rationale|Answer|Response): *)?"
    r"(?:As an? (?:AI|artificial intelligence|(?:large )?language model)\b[\w ]{0,30},? (?:I|it is not|it's not|my)\b"
    rf"|{_SORRY}[,.]? but\b"
    rf"|(?:(?:{_SORRY}|I(?:'m| am) (?:\w+ )?afraid|Unfortunately)[,.]? (?:that )?)?{_DECLINE})"
)


def words(text: str) -> list[str]:
    """Words of a text without case and accents; in scripts without spaces each character is one."""
    bare = regex.sub(r"\p{M}+", "", unicodedata.normalize("NFKD", text)).lower()
    return _WORD.findall(bare)


def _stems(text: str) -> list[str]:
    """Words without common English endings, small numbers as digits: "refuted" is as good as
    "REFUTES"."""
    return [_DIGITS.get(word) or _SUFFIX.sub("", word) for word in words(text)]


def _content(text: str) -> set[str]:
    """Stems of the words that carry content."""
    return {stem for word in words(text) if word not in _STOP_WORDS for stem in _stems(word)}


def refuses(text: str) -> bool:
    """Whether the text begins as models begin when they decline: "I'm sorry, but", "I can't help
    with"."""
    return _REFUSAL.match(text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")) is not None


def mentions_answer(text: str, question: Question) -> bool:
    """Whether a text says one of the golden answers, or there is none that could be looked for.

    It stands there as a run of words, or its content words do in any order (half of them, if there
    are more than two: a long answer is seldom repeated word for word); of a multiple choice the
    letter counts too, where it is used as one ("so B is correct"). Yes, no, true and false can not
    be looked for.
    """
    letters = {chr(ord("A") + i): choice for i, choice in enumerate(question.choices)}
    golden = set(question.golden_answers)
    named = [
        letter
        for letter, choice in letters.items()
        if choice in golden or letter in golden - set(letters.values())
    ]
    answers = [answer for answer in question.golden_answers if answer not in named] + [
        letters[n] for n in named
    ]
    if any(
        regex.search(rf"(?:[\p{{Ll}},;:] \(?|\(){letter}\b|\b{letter} is\b", text)
        for letter in named
    ):
        return True
    if has_answer(text, answers):
        return True
    stems = _stems(text)
    run, found = f" {' '.join(stems)} ", set(stems)
    known = [answer for answer in answers if words(answer)]
    for answer in known:
        content = _content(answer)
        if set(words(answer)) <= _POLARITY or f" {' '.join(_stems(answer))} " in run:
            return True
        if content and len(content & found) >= (
            len(content) / 2 if len(content) > 2 else len(content)
        ):
            return True
    return not known


class Support(NamedTuple):
    """The candidate nearest to a rationale: its id and the cosine of the two."""

    passage_id: str
    similarity: float


def best_passages(items: Sequence[Item], encoder: Encoder, cache: Cache) -> dict[str, Support]:
    """The nearest candidate of each rationale, by question id; computed once and kept in the cache.

    A question without candidates, or with an empty rationale, is left out.
    """
    identity = encoder.fingerprint()
    keys: dict[str, str] = {}
    work: dict[str, tuple[str, Sequence[Passage]]] = {}
    for question, rationale, passages in items:
        if passages and rationale.text.strip():
            shown = [[passage.id, passage.contents] for passage in passages]
            keys[question.id] = fingerprint(["nearest candidate", identity, rationale.text, shown])
            work[keys[question.id]] = rationale.text, passages
    missing = cache.missing(list(work))
    # in parts: the embeddings of all candidates of a large split need not fit into memory
    for start in range(0, len(missing), 256):
        part = missing[start : start + 256]
        texts = encoder.encode(
            [work[key][0] for key in part], cache, query=True, title="checks: embed rationales"
        )
        rows = {
            contents: row
            for row, contents in enumerate({p.contents for key in part for p in work[key][1]})
        }
        vectors = encoder.encode(list(rows), cache, title="checks: embed passages")
        found: dict[str, Any] = {}
        for key, text in zip(part, texts, strict=True):
            passages = work[key][1]
            candidates = vectors[[rows[passage.contents] for passage in passages]]
            cosines = candidates @ text
            if encoder.similarity == "dot":
                # longer than 1, and the limit is one of cosines
                cosines = cosines / (np.linalg.norm(candidates, axis=1) * np.linalg.norm(text))
            best = int(cosines.argmax())
            found[key] = [passages[best].id, float(cosines[best])]
        cache.put_json("check", found)
    stored = cache.get_json(keys.values(), _as_support)
    return {question: stored[key] for question, key in keys.items()}


def _as_support(value: Any) -> Support:
    identifier, similarity = value
    return Support(str(identifier), float(similarity))


class Judge(Fingerprinted):
    """Says whether a rationale contradicts its answer. A subclass implements
    :meth:`contradicts`."""

    threshold: float = 0.5
    """Probability from which a rationale counts as contradicting."""

    @abstractmethod
    def contradicts(self, pairs: Sequence[tuple[Question, Rationale]]) -> list[float]:
        """Probability in [0, 1] for each pair that the rationale contradicts the golden answers, in
        their order."""


class NLIJudge(Judge):
    """A model of natural language inference: does the rationale contradict that the answer is what
    it is?

    Args:
        model: name or folder of a sequence classifier with a label "contradiction", for example
            ``cross-encoder/nli-deberta-v3-base``; weights are read from safetensors only.
        threshold: probability of a contradiction from which a rationale fails.
        batch_size: pairs judged at a time.
        device: for example ``cuda``; None takes the best there is.
        max_length: tokens after which a pair is cut.
    """

    identity = "NLIJudge"

    def __init__(
        self,
        model: str = "cross-encoder/nli-deberta-v3-base",
        threshold: float = 0.5,
        batch_size: int = 32,
        device: str | None = None,
        max_length: int = 512,
    ) -> None:
        check(self, locals())
        self.model = model
        self.threshold = threshold
        self.max_length = max_length
        self._batch_size = batch_size
        self._device = device
        self._loaded: tuple[Any, Any, int] | None = None
        self._length = max_length

    def depends_on(self) -> dict[str, Any]:
        # not the threshold: probabilities are kept, and another threshold only reads them
        # differently
        settings = {**super().depends_on(), "model": model_fingerprint(self.model)}
        del settings["threshold"]
        return settings

    def hypothesis(self, question: Question, rationale: Rationale) -> str:
        """The statement that the rationale should support; of several answers, one that it
        mentions."""
        answers = question.golden_answers
        answer = next((a for a in answers if has_answer(rationale.text, [a])), answers[0])
        return f'The answer to the question "{question.question}" is {answer.rstrip(".")}.'

    def contradicts(self, pairs: Sequence[tuple[Question, Rationale]]) -> list[float]:
        import torch

        tokenizer, network, label = self._load()
        found: list[float] = []
        for start in range(0, len(pairs), self._batch_size):
            part = pairs[start : start + self._batch_size]
            premises, hypotheses = (
                [r.text for _, r in part],
                [self.hypothesis(q, r) for q, r in part],
            )
            inputs = tokenizer(
                premises,
                hypotheses,
                truncation=True,
                max_length=self._length,
                padding=True,
                return_tensors="pt",
            )
            with torch.inference_mode():
                logits = network(**inputs.to(network.device)).logits
            found += logits.float().softmax(dim=-1)[:, label].tolist()
        return found

    def _load(self) -> tuple[Any, Any, int]:
        """Tokenizer, network and the number of the label, on first use."""
        if self._loaded is None:
            import torch

            tokenizer = load_tokenizer(self.model)
            network, _ = load_model(
                "AutoModelForSequenceClassification", self.model, dtype=torch.float32
            )
            check_token_ids(self.model, tokenizer, network)
            labels = network.config.label2id
            wanted = [
                number for name, number in labels.items() if name.lower().startswith("contradict")
            ]
            if len(wanted) != 1:
                raise InputError(
                    f"{KEY}.judge.init_args.model: {self.model!r} has the labels "
                    f"{', '.join(labels)}, expected one of them to be 'contradiction'"
                )
            self._length = capped(self.max_length, positions(network), self.model)
            self._loaded = tokenizer, network.eval().to(place(self._device)), wanted[0]
        return self._loaded


class QualityChecks(Fingerprinted):
    """Limits and models of the checks; each check is made for itself, so an empty text also lacks
    the answer.

    - ``empty``: there is no text. ``refusal``: the model declined, by its own word or by how the
      text begins. ``truncated``: the text was cut off at the limit of tokens.
    - ``no_answer``: no golden answer is mentioned (:func:`mentions_answer`), of those that are no
      verdict.
    - ``repeats``: it has too few content words beyond those of the question and its answers.
    - ``too_long``: too many words.
    - ``contradicts``: a judge finds that it contradicts the answers.
    - ``unsupported``: no candidate passage is similar enough.

    Args:
        max_words: words above which a rationale is ``too_long``.
        min_new_words: distinct content words of its own below which a rationale ``repeats``.
        min_similarity: cosine to the nearest candidate below which it is ``unsupported``. What is
            similar differs from encoder to encoder (e5 gives almost any two texts 0.7): look at
            ``radio rationales report`` first.
        encoder: embeds rationales and passages; ``unsupported`` needs one.
        judge: ``contradicts`` needs one.
    """

    identity = "QualityChecks"

    def __init__(
        self,
        max_words: int = 300,
        min_new_words: int = 5,
        min_similarity: float = 0.3,
        encoder: Encoder | None = None,
        judge: Judge | None = None,
    ) -> None:
        check(self, locals())
        self.max_words = max_words
        self.min_new_words = min_new_words
        self.min_similarity = min_similarity
        self.encoder = encoder
        self.judge = judge

    @property
    def available(self) -> tuple[str, ...]:
        """Checks that can be made with the models that were given."""
        lacking = {"contradicts": self.judge, "unsupported": self.encoder}
        return tuple(name for name in CHECKS if lacking.get(name, self) is not None)

    def run(
        self, items: Sequence[Item], cache: Cache, names: Sequence[str] | None = None
    ) -> dict[str, list[str]]:
        """Names of the checks that each rationale fails, by question id.

        Args:
            items: questions with their rationales and all their candidates.
            cache: keeps embeddings and verdicts, so that only the first call loads a model.
            names: the checks to make; None makes all that can be made with the models given.

        Raises:
            InputError: a check without its model, or an unknown one.
        """
        names = self.available if names is None else names
        for name in names:
            if name not in CHECKS:
                raise InputError(
                    f"rationale check: found {name!r}, expected some of {', '.join(CHECKS)}"
                )
            if name not in self.available:
                part, what = (
                    ("judge", "a Judge") if name == "contradicts" else ("encoder", "an Encoder")
                )
                raise InputError(
                    f"{KEY}.{part}: found null, expected {what}: the check {name!r} needs one"
                )
        tests: dict[str, Callable[[Question, Rationale], bool]] = {
            "empty": lambda q, r: not r.text.strip() and r.outcome != "refused",
            "refusal": lambda q, r: r.outcome == "refused" or refuses(r.text),
            "truncated": lambda q, r: r.outcome == "truncated",
            "no_answer": lambda q, r: findable(q.golden_answers) and not mentions_answer(r.text, q),
            "repeats": self._repeats,
            "too_long": lambda q, r: len(words(r.text)) > self.max_words,
        }
        if "contradicts" in names:
            verdicts = self._verdicts(items, cache)
            tests["contradicts"] = lambda q, r: (
                q.id in verdicts and verdicts[q.id] >= self._judge.threshold
            )
        if "unsupported" in names and self.encoder is not None:
            best = best_passages(items, self.encoder, cache)
            tests["unsupported"] = lambda q, r: (
                q.id not in best or best[q.id].similarity < self.min_similarity
            )
        return {q.id: [name for name in names if tests[name](q, r)] for q, r, _ in items}

    def _repeats(self, question: Question, rationale: Rationale) -> bool:
        # of many aliases only those that are said: the others would only take words away
        said = [
            a for a in question.golden_answers if has_answer(rationale.text, [a])
        ] or question.golden_answers
        given = " ".join([question.question, *said])
        return len(_content(rationale.text) - set(_stems(given))) < self.min_new_words

    @property
    def _judge(self) -> Judge:
        assert self.judge is not None, "run() has looked"
        return self.judge

    def _verdicts(self, items: Sequence[Item], cache: Cache) -> dict[str, float]:
        """Probability of a contradiction by question id; what has no text or no answer is not
        judged."""
        identity = self._judge.fingerprint()
        keys: dict[str, str] = {}
        pairs: dict[str, tuple[Question, Rationale]] = {}
        for question, rationale, _ in items:
            if rationale.text.strip() and question.golden_answers:
                asked = [question.content, rationale.content]
                keys[question.id] = fingerprint(["contradicts/2", identity, *asked])
                pairs[keys[question.id]] = question, rationale
        missing = cache.missing(list(pairs))
        if missing:
            from tqdm import tqdm

            with tqdm(total=len(missing), desc="checks: judge", unit="rationale") as bar:
                for start in range(0, len(missing), 256):
                    part = missing[start : start + 256]
                    found = self._judge.contradicts([pairs[key] for key in part])
                    found = contracts.numbers(
                        self._judge, "contradicts", found, len(part), "the pairs"
                    )
                    cache.put_json("check", dict(zip(part, found, strict=True)))
                    bar.update(len(part))
        stored = cache.get_json(keys.values(), float)
        return {question: stored[key] for question, key in keys.items()}
