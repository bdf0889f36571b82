"""Tells receivers how jobs ended: one signed POST a delivery, tried again for more than a day.

`courier.py` takes due deliveries from the ledger, `sender.py` makes one attempt over a connection that `network.py`
opens to checked addresses alone; `signing.py` and `message.py` make what is sent, `ladder.py` says when to try again.
"""
