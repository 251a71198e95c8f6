"""A device among versions: fair in device seconds, whoever floods it."""

from penstock.batching.share import DeviceShare, Tenant

RUN_NS = 1000


def serve(share: DeviceShare, runs: dict[Tenant, int], total: int) -> dict[Tenant, int]:
    """Let every version always want another run; returns the device time that each had, for so many runs one after another."""
    had = dict.fromkeys(runs, 0)
    for _ in range(total):
        holder = next(tenant for _ in range(2) for tenant in runs if tenant.may_start())
        holder.started(runs[holder])
        had[holder] += runs[holder]
        for tenant in runs:
            assert not tenant.may_start(), "the only slot is taken"
        holder.ended(runs[holder], runs[holder])
    return had


def busy(share: DeviceShare) -> Tenant:
    """Return a version that holds the only slot."""
    tenant = share.join(lambda: None)
    assert tenant.may_start()
    tenant.started(RUN_NS)
    return tenant


def test_versions_get_equal_time_not_equal_runs() -> None:
    """A version whose runs are ten times as long gets a tenth of the runs."""
    share = DeviceShare(1)
    short, long = share.join(lambda: None), share.join(lambda: None)

    had = serve(share, {long: 10 * RUN_NS, short: RUN_NS}, 2000)

    assert 0.8 < had[short] / had[long] < 1.25


def test_weight_multiplies_the_share() -> None:
    """Three times the weight is three times the device."""
    share = DeviceShare(1)
    heavy, light = share.join(lambda: None, 3.0), share.join(lambda: None)

    had = serve(share, {light: RUN_NS, heavy: RUN_NS}, 2000)

    assert 2.5 < had[heavy] / had[light] < 3.5


def test_version_that_was_idle_cannot_save_its_share_up() -> None:
    """After a pause it takes turns; it does not keep the others out until it has caught up."""
    share = DeviceShare(1)
    worker, sleeper = share.join(lambda: None), share.join(lambda: None)
    serve(share, {worker: RUN_NS}, 500)

    had = serve(share, {worker: RUN_NS, sleeper: RUN_NS}, 100)

    assert abs(had[worker] - had[sleeper]) <= 4 * RUN_NS


def test_full_device_refuses_and_wakes_in_the_order_of_claims() -> None:
    """Whoever has had least is woken first, and others do not overtake it."""
    woken: list[str] = []
    share = DeviceShare(1)
    first, second = share.join(lambda: woken.append("first")), share.join(lambda: woken.append("second"))
    second._ahead_ns = 500.0
    holder = busy(share)

    assert not second.may_start()
    assert not first.may_start()
    holder.ended(RUN_NS, RUN_NS)

    assert woken == ["first", "second"]
    assert not second.may_start()
    assert first.may_start()


def test_wait_of_the_first_row_counts_towards_the_turn() -> None:
    """A version that always has work is not kept out by others that come and go."""
    share = DeviceShare(1)
    patient, visitor = share.join(lambda: None), share.join(lambda: None)
    patient._ahead_ns = 3.0 * RUN_NS
    holder = busy(share)
    assert not visitor.may_start()

    assert not patient.may_start(2 * RUN_NS)
    holder.ended(RUN_NS, RUN_NS)

    assert not patient.may_start(2 * RUN_NS)
    assert patient.may_start(4 * RUN_NS)


def test_estimate_is_corrected_by_what_the_run_took() -> None:
    """A version whose runs are longer than predicted pays for it."""
    share = DeviceShare(2)
    honest, optimist = share.join(lambda: None), share.join(lambda: None)

    for tenant, actual_ns in ((honest, RUN_NS), (optimist, 9 * RUN_NS)):
        tenant.started(RUN_NS)
        tenant.ended(RUN_NS, actual_ns)

    assert optimist._ahead_ns - honest._ahead_ns == 8 * RUN_NS


def test_version_that_rests_or_leaves_holds_nobody_up() -> None:
    """Its claim is forgotten at once."""
    share = DeviceShare(1)
    first, second = share.join(lambda: None), share.join(lambda: None)
    holder = busy(share)
    assert not first.may_start()
    holder.ended(RUN_NS, RUN_NS)
    second._ahead_ns = 10.0 * RUN_NS
    assert not second.may_start()

    first.rest()

    assert second.may_start()
    first.leave()
    assert first not in share.tenants
