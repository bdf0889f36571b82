"""The ledger: the truth about every job, and the only package that touches job keys in Redis.

`scripts.py` builds the Lua scripts, `record.py` reads what they stored, `ledger.py` is what services call.
"""

from shared.ledger.admission import Admission, Limits
from shared.ledger.alias import Alias, AliasKind, Known, Repeatable
from shared.ledger.delivery_list import HeldDelivery, Webhook
from shared.ledger.house import House, Lane
from shared.ledger.last_readings import LastReading
from shared.ledger.ledger import Action, Claim, Ledger, NewJob, OfferedModels, Released, Settled
from shared.ledger.record import JobRecord, StageRecord

__all__ = [
    "Action",
    "Admission",
    "Alias",
    "AliasKind",
    "Claim",
    "HeldDelivery",
    "House",
    "JobRecord",
    "Known",
    "Lane",
    "LastReading",
    "Ledger",
    "Limits",
    "NewJob",
    "OfferedModels",
    "Released",
    "Repeatable",
    "Settled",
    "StageRecord",
    "Webhook",
]
