"""Where weights come from: hub, folder or package; whole, or refused with the reason."""

from radio.models.files import OFFLINE_ENCODER, model_fingerprint, resolve_model

__all__ = ["OFFLINE_ENCODER", "model_fingerprint", "resolve_model"]
