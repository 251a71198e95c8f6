"""How predictions are divided among versions and what shadows answer, as pure values and numpy. May import `wire` and below."""
