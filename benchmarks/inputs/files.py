"""Files: questions, corpora, rationales and candidates as spreadsheets, scripts and other projects
leave them."""

from __future__ import annotations

import json

from benchmarks.inputs.changes import (
    KEY_MISSING,
    PREPARED,
    candidates,
    corpus_twice,
    cut_off,
    first,
    loop,
    many_scripts,
    not_packed,
    numbers_as_ids,
    one_line_list,
    other_column,
    pretty,
    raw,
    rename,
    row,
    same_file,
    trec,
    windows,
    zipped,
)
from benchmarks.inputs.place import Input

INPUTS = [
    Input(
        "questions as one pretty-printed JSON array",
        pretty,
        2,
        r"train\.jsonl:1: .*expected one JSON object a line",
    ),
    Input(
        "questions as a JSON array on one line",
        one_line_list,
        2,
        r"train\.jsonl:1: found a list, expected a JSON obj",
    ),
    Input(
        "questions as CSV under the name .jsonl",
        raw("train", "id,question,golden_answers\nq1,Who lit the lamp?,captain1\n"),
        2,
        r"train\.jsonl:1: not valid JSON .*expected one JSON object a line",
    ),
    Input(
        "questions as printed by Python, in single quotes",
        raw("train", "{'id': 'q1', 'question': 'Who?', 'golden_answers': ['me']}\n"),
        2,
        r"train\.jsonl:1: not valid JSON",
    ),
    Input(
        "key `answers` in place of `golden_answers`",
        row("train", rename("golden_answers", "answers")),
        2,
        KEY_MISSING.format("golden_answers"),
    ),
    Input(
        "key `query` in place of `question`",
        row("train", rename("question", "query")),
        2,
        KEY_MISSING.format("question"),
    ),
    Input(
        "golden_answers is one string",
        row("train", first(golden_answers="captain0")),
        2,
        r"train\.jsonl:1: key 'golden_answers': found a string .*expected a list",
    ),
    Input(
        "golden_answers are years, as numbers",
        row("train", first(golden_answers=[1912, 1913])),
        2,
        r"train\.jsonl:1: key 'golden_answers': found a number in the list, expected strings",
    ),
    Input(
        "golden_answers are lists of aliases",
        row("train", first(golden_answers=[["captain0", "cap"]])),
        2,
        r"train\.jsonl:1: key 'golden_answers': found a list in the list",
    ),
    Input(
        "one answer index, but no choices",
        row("train", first(golden_answers=2)),
        2,
        r"train\.jsonl:1: key 'golden_answers': found a number",
    ),
    Input(
        "golden_answers hold only empty strings",
        row("train", first(golden_answers=["", " "])),
        2,
        r"train\.jsonl:1: key 'golden_answers' of question .* is empty",
    ),
    Input(
        "a question of blanks and a tab",
        row("train", first(question=" \t ")),
        2,
        r"train\.jsonl:1: key 'question' is e",
    ),
    Input(
        "ids with a blank at the end",
        row("train", lambda _, r: {**r, "id": r["id"] + " "}),
        2,
        r"train\.jsonl:1: key 'id': found 'q-0-0 ', expected .*without white space",
    ),
    Input(
        "ids that pandas made floats",
        row("train", lambda n, r: {**r, "id": float(n)}),
        2,
        r"train\.jsonl:1: key 'id': found a number .*expected a string",
    ),
    Input(
        "ids are numbers in the questions and strings in the rationales",
        numbers_as_ids,
        0,
        "train: 12 questions, 12 r",
    ),
    Input(
        "the same answer three times",
        row("train", lambda _, r: {**r, "golden_answers": r["golden_answers"] * 3}),
        0,
        PREPARED,
    ),
    Input(
        "a passage of a megabyte",
        row("corpus", lambda n, r: {**r, "contents": r["contents"] * 8000} if not n else r),
        0,
        PREPARED,
    ),
    Input(
        "passages without a title",
        row("corpus", lambda _, r: {**r, "contents": r["contents"].split("\n")[1]}),
        0,
        PREPARED,
    ),
    Input("HTML, emojis, Arabic and Hebrew in passages", row("corpus", many_scripts), 0, PREPARED),
    Input(
        "NUL characters in questions and passages",
        lambda p: (
            p.change(
                "corpus", lambda _, r: {**r, "contents": r["contents"].replace(" ", "\0 ", 1)}
            ),
            p.change("train", lambda _, r: {**r, "question": "\0" + r["question"]}),
            p.prepare(),
        )[-1],
        0,
        PREPARED,
    ),
    Input("a passage with empty contents", row("corpus", first(contents="")), 0, PREPARED),
    Input(
        "a corpus with `title` and `text`",
        row("corpus", lambda _, r: {"id": r["id"], "title": "t", "text": r["contents"]}),
        2,
        r"corpus\.jsonl:1: key 'contents' is missing: found only the keys 'id', 'title', 'text'",
    ),
    Input(
        "corpus and questions swapped",
        lambda p: p.prepare(
            "--data.init_args.train",
            "world/corpus.jsonl",
            "--data.init_args.corpus",
            "world/train.jsonl",
        ),
        2,
        r"jsonl:1: key '\w+' is missing",
    ),
    Input("a name that ends in .gz of a file that is not packed", not_packed, 0, PREPARED),
    Input(
        "a corpus in a zip file",
        zipped,
        2,
        r"corpus\.zip: found a zip archive, expected lines of text",
    ),
    Input(
        "a symbolic link to itself as the corpus",
        loop,
        2,
        r"loop\.jsonl: cannot be read \(Too many levels",
    ),
    Input(
        "questions saved as UTF-16",
        lambda p: raw(
            "train", "".join(json.dumps(r) + "\n" for r in p.rows("train")).encode("utf-16")
        )(p),
        2,
        r"train\.jsonl:1: not UTF-8 .*save the file",
    ),
    Input(
        "Windows line ends, and blank lines at the end",
        windows,
        0,
        "train: 12 questions, 12 rationales",
    ),
    Input(
        "a rationale file whose copying stopped in its last line",
        cut_off,
        2,
        r"rationales\.jsonl:16: not valid JSON",
    ),
    Input(
        "rationales under the key `explanation`",
        row("rationales", rename("rationale", "explanation")),
        2,
        r"rationales\.jsonl:1: key 'rationale' is missing: found only the keys 'id', 'explanation'",
    ),
    Input(
        "rationales as lists of sentences",
        row("rationales", lambda _, r: {**r, "rationale": [r["rationale"]]}),
        2,
        r"rationales\.jsonl:1: key 'rationale': found a list",
    ),
    Input(
        "the training file as the test file too",
        same_file,
        2,
        r"question id 'q-0-0' stands twice, in train and in test",
    ),
    Input(
        "the same corpus file twice",
        corpus_twice,
        2,
        r"world/corpus\.jsonl: found this file twice",
    ),
    Input("a Parquet corpus with another column", other_column, 2, r"corpus\.parquet.*contents"),
    Input(
        "metadata that is a list",
        row("train", first(metadata=["nq"])),
        2,
        r"train\.jsonl:1: key 'metadata': found a li",
    ),
    Input(
        "a TREC run whose passage ids hold spaces",
        candidates(lambda q, n, p: f"{q} Q0 {p.replace('-', ' ')} {n + 1} {9 - n} bm25\n"),
        2,
        r"run\.trec:1: .*7",
    ),
    Input(
        "a TREC run with tabs and one rank for all",
        candidates(lambda q, n, p: f"{q}\tQ0\t{p}\t1\t{9 - n}\tbm25\n"),
        0,
        PREPARED,
    ),
    Input(
        "judgements (qrels) given as a run",
        candidates(lambda q, n, p: f"{q} 0 {p} {int(n == 0)}\n"),
        2,
        r"run\.trec:1: .*4",
    ),
    Input(
        "a run without one of the questions",
        candidates(trec, skip="q-1-0"),
        2,
        r"no candidates for question id 'q-1-0'",
    ),
    Input(
        "a run with questions that nobody asks",
        candidates(lambda q, n, p: trec(q, n, p) + trec("other-" + q, n, p)),
        0,
        PREPARED,
    ),
    Input(
        "candidates whose passages the corpus lacks",
        candidates(lambda q, n, p: trec(q, n, p + "-old")),
        2,
        r"port0-0-old.*corpus|corpus.*port0-0-old",
    ),
    Input(
        "candidate scores as strings",
        candidates(
            lambda q, n, p: (
                json.dumps({"id": f"{q}", "candidates": [{"id": p, "score": "9.5"}]}) + "\n"
                if n == 0
                else ""
            )
        ),
        2,
        r"run\.trec:1: candidate 1: key 'score': found a string",
    ),
    Input(
        "candidates under the key `docs`",
        candidates(lambda q, n, p: json.dumps({"id": q, "docs": [p]}) + "\n"),
        2,
        r"run\.trec:1: key 'candidates' is missing: found only the keys 'id', 'docs'",
    ),
]
