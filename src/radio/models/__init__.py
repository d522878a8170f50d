"""Models of others: where their weights come from, whole or refused with the reason, and passes
through them without padding."""

from radio.models.files import OFFLINE_ENCODER, model_fingerprint, resolve_model

__all__ = ["OFFLINE_ENCODER", "model_fingerprint", "resolve_model"]
