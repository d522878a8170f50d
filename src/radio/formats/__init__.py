"""Files on disk: FlashRAG's JSONL (plain or gzip), TREC runs, BEIR's files, rationale rows.

Every error names file, line and key, what was found and what was expected.
"""

from radio.formats.candidates import Better, CandidateLists, read_candidates, take_candidates
from radio.formats.passages import read_beir, read_passages, take_passage
from radio.formats.questions import iter_questions, read_questions, take_questions
from radio.formats.rationales import RationaleRow, read_rationale_files, read_rationales
from radio.formats.runs import read_qrels, read_run, write_run

__all__ = [
    "Better",
    "CandidateLists",
    "RationaleRow",
    "iter_questions",
    "read_beir",
    "read_candidates",
    "read_passages",
    "read_qrels",
    "read_questions",
    "read_rationale_files",
    "read_rationales",
    "read_run",
    "take_candidates",
    "take_passage",
    "take_questions",
    "write_run",
]
