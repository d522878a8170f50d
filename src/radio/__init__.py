"""RADIO: fine-tune RAG rerankers by rationale distillation (Jia et al., Findings of ACL 2025, arXiv
2412.08519)."""

__version__ = "0.1.0"
