"""Metrics: one question in, one number out (:mod:`radio.metrics.modules` keeps them for a
LightningModule)."""
