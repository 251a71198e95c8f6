"""A result in the forms that people, CI systems and plotters read."""
