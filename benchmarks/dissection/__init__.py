"""What the rationale adds, teacher by teacher: the figures of docs/teachers.md."""
