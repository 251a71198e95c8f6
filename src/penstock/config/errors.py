"""What can be wrong with settings."""


class ConfigError(Exception):
    """The settings cannot be used; `problems` names everything that is wrong, not only what was met first."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
