"""A reading against an earlier one (the seed's temporal analysis). Pure."""

from shared.contracts import Change, ChangeRefused, Direction, IncomparableReason, MlReading, Prior


def compare(ml: MlReading, prior: Prior, *, margin: float) -> Change | ChangeRefused:
    """The change of P(positive) since `prior`; refused where the two numbers do not mean the same.

    margin: a smaller change than this counts as none.
    """
    reason = _incomparable(ml, prior)
    if reason:
        return ChangeRefused(prior_job_id=prior.job_id, reason=reason)
    delta = ml.p_positive - prior.p_positive
    return Change(
        prior_job_id=prior.job_id,
        prior_read_at=prior.read_at,
        prior_label=prior.label,
        prior_p_positive=prior.p_positive,
        delta_p_positive=delta,
        direction=_direction(delta, margin),
    )


def _incomparable(ml: MlReading, prior: Prior) -> IncomparableReason | None:
    if ml.body_part != prior.body_part:
        return IncomparableReason.DIFFERENT_BODY_PART
    # By checksum: two versions, or two variants, of a model are calibrated apart.
    if ml.model.sha256 != prior.model.sha256:
        return IncomparableReason.DIFFERENT_MODEL
    if ml.abstained or prior.abstained:
        return IncomparableReason.ABSTAINED
    return None


def _direction(delta: float, margin: float) -> Direction:
    if abs(delta) < margin:
        return Direction.STABLE
    return Direction.RISE if delta > 0 else Direction.FALL
