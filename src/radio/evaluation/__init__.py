"""From rankings to numbers per question, and from those to means, intervals and tests."""
