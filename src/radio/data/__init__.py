"""From questions and passages to the groups of a training step."""
