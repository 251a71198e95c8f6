"""What a user may say about shadows."""

import msgspec


class ShadowOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `[shadows]`: what shadows may use, and how their answers are compared."""

    device_share: float = 0.5
    """Which part of the time of a device shadows may use, as far as predictions leave it over; what comes in beyond is dropped."""

    max_loop_load: float = 0.6
    """The part of its time that the event loop may be busy with predictions before shadows are dropped: beyond, each costs callers time."""

    max_bytes: int = 64 * 1024 * 1024
    """The most bytes of inputs and answers that may wait for a shadow, all models together."""

    run_limit_s: float = 10.0
    """Seconds after which a shadow's run is ended."""

    noise_sample: float = 0.05
    """Which part of the shadowed requests is run again on the version that answered, to learn how far it differs from itself."""

    rtol: float = 0.001
    """How far a number may be from the primary's, as a part of that."""

    atol: float = 0.00001
    """How far a number may be from the primary's, beside `rtol`."""

    examples: int = 5
    """The worst differences that are kept of each kind, to be looked at: request id, shape, index, difference."""

    show_values: bool = False
    """Whether examples also hold what stood in the inputs and in both answers. Whoever has the admin token can read them."""
