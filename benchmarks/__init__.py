"""Speed of this project against other libraries that do the same work; see
:mod:`benchmarks.speed`."""
