"""Config files and options: read, merged by the signatures of classes, checked as a whole."""
