"""Work on many files, callable from Python: each job is a dataclass and a function."""
