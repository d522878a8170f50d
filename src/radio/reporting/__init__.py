"""One page about run folders: what was done, what came of it, and each question behind it."""
