"""From the bytes of an accepted upload to its pixels, for every worker that looks at them.

Nothing outside a worker imports this: the gateway reads headers only. `decode` knows the formats; `Decoder` runs
it in a process of its own, where a hostile file can neither take the worker's memory nor its time. Nothing is
imported here, to keep that process small.
"""
