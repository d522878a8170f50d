"""Commands beside those of Lightning, one file each."""
