"""Judges: whether a rationale contradicts the answers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from radio.fingerprints import Fingerprinted
from radio.models.files import model_fingerprint
from radio.models.limits import capped, place, positions
from radio.models.loading import load_model
from radio.models.tokenizers import check_token_ids, load_tokenizer
from radio.ranges import check
from radio.schema import InputError, Question, Rationale
from radio.text import has_answer

KEY = "data.init_args.rationale_checks.init_args"
"""Where a configuration has these settings, for error messages."""


class Judge(Fingerprinted):
    """Says whether a rationale contradicts its answer; a subclass has :meth:`contradicts`."""

    threshold: float = 0.5
    """Probability from which a rationale counts as contradicting."""

    @abstractmethod
    def contradicts(self, pairs: Sequence[tuple[Question, Rationale]]) -> list[float]:
        """Probability in [0, 1] for each pair that the rationale contradicts the answers."""


class NLIJudge(Judge):
    """Natural language inference: does the rationale contradict that this is the answer?

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
        """What the rationale should support; of several answers, one that it mentions."""
        answers = question.golden_answers
        said = [answer for answer in answers if has_answer(rationale.text, [answer])]
        answer = (said or answers)[0]
        return f'The answer to the question "{question.question}" is {answer.rstrip(".")}.'

    def contradicts(self, pairs: Sequence[tuple[Question, Rationale]]) -> list[float]:
        import torch

        tokenizer, network, label = self._load()
        probabilities: list[float] = []
        for start in range(0, len(pairs), self._batch_size):
            batch = pairs[start : start + self._batch_size]
            premises = [rationale.text for _, rationale in batch]
            hypotheses = [self.hypothesis(question, rationale) for question, rationale in batch]
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
            probabilities += logits.float().softmax(dim=-1)[:, label].tolist()
        return probabilities

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
