"""Rerankers x generators x datasets: whether what a reranker has learnt helps elsewhere."""
