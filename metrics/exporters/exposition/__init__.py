"""What Prometheus reads of a registry, for the formats that are Prometheus' own.

A `page` puts together what the `layout` of each instrument (or that of go-ethereum's dialect,
`geth`) says it becomes: `forms`, metric families with the text of their series but the numbers.
`samples` are the same as numbers.
"""
