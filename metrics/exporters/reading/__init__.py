"""What a registry holds, for formats that write it, and what is remembered between two looks.

A registry is a flat stream of `series`; `fields` are the numbers of one by name, and `single` is
the number of what has but one. `deltas` and `staleness` remember what a server has been told, and
`clashes`, `places` and `first_kind` tell of what has no name of its own in a format.
"""
