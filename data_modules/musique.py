"""MuSiQue (Trivedi et al., TACL 2022): questions of two to four hops."""

from __future__ import annotations

from data_modules.flashrag import FlashRAGDataModule


class MuSiQueDataModule(FlashRAGDataModule):
    """MuSiQue (Trivedi et al., TACL 2022): questions of two to four hops."""

    dataset = "musique"
    task = "multi_hop"
